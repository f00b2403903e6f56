"""What a run reports: a line of JSON for every update, and a table and TensorBoard besides."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

from edgeocr.whole_files import write_whole

Row: TypeAlias = dict[str, Any]
"""A line of the log: ``kind``, ``step`` and ``epoch`` (from 1), and what the kind has.

``update``: the losses by name, ``learning_rate``, ``gradient_norm``, ``seconds`` of the update,
``waited_seconds`` of them for data, and ``images``. ``evaluation``: the figures by name.
``broken``: ``samples``, what is wrong with each that was newly skipped.
"""

NOT_LOSSES = frozenset(
    {
        "kind",
        "step",
        "epoch",
        "learning_rate",
        "gradient_norm",
        "seconds",
        "waited_seconds",
        "images",
    }
)
"""Keys of the row of an update that are no losses."""


class MetricLog:
    """Appends to ``metrics.jsonl`` and to ``tensorboard/`` in the folder of a run."""

    def __init__(self, folder: Path, *, keep: Callable[[Row], bool]) -> None:
        """Opens the log, after dropping the rows that ``keep`` denies.

        A run that goes on from a checkpoint denies those that came after it; the line that a
        killed run left unfinished is dropped, too.

        Raises:
            OSError: the folder cannot be written.
        """
        self.path = folder / "metrics.jsonl"
        kept = [row for row in rows_of(self.path) if keep(row)]
        write_whole(self.path, "".join(_line(row) for row in kept).encode())
        self._file = self.path.open("a", encoding="utf-8", buffering=1)
        self._board = _EventFile(
            folder / "tensorboard", from_step=kept[-1]["step"] + 1 if kept else 0
        )

    def add(
        self,
        kind: Literal["update", "evaluation", "broken"],
        *,
        step: int,
        epoch: int,
        values: Mapping[str, Any],
    ) -> None:
        """Writes one row.

        Raises:
            OSError: the disk is full.
        """
        self._file.write(_line({"kind": kind, "step": step, "epoch": epoch, **values}))
        numbers = {
            f"{kind}/{name}": float(value)
            for name, value in values.items()
            if isinstance(value, (int, float))
        }
        self._board.add(numbers, step=step)

    def close(self) -> None:
        """Ends both files."""
        try:
            self._file.close()
        finally:
            self._board.close()


class _EventFile:
    """What TensorBoard reads.

    Its own writer has a thread, which dies with a traceback when the disk is full.
    """

    def __init__(self, folder: Path, *, from_step: int) -> None:
        """Begins a file that replaces all that others in the folder say of later steps."""
        folder.mkdir(exist_ok=True)
        now = time.time()
        path = folder / f"events.out.tfevents.{now:.6f}.{os.getpid()}"
        self._file = path.open("wb")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=now, file_version="brain.Event:2"))
        restart = SessionLog(status=SessionLog.START)
        self._write(Event(wall_time=now, step=from_step, session_log=restart))

    def add(self, numbers: Mapping[str, float], *, step: int) -> None:
        """Adds a point to each of some curves, by their names."""
        values = [Summary.Value(tag=tag, simple_value=number) for tag, number in numbers.items()]
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def close(self) -> None:
        self._file.close()

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())
        self._file.flush()


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of a ``metrics.jsonl``, up to a line that is not whole; none if it is missing."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                row: Row = json.loads(line)
            except json.JSONDecodeError:
                return
            yield row


def write_table(rows: Iterable[Row], path: Path) -> None:
    """Writes a CSV table with a line per epoch: means of the updates, then the evaluation.

    Raises:
        OSError: the file cannot be written.
    """
    epochs: dict[int, _Epoch] = {}
    for row in rows:
        epochs.setdefault(row["epoch"], _Epoch(row["epoch"])).add(row)
    lines = [epoch.line() for epoch in epochs.values() if epoch.updates]
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    table.writerows(lines)
    write_whole(path, text.getvalue().encode())


class _Epoch:
    """Sums over the updates of one epoch."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.updates = 0
        self._last: Row = {}
        self._sums: dict[str, float] = {}
        self._evaluation: dict[str, float] = {}

    def add(self, row: Row) -> None:
        if row["kind"] == "evaluation":
            self._evaluation = {
                name: value for name, value in row.items() if name not in NOT_LOSSES
            }
        elif row["kind"] == "update":
            self.updates += 1
            self._last = row
            for name, value in row.items():
                if isinstance(value, (int, float)):
                    self._sums[name] = self._sums.get(name, 0) + value

    def line(self) -> dict[str, float]:
        means = {
            name: value / self.updates
            for name, value in self._sums.items()
            if name not in NOT_LOSSES or name == "gradient_norm"
        }
        return {
            "epoch": self.number,
            "step": self._last["step"],
            "learning_rate": self._last["learning_rate"],
            **means,
            "images_per_second": self._sums["images"] / self._sums["seconds"],
            "data_wait_share": self._sums["waited_seconds"] / self._sums["seconds"],
            **self._evaluation,
        }


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
