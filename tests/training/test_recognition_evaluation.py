"""The evaluation of recognisers, and the centers of their features, with one that is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeocr_training.data.charset import read_charset
from edgeocr_training.data.line_dataset import LinesConfig
from edgeocr_training.errors import DataError, RecipeError
from edgeocr_training.evaluation.centers import measure_centers
from edgeocr_training.evaluation.recognition import RecognitionEvaluatorConfig
from edgeocr_training.models.ctc_head import CtcHead, CtcHeadConfig
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.models.text_line import CtcOutput, LineBackbone, SequenceNeck
from edgeocr_training.recipe import Recipe
from edgeocr_training.tasks.supervised_recognition import SupervisedRecognitionConfig

CPU: Final = torch.device("cpu")
ENGLISH: Final = read_charset("english")
STEP: Final = 4
GREYS: Final = 255 // len(ENGLISH)
"""Grey levels from one character to the next."""


class GreyIsText(Recogniser):
    """Every step is the character that its grey level stands for; black is blank."""

    def __init__(self) -> None:
        super().__init__(
            backbone=LineBackbone(),
            neck=SequenceNeck(),
            head=CtcHead(1, CtcHeadConfig(mid_channels=None, classes=2)),
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        )
        self.shapes: list[tuple[int, ...]] = []
        self.modes: list[tuple[bool, bool, int]] = []

    def forward(self, image_B3HW: Tensor) -> CtcOutput:
        self.shapes.append(tuple(image_B3HW.shape))
        self.modes.append((self.training, torch.is_grad_enabled(), torch.get_num_threads()))
        columns_BW = image_B3HW[:, 0].mean(dim=1) * 255
        greys_BT = columns_BW.reshape(len(columns_BW), -1, STEP).mean(dim=2)
        classes_K = torch.arange(len(ENGLISH) + 1) * GREYS
        logits_BTK = -(greys_BT[..., None] - classes_K).abs()
        return CtcOutput(
            features_BTC=torch.stack((greys_BT, greys_BT + 1), dim=2),
            backbone_BCHW=image_B3HW,
            logits_BTK=logits_BTK,
        )


def line(text: str, *, zoom: int = 1, margin: int = 0) -> NDArray[np.uint8]:
    """A line as that recogniser reads it, with ``margin`` blank steps at its end."""
    greys = [0]
    for character in text:
        greys += [(ENGLISH.index(character) + 1) * GREYS, 0]
    steps = np.array(greys + [0] * margin, np.uint8)
    columns = steps.repeat(STEP * zoom)
    return np.tile(columns[None, :, None], (32 * zoom, 1, 3))


def write_lines(
    folder: Path, rows: Sequence[tuple[str, str]], *, zoom: int = 1, name: str = "words"
) -> str:
    """Lines that show the first text of a row, and are labelled with the second."""
    texts = []
    for number, (shown, labelled) in enumerate(rows):
        cv2.imwrite(str(folder / f"{name}{number}.png"), line(shown, zoom=zoom))
        texts.append(f"{name}{number}.png\t{labelled}\n")
    path = folder / f"{name}.txt"
    path.write_text("".join(texts), "utf-8")
    return str(path)


def configured(*labels: str) -> RecognitionEvaluatorConfig:
    return RecognitionEvaluatorConfig(
        labels=tuple(f"lines={path}" for path in labels), charset="english"
    )


def evaluate(*labels: str) -> dict[str, float]:
    return configured(*labels).build().evaluate(GreyIsText(), device=CPU)


@pytest.mark.parametrize("zoom", [1, 2])
def test_what_is_read_is_compared_with_the_labels(tmp_path: Path, zoom: int) -> None:
    rows = [
        ("Hello", "Hello"),
        ("aab", "aab"),
        ("Edge-OCR", "edge OCR"),  # equal in letters; two edits
        ("word", "ward"),  # one edit
        ("two words", "two words"),
    ]
    characters = sum(len(labelled) for _, labelled in rows)
    assert evaluate(write_lines(tmp_path, rows, zoom=zoom)) == {
        "accuracy": pytest.approx(3 / 5),
        "alphanumeric_accuracy": pytest.approx(4 / 5),
        "cer": pytest.approx(3 / characters),
    }


def test_labels_in_capitals_say_nothing_of_case(tmp_path: Path) -> None:
    assert evaluate(write_lines(tmp_path, [("total", "TOTAL"), ("Sum", "SUM")]))["accuracy"] == 1


def test_files_are_measured_together_and_each(tmp_path: Path) -> None:
    right = write_lines(tmp_path, [("Abc", "Abc")], name="right")
    wrong = write_lines(tmp_path, [("Abc", "Xbc"), ("d", "e"), ("f", "f")], name="wrong")
    figures = evaluate(right, wrong)
    folder = tmp_path.name
    assert figures["accuracy"] == pytest.approx(2 / 4)
    assert figures[f"accuracy_{folder}/right"] == 1
    assert figures[f"accuracy_{folder}/wrong"] == pytest.approx(1 / 3)
    assert figures[f"cer_{folder}/wrong"] == pytest.approx(2 / 5)


def test_lines_of_one_width_are_read_together(tmp_path: Path) -> None:
    """A text of n characters takes 8 n + 4 columns."""
    texts = ["a", "b" * 9, "c" * 12, "d", "ef", "g" * 40]
    recogniser = GreyIsText()
    config = configured(write_lines(tmp_path, [(text, text) for text in texts]))
    small = replace(config, widths=(80, 160), batch_size=2)
    figures = small.build().evaluate(recogniser, device=CPU)
    assert recogniser.shapes == [
        (2, 3, 32, 80),  # a, b...
        (2, 3, 32, 80),  # d, ef
        (2, 3, 32, 160),  # c..., and g... squeezed
    ]
    # All but the squeezed one, whose steps are no longer its own.
    assert figures["accuracy"] == pytest.approx(5 / 6)
    assert config.build().evaluate(recogniser, device=CPU)["accuracy"] == 1


def test_modes_and_threads_are_as_before(tmp_path: Path) -> None:
    recogniser = GreyIsText()
    recogniser.train()
    threads = torch.get_num_threads()
    config = replace(configured(write_lines(tmp_path, [("a", "a")])), threads=threads + 1)
    config.build().evaluate(recogniser, device=CPU)
    assert recogniser.modes == [(False, False, threads + 1)]
    assert recogniser.training
    assert torch.is_grad_enabled()
    assert torch.get_num_threads() == threads


def test_only_so_many_lines_are_measured(tmp_path: Path) -> None:
    config = configured(write_lines(tmp_path, [("a", "a"), ("b", "c")]))
    assert replace(config, lines=1).build().evaluate(GreyIsText(), device=CPU)["accuracy"] == 1


def test_the_best_are_chosen_by_the_metric_that_is_named(tmp_path: Path) -> None:
    config = configured(write_lines(tmp_path, [("a", "a")]))
    assert config.build().metric == "accuracy"
    chosen = replace(config, metric="alphanumeric_accuracy").build()
    assert chosen.metric in chosen.evaluate(GreyIsText(), device=CPU)


def test_labels_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.txt"):
        configured(str(tmp_path / "missing.txt")).build()
    words = write_lines(tmp_path, [("a", "a")])
    pages = tmp_path / "pages.txt"
    pages.write_text(
        "words0.png\t"
        + json.dumps([{"transcription": "a", "points": [[0, 0], [9, 0], [9, 9], [0, 9]]}])
    )
    with pytest.raises(DataError, match="must have lines"):
        RecognitionEvaluatorConfig(labels=(str(pages),), charset="english").build()
    with pytest.raises(RecipeError, match="at least one"):
        configured().build()
    with pytest.raises(DataError, match=r"none\.txt"):
        replace(configured(words), charset=str(tmp_path / "none.txt")).build()
    with pytest.raises(RecipeError, match="lines is 0"):
        replace(configured(words), lines=0).build()
    with pytest.raises(RecipeError, match="threads is 0"):
        replace(configured(words), threads=0).build()
    with pytest.raises(RecipeError, match="batch_size is 0"):
        replace(configured(words), batch_size=0).build()
    for widths in ((), (0, 8), (80, 80), (8, 13)):
        with pytest.raises(RecipeError, match="widths"):
            replace(configured(words), widths=widths).build()


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    words = write_lines(tmp_path, [("a", "a")])
    with pytest.raises(RecipeError, match="Linear"):
        configured(words).build().evaluate(nn.Linear(1, 1), device=CPU)
    charset = tmp_path / "charset.txt"
    charset.write_text("a\nb\n", "utf-8")
    with pytest.raises(RecipeError, match="96 classes"):
        replace(configured(words), charset=str(charset)).build().evaluate(GreyIsText(), device=CPU)
    (tmp_path / "words0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"words0\.png"):
        evaluate(words)


def recipe(labels: str) -> Recipe:
    return Recipe(
        name="greys",
        description="",
        task=SupervisedRecognitionConfig(),
        data=LinesConfig(sources=(labels,), tia=True, rec_aug=True, rec_con_aug=True, width=160),
        evaluation=None,
        epochs=1,
        batch_size=2,
        workers=0,
    )


def test_centers_are_the_means_over_the_lines_that_are_read_right(tmp_path: Path) -> None:
    """Grey 127, which fills lines up, reads as a character: lines are as wide as the network."""
    rows = [("ab", "ab"), ("b", "b"), ("c", "d")]
    labels = []
    for number, (shown, labelled) in enumerate(rows):
        picture = line(shown, margin=40 - 2 * len(shown) - 1)
        if number == 1:
            picture[picture > 0] += 1  # between two characters, where the first one wins
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        labels.append(f"{number}.png\t{labelled}\n")
    (tmp_path / "labels.txt").write_text("".join(labels))
    centers = measure_centers(GreyIsText(), recipe(str(tmp_path / "labels.txt")), device=CPU)
    a, b, c, d = (ENGLISH.index(character) + 1 for character in "abcd")
    # Three lines in batches of two: the last batch begins the epoch anew, with one line again.
    assert set(np.flatnonzero(centers.counts_K)) == {0, a, b}
    np.testing.assert_allclose(centers.means_KC[0], [0, 1], atol=1e-4)
    np.testing.assert_allclose(centers.means_KC[a], [a * GREYS, a * GREYS + 1], atol=1e-4)
    from_first = centers.counts_K[a]
    from_second = centers.counts_K[b] - from_first
    mean = b * GREYS + from_second / centers.counts_K[b]
    np.testing.assert_allclose(centers.means_KC[b], [mean, mean + 1], atol=1e-4)
    assert centers.counts_K[c] == centers.counts_K[d] == 0
    assert (centers.means_KC[d] == 0).all()


def test_centers_need_a_recogniser_that_reads(tmp_path: Path, tiny: Recipe) -> None:
    labels = write_lines(tmp_path, [("a", "b")])
    with pytest.raises(DataError, match="no line is read"):
        measure_centers(GreyIsText(), recipe(labels), device=CPU)
    with pytest.raises(RecipeError, match="Linear"):
        measure_centers(nn.Linear(1, 1), recipe(labels), device=CPU)
    with pytest.raises(RecipeError, match="no lines of text"):
        measure_centers(GreyIsText(), tiny, device=CPU)
