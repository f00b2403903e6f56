"""The strategies of PP-OCR's detectors one by one, each with the same budget.

Every row of the two tables of the papers (PP-OCR, arXiv:2009.09941, and PP-OCRv2,
arXiv:2109.03144) is a recipe. All are run for the same number of epochs, with the same seeds, and
measured once, with the weights that they end with: choosing the best ones by the pages they are
measured on would favour whoever is measured most often.
"""

from __future__ import annotations

import json
import signal
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from edgeocr.whole_files import write_whole
from edgeocr_training.data.pages import PagesConfig
from edgeocr_training.distributed import present_world
from edgeocr_training.errors import CheckpointError, RecipeError
from edgeocr_training.loop import LATEST, train
from edgeocr_training.metric_log import rows_of
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.recipe import Recipe
from edgeocr_training.recipe_json import fingerprint, recipe_data
from edgeocr_training.recipes import recipe_named
from edgeocr_training.settings import with_settings
from edgeocr_training.tasks.cml_detection import CmlDetectionConfig
from edgeocr_training.tasks.distill_detection import DistillDetectionConfig

RUNS: Final = "ablation.json"
TABLE: Final = "ablation.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of detection, each in [0, 1]."""

    precision: float
    recall: float
    hmean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRow:
    """A recipe and what a paper reports of it."""

    recipe: str
    change: str
    """From the row before."""
    paper: Figures


def _row(recipe: str, change: str, *paper: float) -> AblationRow:
    precision, recall, hmean = paper
    figures = Figures(precision=precision, recall=recall, hmean=hmean)
    return AblationRow(recipe=recipe, change=change, paper=figures)


TABLES: Final[Mapping[str, tuple[AblationRow, ...]]] = {
    "PP-OCR": (
        _row("det_ic15_inner256", "256 channels, SE, constant rate", 0.6821, 0.5560, 0.6127),
        _row("det_ic15_se", "96 channels", 0.6677, 0.5524, 0.6046),
        _row("det_ic15_constant", "without SE", 0.6952, 0.5413, 0.6087),
        _row("det_ic15_cosine", "cosine", 0.7034, 0.5404, 0.6112),
        _row("det_ic15_baseline", "warm-up", 0.7349, 0.5420, 0.6239),
    ),
    "PP-OCRv2": (
        _row("det_ic15_baseline", "PP-OCR's detector", 0.718, 0.805, 0.759),
        _row("det_ic15_dml", "DML", 0.743, 0.815, 0.777),
        _row("det_ic15_cml", "CML instead", 0.746, 0.835, 0.789),
        _row("det_ic15_cml_copy_paste", "CopyPaste", 0.754, 0.840, 0.795),
    ),
}
"""Rows build on one another within a table. Each paper has training and test data of its own."""

RECIPES: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(row.recipe for rows in TABLES.values() for row in rows)
)
"""All of them, each once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationConfig:
    """What is run. Its fields are the options of the command."""

    epochs: int
    """Of every run: its budget. Rows that show a network more often, or a teacher too, take
    longer; in the papers they do as well."""
    seeds: tuple[int, ...] = (0, 1, 2)
    recipes: tuple[str, ...] = RECIPES
    warm_up_epochs: float = 0.1
    """Of the recipes that warm up. Theirs are for 1200 epochs."""
    teacher: str | None = None
    """File of the teacher's weights; None for where the recipes look for it."""
    settings: tuple[str, ...] = ()
    """``key=value`` as of ``edgeocr-train run``, for every recipe alike."""
    data_root: str = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRun:
    """One run that is done."""

    recipe: str
    seed: int
    fingerprint: str
    """Of the recipe with all settings."""
    figures: Figures
    images: int
    """That were learnt from."""
    minutes: float
    """Of training alone."""


def run_ablation(
    config: AblationConfig, folder: Path, *, device: torch.device
) -> signal.Signals | None:
    """Runs what is missing, and writes the tables after every run.

    The folder gets ``ablation.json`` with what was measured, ``ablation.md`` with the tables, and
    a folder for each run. Called again it goes on where it was stopped.

    Args:
        config: what to run.
        folder: may hold a part of the same ablation.
        device: to train on.

    Returns:
        The signal that stopped a run, which can go on; None when all is done.

    Raises:
        RecipeError: a recipe or a setting does not exist, or several processes were started.
        CheckpointError: the folder has an ablation of other settings; or weights that the recipes
            begin with, or the teacher, are missing.
        DataError: the data is missing or broken.
        DivergenceError: a loss is not finite.
        OSError: a file can't be written.
    """
    if present_world().size > 1:
        raise RecipeError("an ablation runs in one process: start it without torchrun")
    recipes = {
        (name, seed): _recipe(name, config, seed)
        for seed in config.seeds
        for name in config.recipes
    }
    if not recipes:
        raise RecipeError("an ablation needs at least one recipe and one seed")
    runs = _done(folder / RUNS, recipes)
    for name in config.recipes:
        # What is missing is better found now than after hours.
        recipes[name, config.seeds[0]].task.build()
    # Seed by seed: whenever it is stopped, what there is has as many seeds in every row.
    for (name, seed), recipe in recipes.items():
        if (name, seed) in runs:
            continue
        run_folder = folder / name / str(seed)
        resume = (run_folder / LATEST).exists()
        result = train(recipe, run_folder, device=device, resume=resume)
        if result.stopped_by is not None:
            return result.stopped_by
        runs[name, seed] = _run(recipe, name, result.metrics, run_folder)
        _write(runs, config, recipe, folder)
    _write(runs, config, recipes[config.recipes[0], config.seeds[0]], folder)
    return None


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


