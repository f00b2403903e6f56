"""The curves of a sensitivity as a picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edgeocr.whole_files import write_whole
from edgeocr_training.compression.pruning.sensitivity import Sensitivity

_MARKS: Final = ("o-", "s--", "^:", "v-.")
"""Ten colours alone would not tell thirty layers apart."""


def draw_sensitivity(sensitivity: Sensitivity, path: Path) -> None:
    """Writes a PNG: relative loss over the ratio of channels that went, a plot for each part of
    the network.

    Raises:
        OSError: the file cannot be written.
    """
    parts: dict[str, list[str]] = {}
    for name in sensitivity.curves:
        parts.setdefault(name.partition(".")[0], []).append(name)
    longest = max((len(names) for names in parts.values()), default=1)
    # A figure of its own canvas: pyplot would want a display, and keeps every figure.
    figure = Figure(figsize=(7 * max(1, len(parts)), 5 + 0.2 * longest), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{sensitivity.recipe}, {sensitivity.criterion}: {sensitivity.metric} is "
        f"{sensitivity.unpruned:.4g} before"
    )
    for i, (part, names) in enumerate(parts.items()):
        axes = figure.add_subplot(1, len(parts), i + 1)
        axes.set_title(part)
        axes.set_xlabel("share of the channels that went")
        axes.set_ylabel("relative loss")
        axes.grid(alpha=0.3)
        for j, name in enumerate(names):
            curve = sensitivity.curves[name]
            ratios = sorted(curve.figures)
            axes.plot(
                [0.0, *ratios],
                [0.0, *(sensitivity.loss(name, ratio) for ratio in ratios)],
                _MARKS[j // 10 % len(_MARKS)],
                color=f"C{j % 10}",
                markersize=3,
                linewidth=1,
                label=f"{name.removeprefix(f'{part}.')} ({curve.channels})",
            )
        axes.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    write_whole(path, picture.getvalue())
