"""The ablation: equal budgets, resumed where it was stopped, tables beside the papers'."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest
import torch

from edgeocr_training.__main__ import main
from edgeocr_training.ablation import AblationConfig, AblationRun, markdown, run_ablation
from edgeocr_training.ablation_tables import (
    MEGABYTES,
    TABLES,
    AblationRow,
    AblationTable,
    Column,
    table_recipes,
)
from edgeocr_training.data.charset import read_charset
from edgeocr_training.errors import CheckpointError, RecipeError
from edgeocr_training.losses.center import load_centers
from edgeocr_training.recipes import recipe_functions
from edgeocr_training.recipes.detection import RECIPES as DETECTION_RECIPES

CPU: Final = torch.device("cpu")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> AblationConfig:
    """Two recipes and two seeds, over two pages."""
    pages = tmp_path_factory.mktemp("data") / "icdar2015"
    pages.mkdir()
    rows = []
    for number in range(2):
        image = np.random.default_rng(number).integers(150, 250, (96, 128, 3), dtype=np.uint8)
        image[30:60, 20:110] //= 4
        cv2.imwrite(str(pages / f"{number}.png"), image)
        region = {"transcription": "a", "points": [[20, 30], [110, 30], [110, 60], [20, 60]]}
        rows.append(f"{number}.png\t{json.dumps([region])}\n")
    for name in ("train", "dev"):
        (pages / f"{name}.txt").write_text("".join(rows), "utf-8")
    return AblationConfig(
        table="pp-ocrv2-det",
        epochs=1,
        seeds=(0, 1),
        recipes=("det_ic15_baseline", "det_ic15_dml"),
        data_root=str(pages.parent),
        settings=(
            "data.crop_size=64",
            "batch_size=2",
            "workers=0",
            "evaluation.limit_side=64",
            "task.initial_weights.official=none",
        ),
    )


@pytest.fixture(scope="module")
def done(config: AblationConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder after all runs."""
    folder = tmp_path_factory.mktemp("ablation")
    assert run_ablation(config, folder, device=CPU) is None
    return folder


def test_every_run_is_recorded_with_the_same_budget(done: Path) -> None:
    runs = json.loads((done / "ablation.json").read_text("utf-8"))["runs"]
    assert [(run["recipe"], run["seed"]) for run in runs] == [
        ("det_ic15_baseline", 0),
        ("det_ic15_dml", 0),
        ("det_ic15_baseline", 1),
        ("det_ic15_dml", 1),
    ]
    assert {run["images"] for run in runs} == {2}
    for run in runs:
        evaluations = [
            row
            for row in map(
                json.loads,
                (done / run["recipe"] / str(run["seed"]) / "metrics.jsonl")
                .read_text()
                .splitlines(),
            )
            if row["kind"] == "evaluation"
        ]
        assert [evaluation["hmean"] for evaluation in evaluations] == [run["figures"]["hmean"]]


def test_the_table_has_every_row_of_the_paper(done: Path) -> None:
    text = (done / "pp-ocrv2-det.md").read_text("utf-8")
    table = TABLES["pp-ocrv2-det"]
    assert text.startswith(f"# {table.title}\n")
    for row in table.rows:
        assert f"| {row.change} |" in text
        assert f"{100 * row.paper['hmean']:.1f}" in text
    for remark in table.remarks:
        assert remark in text
    assert "1 epochs, 2 images in batches of 2" in text


def test_tables_of_one_folder_share_their_runs(
    config: AblationConfig, done: Path, tmp_path: Path
) -> None:
    """PP-OCR's last row is PP-OCRv2's first."""
    folder = tmp_path / "ablation"
    shutil.copytree(done, folder)
    before = (folder / "ablation.json").read_text("utf-8")
    shared = replace(config, table="pp-ocr-det", recipes=("det_ic15_baseline",))
    assert run_ablation(shared, folder, device=CPU) is None
    assert (folder / "ablation.json").read_text("utf-8") == before
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (folder / "pp-ocr-det.md").read_text("utf-8").splitlines()
        if line.startswith("| warm-up")
    ]
    assert len(cells) == 1
    assert cells[0][3] != ""
    assert (folder / "pp-ocrv2-det.md").exists()


def test_what_is_done_is_not_run_again(config: AblationConfig, done: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ablation"
    shutil.copytree(done, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("latest.pt")}
    assert len(before) == 4
    assert run_ablation(config, folder, device=CPU) is None
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("latest.pt")}


def test_a_run_that_was_stopped_goes_on(config: AblationConfig, done: Path, tmp_path: Path) -> None:
    """Its checkpoint is there, its record is not."""
    folder = tmp_path / "ablation"
    shutil.copytree(done, folder)
    record = json.loads((folder / "ablation.json").read_text("utf-8"))
    complete = record["runs"]
    record["runs"] = complete[:3]
    (folder / "ablation.json").write_text(json.dumps(record), "utf-8")
    assert run_ablation(config, folder, device=CPU) is None
    again = json.loads((folder / "ablation.json").read_text("utf-8"))["runs"]
    assert again == complete


