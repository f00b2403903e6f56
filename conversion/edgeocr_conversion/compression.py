"""What makes a network small, way by way: how well it still does, its bytes and its time.

Every way begins with the same trained network. Those that train get the same epochs, and are
measured once, with the weights that they end with. Then all networks are timed in turns, so that
whatever slows the machine slows them alike.
"""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ai_edge_litert import interpreter as litert  # type: ignore[import-untyped]

from edgeocr.whole_files import write_whole
from edgeocr_conversion.calibration import Progress, no_progress
from edgeocr_conversion.checkpoints import stage_settings
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.sources import Shape
from edgeocr_conversion.student_tflite import write_student_tflite
from edgeocr_training.compression.quantization.calibration import (
    CalibrationConfig,
    quantize_checkpoint,
)
from edgeocr_training.compression.quantization.integer_network import integer_student
from edgeocr_training.compression.quantization.preparation import is_prepared
from edgeocr_training.compression.table import (
    PRUNING_ROWS,
    QUANTIZATION_ROWS,
    CompressedRow,
    CompressionRow,
    markdown,
    measured_on,
)
from edgeocr_training.loop import LATEST, train
from edgeocr_training.recipe import Recipe
from edgeocr_training.recipe_json import fingerprint, recipe_data
from edgeocr_training.recipes import recipe_named
from edgeocr_training.recipes.quantization import integer_recipe
from edgeocr_training.settings import with_settings
from edgeocr_training.trained_student import trained_student

if TYPE_CHECKING:
    import torch
    from torch import nn

RECORD: Final = "compression.json"
TABLE: Final = "compression.md"
_WARM_UP_RUNS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionConfig:
    """What is compared. Its fields are the options of the command."""

    recipe: str
    """That trained the network in floats."""
    checkpoint: Path
    """The network."""
    pruned: Path | None = None
    """The same, pruned and trained again: the table is of pruning then, else of quantization."""
    epochs: int
    """Of training in integers."""
    shape: Shape | None = None
    """Input in pixels of the networks that are timed; None for the first of the usual ones."""
    rounds: int = 50
    """In each of which every network is timed once."""
    threads: int = 1
    """Of the networks that are timed."""
    settings: tuple[str, ...] = ()
    """``key=value`` as of ``edgeocr-train run``, for the recipe."""
    data_root: str = "data"

    ways: tuple[str, ...] | None = None
    """Names of rows; None for all. What they are compared with is always there."""

    @property
    def rows(self) -> tuple[CompressionRow, ...]:
        """Of the table.

        Raises:
            ConversionError: a way is none of them.
        """
        first, *others = QUANTIZATION_ROWS if self.pruned is None else PRUNING_ROWS
        if self.ways is None:
            return (first, *others)
        names = [row.name for row in others]
        for way in self.ways:
            if way not in names:
                raise ConversionError(f"there is no way {way!r}; there are: {', '.join(names)}")
        return (first, *(row for row in others if row.name in self.ways))


def compare_compression(
    config: CompressionConfig,
    folder: Path,
    *,
    device: torch.device,
    progress: Progress = no_progress,
) -> signal.Signals | None:
    """Makes what is missing, measures it, times all, and writes the table.

    The folder gets ``compression.json`` with what was measured, ``compression.md`` with the table,
    and for each row its TFLite file and the run or the file of weights that it is from. Called
    again it goes on where it was stopped.

    Args:
        config: what to compare.
        folder: may hold a part of the same comparison.
        device: to train and to evaluate on.
        progress: told of the rows and of the timing.

    Returns:
        The signal that stopped a run, which can go on; None when all is done.

    Raises:
        ConversionError: the folder has another comparison, the recipe measures nothing, or a
            network can't be converted.
        EdgeOcrError: a checkpoint, the data or a recipe is missing or wrong.
    """
    recipe = with_settings(recipe_named(config.recipe, data_root=config.data_root), config.settings)
    if recipe.evaluation is None:
        raise ConversionError(f"{recipe.name} says nothing of an evaluation")
    if config.rounds < 2:
        raise ConversionError("a comparison of times needs two rounds at least")
    folder.mkdir(parents=True, exist_ok=True)
    rows, identity = config.rows, _identity(config, recipe)
    measured = _recorded(folder / RECORD, identity)
    for done, row in enumerate(rows):
        progress(f"Measuring {row.title}", done, len(rows))
        if row.name in measured:
            continue
        made = _student(row, config, recipe, folder / row.name, device=device)
        if isinstance(made, signal.Signals):
            return made
        measured[row.name] = CompressedRow(
            name=row.name,
            figures=_figures(made, recipe, device=device),
            bytes=write_student_tflite(
                made.cpu(), folder / f"{row.name}.tflite", shape=config.shape
            ),
        )
        _record(folder / RECORD, identity, measured)
    models = {row.name: folder / f"{row.name}.tflite" for row in rows}
    for name, milliseconds in time_in_turns(
        models, rounds=config.rounds, threads=config.threads, progress=progress
    ).items():
        measured[name] = replace(measured[name], milliseconds=milliseconds)
    _record(folder / RECORD, identity, measured)
    student = recipe.task.build_student()
    stage, settings = stage_settings(student, () if config.shape is None else (config.shape,))
    table = markdown(rows, measured, stage=stage, metric=recipe.evaluation.build().metric)
    height, width = settings.shapes[0]
    processors = ", ".join(measured_on().get("cpu", ())) or "a CPU"
    write_whole(
        folder / TABLE,
        f"# Compression of {recipe.name}\n\n{table}\n\nMilliseconds are medians of "
        f"{config.rounds} runs in turns at {height}x{width} on {config.threads} "
        f"{'thread' if config.threads == 1 else 'threads'} of {processors}; "
        "the ratio's interval is of 95 %. Papers' figures are of their own data, and of a "
        "Snapdragon 855.\n".encode(),
    )
    return None


