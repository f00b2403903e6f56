"""The strategies of the papers one by one, each with the same budget.

Every row of a table is a recipe. All are run for the same number of epochs, with the same seeds,
and measured once, with the weights that they end with: choosing the best ones by what they are
measured on would favour whoever is measured most often.
"""

from __future__ import annotations

import json
import signal
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from edgeocr.whole_files import write_whole
from edgeocr_training.ablation_tables import (
    MEGABYTES,
    TABLES,
    AblationRow,
    AblationTable,
    Column,
    table_recipes,
)
from edgeocr_training.checkpoint import load_weights, put_into
from edgeocr_training.distributed import present_world
from edgeocr_training.errors import CheckpointError, RecipeError
from edgeocr_training.evaluation.centers import measure_centers
from edgeocr_training.loop import LATEST, train
from edgeocr_training.losses.center import save_centers
from edgeocr_training.metric_log import rows_of
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.recipe import Recipe
from edgeocr_training.recipe_json import fingerprint, recipe_data
from edgeocr_training.recipes import recipe_named
from edgeocr_training.settings import with_settings
from edgeocr_training.tasks.cml_detection import CmlDetectionConfig
from edgeocr_training.tasks.distill_detection import DistillDetectionConfig
from edgeocr_training.tasks.supervised_recognition import SupervisedRecognitionConfig
from edgeocr_training.tasks.u_dml_recognition import UDmlRecognitionConfig

RUNS: Final = "ablation.json"
CENTERS: Final = "centers.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationConfig:
    """What is run. Its fields are the options of the command."""

    table: str
    """Name of one of :data:`~edgeocr_training.ablation_tables.TABLES`."""
    epochs: int
    """Of every run: its budget. Rows that show a network more often, or a teacher too, take
    longer; in the papers they do as well."""
    seeds: tuple[int, ...] = (0, 1, 2)
    recipes: tuple[str, ...] | None = None
    """Rows of the table; None for all of them."""
    warm_up_epochs: float = 0.1
    """Of the recipes that warm up. Theirs are for hundreds of epochs."""
    teacher: str | None = None
    """File of a detectors' teacher's weights; None for where the recipes look for it."""
    settings: tuple[str, ...] = ()
    """``key=value`` as of ``edgeocr-train run``, for every recipe alike."""
    data_root: str = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRun:
    """One run that is done."""

    recipe: str
    seed: int
    fingerprint: str
    """Of the recipe with all settings, before it was told where its centers are."""
    figures: Mapping[str, float]
    """Of the evaluation, and the size of the student."""
    images: int
    """That were learnt from."""
    minutes: float
    """Of training alone."""


def table_file(table: str) -> str:
    """Name of the file that a table is written into."""
    return f"{table}.md"


def run_ablation(
    config: AblationConfig, folder: Path, *, device: torch.device
) -> signal.Signals | None:
    """Runs what is missing, and writes the table after every run.

    The folder gets ``ablation.json`` with what was measured, ``TABLE.md`` with the table, and a
    folder for each run. Called again it goes on where it was stopped. Several tables may share a
    folder: what is in more than one of them is run once.

    Args:
        config: what to run.
        folder: may hold a part of the same ablation, and others of the same budget.
        device: to train on.

    Returns:
        The signal that stopped a run, which can go on; None when all is done.

    Raises:
        RecipeError: a table, a recipe or a setting does not exist, or several processes were
            started.
        CheckpointError: the folder has an ablation of other settings; or weights that the recipes
            begin with, or the teacher, are missing.
        DataError: the data is missing or broken.
        DivergenceError: a loss is not finite.
        OSError: a file can't be written.
    """
    if present_world().size > 1:
        raise RecipeError("an ablation runs in one process: start it without torchrun")
    table = table_named(config.table)
    names = _wanted(table, config)
    recipes = {(name, seed): _recipe(name, config, seed) for seed in config.seeds for name in names}
    if not recipes:
        raise RecipeError("an ablation needs at least one recipe and one seed")
    runs = _done(folder / RUNS, recipes)
    for name in names:
        # What is missing is better found now than after hours; centers are made on the way.
        _with_centers(recipes[name, config.seeds[0]], None).task.build()
    # Seed by seed: whenever it is stopped, what there is has as many seeds in every row.
    for (name, seed), recipe in recipes.items():
        if (name, seed) in runs:
            continue
        run_folder = folder / name / str(seed)
        source = next(row.centers_of for row in table.rows if row.recipe == name)
        wanted = recipe
        if source is not None:
            centers = _centers(recipes[source, seed], folder / source / str(seed), device=device)
            wanted = _with_centers(recipe, centers)
        resume = (run_folder / LATEST).exists()
        result = train(wanted, run_folder, device=device, resume=resume)
        if result.stopped_by is not None:
            return result.stopped_by
        runs[name, seed] = _run(recipe, result.metrics, run_folder)
        _write(runs, table, config, recipe, folder)
    _write(runs, table, config, recipes[names[0], config.seeds[0]], folder)
    return None