def test_unequal_budgets_are_refused(config: AblationConfig, done: Path) -> None:
    with pytest.raises(CheckpointError, match="unequal budgets"):
        run_ablation(replace(config, epochs=2), done, device=CPU)


def test_a_damaged_record_is_named(config: AblationConfig, tmp_path: Path) -> None:
    (tmp_path / "ablation.json").write_text('{"runs": [{"recipe": 3}]}', "utf-8")
    with pytest.raises(CheckpointError, match=r"ablation\.json"):
        run_ablation(config, tmp_path, device=CPU)


def test_a_missing_teacher_is_found_before_anything_is_run(
    config: AblationConfig, tmp_path: Path
) -> None:
    wanted = replace(
        config,
        recipes=("det_ic15_baseline", "det_ic15_cml"),
        teacher=str(tmp_path / "teacher.pt"),
    )
    with pytest.raises(CheckpointError, match=r"teacher\.pt"):
        run_ablation(wanted, tmp_path, device=CPU)
    assert not any(tmp_path.iterdir())


def test_the_command_prints_the_tables(
    config: AblationConfig, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All is done, so it has the same options as the fixture."""
    settings = [word for setting in config.settings for word in ("--set", setting)]
    options = ["--epochs", "1", "--seeds", "0,1", "--data-root", config.data_root, *settings]
    assert config.recipes is not None
    rows = ["--recipes", ",".join(config.recipes), "--out", str(done), "--device", "cpu"]
    assert main(["ablation", config.table, *options, *rows]) == 0
    assert capsys.readouterr().out == (done / "pp-ocrv2-det.md").read_text("utf-8")


def test_what_cannot_be_run_is_refused(
    config: AblationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecipeError, match="det_none"):
        run_ablation(replace(config, recipes=("det_none",)), tmp_path, device=CPU)
    with pytest.raises(RecipeError, match="pp-ocrv2-rec"):
        run_ablation(replace(config, table="no-table"), tmp_path, device=CPU)
    without = replace(config, table="pp-ocrv2-rec", recipes=("rec_en_enhanced_ctc",))
    with pytest.raises(RecipeError, match="rec_en_u_dml: it gives the centers"):
        run_ablation(without, tmp_path, device=CPU)
    with pytest.raises(RecipeError, match="at least one"):
        run_ablation(replace(config, seeds=()), tmp_path, device=CPU)
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="torchrun"):
        run_ablation(config, tmp_path, device=CPU)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_rows_are_recipes_and_are_compared_with_rows_above(table: AblationTable) -> None:
    known = recipe_functions()
    above: list[str] = []
    for row in table.rows:
        assert row.recipe in known
        assert row.recipe not in above
        assert (row.against is None) == (not above)
        assert {row.against, row.centers_of} <= {None, *above}
        assert set(row.paper) <= {column.figure for column in table.columns}
        above.append(row.recipe)
    assert table.metric in {column.figure for column in table.columns}


def test_rows_of_detectors_change_what_they_say() -> None:
    tables = ("pp-ocr-det", "pp-ocrv2-det", "det-distillation", "db-loss", "det-backbone")
    names = {name for table in tables for name in table_recipes(TABLES[table])}
    recipes = {name: DETECTION_RECIPES[name]() for name in names}
    baseline = recipes["det_ic15_baseline"]
    for name, recipe in recipes.items():
        assert recipe.epochs == baseline.epochs, name
        assert recipe.batch_size == baseline.batch_size, name
        assert recipe.optimizer == baseline.optimizer, name
        assert recipe.evaluation == baseline.evaluation, name
        same_pages = name != "det_ic15_cml_copy_paste"
        assert (recipe.data == baseline.data) == same_pages, name
        same_schedule = name not in (
            "det_ic15_inner256",
            "det_ic15_se",
            "det_ic15_constant",
            "det_ic15_cosine",
        )
        assert (recipe.schedule == baseline.schedule) == same_schedule, name


def run(recipe: str, seed: int, hmean: float) -> AblationRun:
    return AblationRun(
        recipe=recipe,
        seed=seed,
        fingerprint="",
        figures={"precision": hmean, "recall": hmean, "hmean": hmean},
        images=1,
        minutes=2.0,
    )


@pytest.mark.parametrize(
    ("hmeans", "change", "verdict"),
    [
        # The baseline has 0.50 and 0.60, so pairs differ by what is added.
        ([0.52, 0.62], "+2.0 ± 0.0", "yes"),
        ([0.47, 0.57], "-3.0 ± 0.0", "**no**"),
        ([0.56, 0.60], "+3.0 ± 4.2", "within noise"),
        ([0.52], "+2.0", "one seed"),
        ([], "", ""),
    ],
)
def test_a_change_is_judged_by_pairs_of_one_seed(
    hmeans: list[float], change: str, verdict: str
) -> None:
    runs = [run("det_ic15_baseline", 0, 0.5), run("det_ic15_baseline", 1, 0.6)]
    runs += [run("det_ic15_dml", seed, hmean) for seed, hmean in enumerate(hmeans)]
    baseline, dml = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown(TABLES["pp-ocrv2-det"], runs).splitlines()[2:4]
    )
    assert baseline[3:5] == ["55.0 ± 7.1", ""]
    assert baseline[5:8] == ["71.8", "80.5", "75.9"]
    assert dml[4] == change
    assert dml[8:10] == ["+1.8", verdict]


def test_columns_are_those_that_anybody_has() -> None:
    """Sizes are ours and the paper's, milliseconds the paper's; other rows have no paper."""
    table = AblationTable(
        title="",
        columns=(
            Column(figure="accuracy", heading="accuracy"),
            Column(figure="letters", heading="letters"),
            Column(figure=MEGABYTES, heading="MB", share=False),
            Column(figure="cpu_ms", heading="ms", share=False),
        ),
        metric="accuracy",
        rows=(
            AblationRow(recipe="a", change="A", paper={"accuracy": 0.667, MEGABYTES: 5.0}),
            AblationRow(
                recipe="b", change="B", paper={"accuracy": 0.5, "cpu_ms": 6.2}, against="a"
            ),
            AblationRow(recipe="c", change="C", paper={}, against="a"),
        ),
        remarks=(),
    )
    runs = [
        AblationRun(
            recipe=recipe,
            seed=0,
            fingerprint="",
            figures={"accuracy": accuracy, "letters": 0.75, MEGABYTES: 4.125},
            images=1,
            minutes=2.0,
        )
        for recipe, accuracy in (("a", 0.5), ("c", 0.4))
    ]
    assert markdown(table, runs).splitlines() == [
        "| strategy | accuracy | letters | MB | change | paper accuracy | paper MB | paper ms | "
        "paper change | as in the paper? | minutes |",
        "|--|--|--|--|--|--|--|--|--|--|--|",
        "| A | 50.0 | 75.0 | 4.12 |  | 66.7 | 5 |  |  |  | 2.0 |",
        "| B |  |  |  |  | 50.0 |  | 6.2 | -16.7 |  |  |",
        "| C | 40.0 | 75.0 | 4.12 | -10.0 |  |  |  |  |  | 2.0 |",
    ]


def test_centers_are_those_of_the_row_that_they_are_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two recognisers learn one word by heart; where its characters lie then, the next row
    learns.
    """
    for words in ("icdar2015_words", "iiit5k_words"):
        (tmp_path / words).mkdir()
        picture = np.full((32, 8, 3), 230, np.uint8)
        picture[4:28, 1:3] = picture[12:28, 5:7] = 20
        cv2.imwrite(str(tmp_path / words / "l.png"), picture)
        for part in ("train", "dev"):
            (tmp_path / words / f"{part}.txt").write_text("l.png\tli\n", "utf-8")
    settings = (
        *("data.synthetic=none", "data.repeats=40,40", "data.width=8", "data.max_length=2"),
        *("data.tia=false", "data.rec_aug=false", "data.rec_con_aug=false"),
        *("task.recogniser.backbone.scale=0.25", "task.recogniser.neck.hidden=8"),
        *("task.recogniser.head.mid_channels=6", "optimizer.learning_rate=0.02"),
        *("batch_size=2", "workers=0", "evaluation.widths=8"),
    )
    config = AblationConfig(
        table="pp-ocrv2-rec",
        epochs=1,
        seeds=(0,),
        recipes=("rec_en_u_dml", "rec_en_enhanced_ctc"),
        settings=settings,
        data_root=str(tmp_path),
    )
    folder = tmp_path / "ablation"
    assert run_ablation(config, folder, device=CPU) is None
    first, second = json.loads((folder / "ablation.json").read_text("utf-8"))["runs"]
    assert first["figures"]["accuracy"] == 1
    assert first["images"] == second["images"] == 80
    source = folder / "rec_en_u_dml" / "0"
    learnt = json.loads((folder / "rec_en_enhanced_ctc" / "0" / "recipe.json").read_text("utf-8"))
    assert learnt["task"]["loss"]["center"]["centers"] == str(source / "centers.npz")
    centers = load_centers(source / "centers.npz")
    letters = [read_charset("english").index(letter) + 1 for letter in "li"]
    assert set(np.flatnonzero(centers.counts_K)) == {*letters}
    assert centers.counts_K[letters].tolist() == [80, 80]

    options = [word for setting in settings for word in ("--set", setting)]
    options += ["--data-root", str(tmp_path), "--device", "cpu"]
    again = tmp_path / "again.npz"
    checkpoint = ["--checkpoint", str(source / "latest.pt"), "--out", str(again)]
    capsys.readouterr()
    assert main(["centers", "rec_en_u_dml", *checkpoint, *options]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"classes": 96, "known": 2, "steps": 160}
    np.testing.assert_array_equal(load_centers(again).means_KC, centers.means_KC)
