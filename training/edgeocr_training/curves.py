"""The curves of a run as a picture."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edgeocr.whole_files import write_whole
from edgeocr_training.metric_log import NOT_LOSSES, Row

_POINTS = 300
"""Of a curve at most: it shows means over as many steps as that needs."""


def draw_curves(rows: Iterable[Row], path: Path, *, title: str) -> None:
    """Writes a PNG with losses, evaluation, learning rate and throughput over the steps.

    Raises:
        OSError: the file cannot be written.
    """
    updates: list[Row] = []
    evaluations: list[Row] = []
    for row in rows:
        if row["kind"] == "update":
            updates.append(row)
        elif row["kind"] == "evaluation":
            evaluations.append(row)
    # Figures of their own canvas: pyplot would want a display, and keeps every figure.
    figure = Figure(figsize=(12, 8))
    FigureCanvasAgg(figure)
    (losses, measures), (rate, throughput) = figure.subplots(
        2, 2, gridspec_kw={"left": 0.07, "right": 0.97, "top": 0.92, "bottom": 0.07, "hspace": 0.25}
    )
    figure.suptitle(title)

    losses.set_title("loss")
    for name in _names(updates):
        _draw(losses, updates, name)
    losses.set_yscale("log")
    measures.set_title("evaluation")
    for name in _names(evaluations):
        found = [row for row in evaluations if name in row]
        measures.plot(
            [row["step"] for row in found], [row[name] for row in found], ".-", label=name
        )
    rate.set_title("learning rate")
    _draw(rate, updates, "learning_rate")
    throughput.set_title("images per second")
    for row in updates:
        row["images_per_second"] = row["images"] / row["seconds"]
    _draw(throughput, updates, "images_per_second")
    for axes in (losses, measures, rate, throughput):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if len(axes.lines) > 1:
            axes.legend(fontsize="small")

    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    write_whole(path, picture.getvalue())


def _names(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row if name not in NOT_LOSSES))


def _draw(axes: Axes, rows: list[Row], name: str) -> None:
    points = [(row["step"], row[name]) for row in rows if name in row]
    if points:
        steps, values = _thinned(np.array(points, np.float64))
        axes.plot(steps, values, label=name, linewidth=1)


def _thinned(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means over equal runs of points (N, 2), so that at most ``_POINTS`` remain."""
    groups = np.array_split(points, min(len(points), _POINTS))
    means = np.array([group.mean(axis=0) for group in groups])
    return means[:, 0], means[:, 1]