def table_named(name: str) -> AblationTable:
    """The table of that name.

    Raises:
        RecipeError: there is none.
    """
    if name not in TABLES:
        raise RecipeError(f"There is no table {name!r}; there are: {', '.join(TABLES)}")
    return TABLES[name]


def _wanted(table: AblationTable, config: AblationConfig) -> tuple[str, ...]:
    """The recipes to run, in the table's order."""
    rows = table_recipes(table)
    if config.recipes is None:
        return rows
    for name in config.recipes:
        if name not in rows:
            raise RecipeError(
                f"The table {config.table} has no row {name!r}; it has: {', '.join(rows)}"
            )
    for row in table.rows:
        if row.recipe in config.recipes and row.centers_of not in (None, *config.recipes):
            raise RecipeError(f"{row.recipe} needs the row {row.centers_of}: it gives the centers")
    return tuple(name for name in rows if name in config.recipes)


def _centers(recipe: Recipe, run_folder: Path, *, device: torch.device) -> str:
    """Measures the centers of a run that is done, unless they are there; their file."""
    path = run_folder / CENTERS
    if not path.exists():
        student = recipe.task.build_student()
        put_into(student, load_weights(run_folder / LATEST).student, source=str(run_folder))
        save_centers(measure_centers(student.to(device), recipe, device=device), path)
    return str(path)


def _with_centers(recipe: Recipe, centers: str | None) -> Recipe:
    """The recipe with the centers of this file, or without a center loss."""
    task = recipe.task
    if not isinstance(task, (SupervisedRecognitionConfig, UDmlRecognitionConfig)):
        return recipe
    center = task.loss.center
    if center is None:
        return recipe
    changed = None if centers is None else replace(center, centers=centers)
    return replace(recipe, task=replace(task, loss=replace(task.loss, center=changed)))


def _recipe(name: str, config: AblationConfig, seed: int) -> Recipe:
    recipe = recipe_named(name, data_root=config.data_root)
    schedule = recipe.schedule
    if schedule.warm_up_epochs:
        schedule = replace(schedule, warm_up_epochs=config.warm_up_epochs)
    task = recipe.task
    if config.teacher is not None and isinstance(
        task, (CmlDetectionConfig, DistillDetectionConfig)
    ):
        assert task.teacher is not None
        weights = InitialWeights(own=config.teacher)
        task = replace(task, teacher=replace(task.teacher, weights=weights))
    recipe = replace(
        recipe,
        task=task,
        schedule=schedule,
        seed=seed,
        epochs=config.epochs,
        evaluate_every_epochs=config.epochs,
    )
    return with_settings(recipe, config.settings)


def _run(recipe: Recipe, metrics: Mapping[str, float], run_folder: Path) -> AblationRun:
    updates = [row for row in rows_of(run_folder / "metrics.jsonl") if row["kind"] == "update"]
    parameters = sum(weight.numel() for weight in recipe.task.build_student().parameters())
    return AblationRun(
        recipe=recipe.name,
        seed=recipe.seed,
        fingerprint=fingerprint(recipe_data(recipe)),
        figures={**metrics, MEGABYTES: 4 * parameters / 2**20},
        images=sum(row["images"] for row in updates),
        minutes=round(sum(row["seconds"] for row in updates) / 60, 2),
    )


def _done(
    path: Path, recipes: Mapping[tuple[str, int], Recipe]
) -> dict[tuple[str, int], AblationRun]:
    """The runs of a former call, in its order."""
    if not path.exists():
        return {}
    try:
        data: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["runs"]
        runs = [AblationRun(**{**run, "figures": dict(run["figures"])}) for run in data]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged, or no record of an ablation") from error
    for run in runs:
        recipe = recipes.get((run.recipe, run.seed))
        if recipe is not None and fingerprint(recipe_data(recipe)) != run.fingerprint:
            raise CheckpointError(
                f"{path} has {run.recipe} with other settings or epochs: rows would have unequal "
                "budgets. Give the same ones, or choose another folder"
            )
    return {(run.recipe, run.seed): run for run in runs}


def _write(
    runs: Mapping[tuple[str, int], AblationRun],
    table: AblationTable,
    config: AblationConfig,
    recipe: Recipe,
    folder: Path,
) -> None:
    data = {"runs": [asdict(run) for run in runs.values()]}
    write_whole(folder / RUNS, json.dumps(data, indent=2).encode())
    in_table = [run for run in runs.values() if run.recipe in table_recipes(table)]
    parts = [
        f"# {table.title}",
        markdown(table, in_table),
        _remarks(table, in_table, config, recipe),
    ]
    write_whole(folder / table_file(config.table), ("\n\n".join(parts) + "\n").encode())