def time_in_turns(
    models: Mapping[str, Path], *, rounds: int, threads: int, progress: Progress = no_progress
) -> dict[str, tuple[float, ...]]:
    """Milliseconds of every model, a run each per round, with one input of noise.

    Args:
        models: TFLite files of one signature, by name.
        rounds: runs of each that count; a few before them don't.
        threads: of each model.
        progress: told of the rounds.
    """
    interpreters = {}
    for name, path in models.items():
        interpreter = litert.Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
        entry = interpreter.get_input_details()[0]
        noise = np.random.default_rng(0).integers(-100, 100, entry["shape"])
        interpreter.set_tensor(
            entry["index"],
            noise.astype(np.int8) if entry["dtype"] == np.int8 else (noise / 100).astype("f4"),
        )
        interpreters[name] = interpreter
    samples: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(_WARM_UP_RUNS + rounds):
        progress("Timing", turn, _WARM_UP_RUNS + rounds)
        for name, interpreter in interpreters.items():
            start = time.perf_counter()
            interpreter.invoke()
            samples[name].append(1000 * (time.perf_counter() - start))
    progress("Timing", _WARM_UP_RUNS + rounds, _WARM_UP_RUNS + rounds)
    return {name: tuple(times[_WARM_UP_RUNS:]) for name, times in samples.items()}


def _student(
    row: CompressionRow,
    config: CompressionConfig,
    recipe: Recipe,
    place: Path,
    *,
    device: torch.device,
) -> nn.Module | signal.Signals:
    """The row's network in eval mode, made unless it is there; a signal that stopped its run."""
    source = config.pruned if row.pruned else config.checkpoint
    assert source is not None, "rows of pruned networks are there with a pruned network alone"
    if row.quantization is not None:
        trained = integer_recipe(
            recipe,
            name=f"{recipe.name}_{row.name}",
            what=row.title,
            quantization=row.quantization,
            weights=str(source),
            epochs=config.epochs,
            evaluate_every_epochs=config.epochs,
        )
        resume = (place / LATEST).exists()
        result = train(trained, place, device=device, resume=resume)
        if result.stopped_by is not None:
            return result.stopped_by
        return trained_student(trained, place / LATEST).eval()
    if row.method is not None:
        weights = place.with_suffix(".pt")
        quantize_checkpoint(
            recipe,
            source,
            weights,
            config=CalibrationConfig(method=row.method, equalise=row.equalised),
            device=device,
        )
        return trained_student(recipe, weights).eval()
    return trained_student(recipe, source).eval()


def _figures(student: nn.Module, recipe: Recipe, *, device: torch.device) -> dict[str, float]:
    assert recipe.evaluation is not None
    student = student.to(device)
    deployed = integer_student(student) if is_prepared(student) else student
    figures = recipe.evaluation.build().evaluate(deployed, device=device)
    return {name: float(value) for name, value in figures.items()}


def _identity(config: CompressionConfig, recipe: Recipe) -> dict[str, Any]:
    """What two calls must have in common to share a folder."""
    return {
        "recipe": fingerprint(recipe_data(recipe)),
        "checkpoint": _digest(config.checkpoint),
        "pruned": None if config.pruned is None else _digest(config.pruned),
        "epochs": config.epochs,
        "shape": None if config.shape is None else list(config.shape),
    }


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConversionError(f"{path} cannot be read: {error.strerror}") from error


def _recorded(path: Path, identity: Mapping[str, Any]) -> dict[str, CompressedRow]:
    """The rows of a former call."""
    if not path.exists():
        return {}
    try:
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        rows = [
            CompressedRow(**{**row, "milliseconds": tuple(row["milliseconds"])})
            for row in data["rows"]
        ]
        compared = data["compared"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConversionError(f"{path} is damaged, or no record of a comparison") from error
    if compared != identity:
        raise ConversionError(
            f"{path} is of another network, or of other settings: choose another folder"
        )
    return {row.name: row for row in rows}


def _record(path: Path, identity: Mapping[str, Any], measured: Mapping[str, CompressedRow]) -> None:
    data = {
        "compared": identity,
        "machine": measured_on(),
        "rows": [asdict(row) for row in measured.values()],
    }
    write_whole(path, json.dumps(data, indent=2).encode())