def _run(recipe: Recipe, name: str, metrics: Mapping[str, float], run_folder: Path) -> AblationRun:
    updates = [row for row in rows_of(run_folder / "metrics.jsonl") if row["kind"] == "update"]
    return AblationRun(
        recipe=name,
        seed=recipe.seed,
        fingerprint=fingerprint(recipe_data(recipe)),
        figures=Figures(
            precision=metrics["precision"], recall=metrics["recall"], hmean=metrics["hmean"]
        ),
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
        runs = [AblationRun(**{**run, "figures": Figures(**run["figures"])}) for run in data]
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
    config: AblationConfig,
    recipe: Recipe,
    folder: Path,
) -> None:
    data = {"runs": [_as_data(run) for run in runs.values()]}
    write_whole(folder / RUNS, json.dumps(data, indent=2).encode())
    text = "\n\n".join(
        [
            "# Strategies of text detection, one by one",
            *(
                f"## {paper}\n\n{table(rows, list(runs.values()))}"
                for paper, rows in TABLES.items()
            ),
            _remarks(list(runs.values()), config, recipe),
        ]
    )
    write_whole(folder / TABLE, f"{text}\n".encode())


def _as_data(run: AblationRun) -> dict[str, Any]:
    figures = run.figures
    return {
        "recipe": run.recipe,
        "seed": run.seed,
        "fingerprint": run.fingerprint,
        "figures": {
            "precision": figures.precision,
            "recall": figures.recall,
            "hmean": figures.hmean,
        },
        "images": run.images,
        "minutes": run.minutes,
    }


def table(rows: Sequence[AblationRow], runs: Sequence[AblationRun]) -> str:
    """A Markdown table of what was measured beside what a paper reports, in percent.

    A row's change is the mean, over the seeds that both have, of its distance from the row above.
    """
    lines = [
        "| strategy | P | R | H | change | paper P | R | H | change | as in the paper? | minutes |",
        "|--|--|--|--|--|--|--|--|--|--|--|",
    ]
    above: AblationRow | None = None
    for row in rows:
        own = [run for run in runs if run.recipe == row.recipe]
        changes = _changes(runs, above, row) if above else []
        paper_change = row.paper.hmean - above.paper.hmean if above else None
        lines.append(
            "| "
            + " | ".join(
                [
                    row.change,
                    _spread([run.figures.precision for run in own]),
                    _spread([run.figures.recall for run in own]),
                    _spread([run.figures.hmean for run in own]),
                    _spread(changes, sign=True),
                    _percent(row.paper.precision),
                    _percent(row.paper.recall),
                    _percent(row.paper.hmean),
                    "" if paper_change is None else _percent(paper_change, sign=True),
                    "" if paper_change is None else _verdict(changes, paper_change),
                    f"{statistics.mean(run.minutes for run in own):.1f}" if own else "",
                ]
            )
            + " |"
        )
        above = row
    return "\n".join(lines)


def _changes(runs: Sequence[AblationRun], above: AblationRow, row: AblationRow) -> list[float]:
    """Of hmean, a number per seed that both rows have."""
    before = {run.seed: run.figures.hmean for run in runs if run.recipe == above.recipe}
    return [
        run.figures.hmean - before[run.seed]
        for run in runs
        if run.recipe == row.recipe and run.seed in before
    ]


def _verdict(changes: Sequence[float], paper_change: float) -> str:
    """Whether a change has the paper's sign, where that can be told."""
    if len(changes) < 2:
        return "one seed" if changes else ""
    mean = statistics.mean(changes)
    error = statistics.stdev(changes) / len(changes) ** 0.5
    # Two standard errors: of a few seeds that is a rough measure, and the table says no more.
    if abs(mean) <= 2 * error:
        return "within noise"
    return "yes" if (mean > 0) == (paper_change > 0) else "**no**"


def _spread(values: Sequence[float], *, sign: bool = False) -> str:
    if not values:
        return ""
    mean = _percent(statistics.mean(values), sign=sign)
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.1f}"


def _percent(value: float, *, sign: bool = False) -> str:
    return f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}"


def _remarks(runs: Sequence[AblationRun], config: AblationConfig, recipe: Recipe) -> str:
    assert isinstance(recipe.data, PagesConfig)
    images = sorted({run.images for run in runs})
    seeds = sorted({run.seed for run in runs})
    return "\n".join(
        [
            f"Means over the seeds {', '.join(map(str, seeds))}, in percent; ± is the standard "
            "deviation over them. A change is from the row above; it is within noise where it is "
            "smaller than two standard errors of its mean.",
            "",
            "What differs from the papers:",
            "",
            f"* Budget: {config.epochs} epochs, {' or '.join(f'{n:,}' for n in images)} images of "
            f"{recipe.data.crop_size} pixels in batches of {recipe.batch_size * recipe.accumulate};"
            f" theirs are 1200 epochs at 960 pixels. The warm-up lasts {config.warm_up_epochs:g} "
            "epochs and not 2. Differences that show after long training alone can't show here.",
            "* Data: 900 pages of ICDAR 2015 with words, measured on 100 others; theirs are 4,000 "
            "(PP-OCR) or 97,000 pages with lines, and 500 others.",
            "* Start: the backbone is that of PP-OCRv3's detector, theirs ImageNet's. It was "
            "trained without SE, so the gates of the rows with SE start at random.",
            "* Teacher of CML: PP-OCRv3's detector after it learnt the same pages; theirs is "
            "larger (ResNet18, 256 channels) and saw more pages than its students.",
            "* The last weights are measured; PaddleOCR keeps those that measure best.",
            *(["", f"Settings: {' '.join(config.settings)}"] if config.settings else []),
        ]
    )