def markdown(table: AblationTable, runs: Sequence[AblationRun]) -> str:
    """A Markdown table of what was measured beside what the paper reports.

    A row's change is the mean, over the seeds that both have, of its distance from the row that
    it is compared with.
    """
    # Of shares: what no row of ours, or of the paper, can have has no column.
    ours = [column for column in table.columns if column.share or column.figure == MEGABYTES]
    theirs = [
        column for column in table.columns if any(column.figure in row.paper for row in table.rows)
    ]
    headings = [
        "strategy",
        *(column.heading for column in ours),
        "change",
        *(f"paper {column.heading}" for column in theirs),
        *(["paper change", "as in the paper?"] if theirs else []),
        "minutes",
    ]
    lines = [_line(headings), "|--" * len(headings) + "|"]
    rows = {row.recipe: row for row in table.rows}
    for row in table.rows:
        own = [run for run in runs if run.recipe == row.recipe]
        changes = _changes(runs, row, table.metric)
        verdict = [*_verdict(changes, _paper_change(rows, row, table.metric))] if theirs else []
        lines.append(
            _line(
                [
                    row.change,
                    *(_measured(column, own) for column in ours),
                    _spread(changes, sign=True),
                    *(_reported(column, row) for column in theirs),
                    *verdict,
                    f"{statistics.mean(run.minutes for run in own):.1f}" if own else "",
                ]
            )
        )
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _measured(column: Column, runs: Sequence[AblationRun]) -> str:
    values = [run.figures[column.figure] for run in runs]
    if column.share or not values:
        return _spread(values)
    return f"{statistics.mean(values):.2f}"


def _reported(column: Column, row: AblationRow) -> str:
    value = row.paper.get(column.figure)
    if value is None:
        return ""
    return _percent(value) if column.share else f"{value:g}"


def _changes(runs: Sequence[AblationRun], row: AblationRow, metric: str) -> list[float]:
    """Of the metric, a number per seed that both rows have."""
    before = {run.seed: run.figures[metric] for run in runs if run.recipe == row.against}
    return [
        run.figures[metric] - before[run.seed]
        for run in runs
        if run.recipe == row.recipe and run.seed in before
    ]


def _paper_change(rows: Mapping[str, AblationRow], row: AblationRow, metric: str) -> float | None:
    """None where the paper has not both rows."""
    before = rows[row.against].paper if row.against is not None else {}
    if metric not in row.paper or metric not in before:
        return None
    return row.paper[metric] - before[metric]


def _verdict(changes: Sequence[float], paper_change: float | None) -> tuple[str, str]:
    """The paper's change, and whether ours has its sign, where that can be told."""
    if paper_change is None:
        return "", ""
    theirs = _percent(paper_change, sign=True)
    if len(changes) < 2:
        return theirs, "one seed" if changes else ""
    mean = statistics.mean(changes)
    error = statistics.stdev(changes) / len(changes) ** 0.5
    # Two standard errors: of a few seeds that is a rough measure, and the table says no more.
    if abs(mean) <= 2 * error:
        return theirs, "within noise"
    return theirs, "yes" if (mean > 0) == (paper_change > 0) else "**no**"


def _spread(values: Sequence[float], *, sign: bool = False) -> str:
    if not values:
        return ""
    mean = _percent(statistics.mean(values), sign=sign)
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.1f}"


def _percent(value: float, *, sign: bool = False) -> str:
    return f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}"


def _of_seeds(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"One run each, with the seed {seeds[0]}, in percent."
    return (
        f"Means over the seeds {', '.join(map(str, seeds))}, in percent; ± is the standard "
        "deviation over them. A change is within noise where it is smaller than two standard "
        "errors of its mean."
    )


def _remarks(
    table: AblationTable, runs: Sequence[AblationRun], config: AblationConfig, recipe: Recipe
) -> str:
    images = sorted({run.images for run in runs})
    seeds = sorted({run.seed for run in runs})
    warm_up = ""
    if recipe.schedule.warm_up_epochs:
        warm_up = f" The warm-up, where there is one, lasts {config.warm_up_epochs:g} epochs."
    return "\n".join(
        [
            f"{_of_seeds(seeds)} Minutes are those of training.",
            "",
            "What differs from the paper:",
            "",
            f"* Budget: {config.epochs} epochs, {' or '.join(f'{n:,}' for n in images)} images in "
            f"batches of {recipe.batch_size * recipe.accumulate}.{warm_up} Differences that show "
            "after long training alone can't show here.",
            *(f"* {remark}" for remark in table.remarks),
            "* The last weights are measured; PaddleOCR keeps those that measure best.",
            *(["", f"Settings: {' '.join(config.settings)}"] if config.settings else []),
        ]
    )
