"""The log of a run, and the table and the picture that are made of it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from edgeocr_training.curves import draw_curves
from edgeocr_training.metric_log import MetricLog, Row, rows_of, write_table


def update(loss: float, *, seconds: float = 0.5) -> dict[str, Any]:
    return {
        "loss": loss,
        "dice": loss / 2,
        "gradient_norm": 1.0,
        "learning_rate": 0.1,
        "images": 8,
        "seconds": seconds,
        "waited_seconds": seconds / 4,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two epochs of two updates, each evaluated."""
    log = MetricLog(tmp_path, keep=lambda _: True)
    for step, loss in enumerate((4.0, 3.0, 2.0, 1.0), start=1):
        epoch = (step + 1) // 2
        log.add("update", step=step, epoch=epoch, values=update(loss))
        if step % 2 == 0:
            log.add("evaluation", step=step, epoch=epoch, values={"hmean": step / 10})
    log.close()
    return tmp_path


def kinds(folder: Path) -> list[tuple[str, int]]:
    return [(row["kind"], row["step"]) for row in rows_of(folder / "metrics.jsonl")]


def test_a_resumed_log_drops_what_came_after_the_checkpoint(folder: Path) -> None:
    log = MetricLog(folder, keep=lambda row: row["step"] <= 3)
    log.add("update", step=4, epoch=2, values=update(1.5))
    log.close()
    assert kinds(folder) == [
        ("update", 1),
        ("update", 2),
        ("evaluation", 2),
        ("update", 3),
        ("update", 4),
    ]
    board = EventAccumulator(str(folder / "tensorboard"))
    board.Reload()
    losses = [(event.step, event.value) for event in board.Scalars("update/loss")]
    assert losses == [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.5)]


def test_a_line_that_a_killed_run_left_unfinished_is_dropped(folder: Path) -> None:
    path = folder / "metrics.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"kind": "update", "st')
    assert len(kinds(folder)) == 6
    MetricLog(folder, keep=lambda _: True).close()
    assert path.read_text() == whole


def test_the_table_has_an_epoch_a_line(folder: Path) -> None:
    write_table(rows_of(folder / "metrics.jsonl"), folder / "metrics.csv")
    with (folder / "metrics.csv").open(newline="") as lines:
        first, second = csv.DictReader(lines)
    assert first == {
        "epoch": "1",
        "step": "2",
        "learning_rate": "0.1",
        "loss": "3.5",
        "dice": "1.75",
        "gradient_norm": "1.0",
        "images_per_second": "16.0",
        "data_wait_share": "0.25",
        "hmean": "0.2",
    }
    assert (second["epoch"], second["loss"], second["hmean"]) == ("2", "1.5", "0.4")


def ink(rows: list[Row], path: Path) -> list[int]:
    """Coloured pixels in each quarter of the picture: losses, evaluation, rate, throughput."""
    draw_curves(rows, path, title="a run")
    picture = cv2.imread(str(path))
    assert picture is not None
    coloured = np.ptp(picture.astype(int), axis=2) > 60
    height, width = coloured.shape
    return [
        int(coloured[top : top + height // 2, left : left + width // 2].sum())
        for top in (0, height // 2)
        for left in (0, width // 2)
    ]


def test_the_picture_has_a_curve_of_everything(folder: Path) -> None:
    rows = list(rows_of(folder / "metrics.jsonl"))
    assert all(pixels > 100 for pixels in ink(rows, folder / "curves.png"))
    updates = [row for row in rows if row["kind"] == "update"]
    losses, evaluation, *_ = ink(updates, folder / "curves.png")
    assert losses > 100
    assert evaluation == 0


def test_a_run_without_a_step_has_a_picture_without_curves(tmp_path: Path) -> None:
    assert ink([], tmp_path / "curves.png") == [0, 0, 0, 0]
    write_table([], tmp_path / "metrics.csv")
    assert (tmp_path / "metrics.csv").read_text().strip() == ""
