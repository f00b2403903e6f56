"""Samples of lines: the product's pixels, the charset's classes, and faults by name."""

from __future__ import annotations

import ast
import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import lmdb
import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr.pixels import RESIZING, fit, input_table
from edgeocr_training.data.charset import read_charset
from edgeocr_training.data.line_dataset import LinesConfig
from edgeocr_training.data.sample import Sample
from edgeocr_training.data.synthetic.lines import SyntheticLinesConfig
from edgeocr_training.errors import DataError, RecipeError, SampleError

ENGLISH = read_charset("english")
WriteLines = Callable[..., str]


def read(sample: Sample) -> str:
    """The text of a sample's label."""
    length = int(sample.arrays["label_length"])
    assert not sample.arrays["label"][length:].any()
    return "".join(ENGLISH[index - 1] for index in sample.arrays["label"][:length])


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """Smooth, so that JPEG and resizing leave it recognisable."""
    small = np.random.default_rng(height + width).integers(0, 256, (4, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (width, height)), dtype=np.uint8)


@pytest.fixture
def write_lines(tmp_path: Path) -> WriteLines:
    def write(*texts: str, size: tuple[int, int] = (40, 120), name: str = "lines.txt") -> str:
        cv2.imwrite(str(tmp_path / "line.png"), picture(*size))
        (tmp_path / name).write_text("".join(f"line.png\t{text}\n" for text in texts), "utf-8")
        return str(tmp_path / name)

    return write


def test_without_augmentation_the_network_sees_what_the_product_would_give_it(
    write_lines: WriteLines,
) -> None:
    for size, columns in (((40, 120), 96), ((31, 100), 104), ((200, 333), 54)):
        dataset = LinesConfig(sources=(write_lines("Text", size=size),)).build()
        sample = dataset.sample(0, np.random.default_rng(0))
        table = input_table(mean=(0.5,) * 3, std=(0.5,) * 3, channel_order="BGR", scale=None)
        tensor, _ = fit(picture(*size), height=32, width=320, table=table)
        ours = (sample.arrays["image"] / 255 - 0.5) / 0.5
        assert sample.arrays["width"] == columns
        np.testing.assert_allclose(ours[:, :columns], tensor[0, :, :columns], atol=1e-6)
        # Grey 127 stands for the 0 that lies between two grey levels.
        np.testing.assert_allclose(ours[:, columns:], 0, atol=1 / 255 + 1e-9)
        assert {name: (a.shape, a.dtype.name) for name, a in sample.arrays.items()} == {
            "image": ((32, 320, 3), "uint8"),
            "width": ((), "int32"),
            "label": ((25,), "int32"),
            "label_length": ((), "int32"),
        }


def test_longer_lines_are_squashed(write_lines: WriteLines) -> None:
    sample = (
        LinesConfig(sources=(write_lines("a long one", size=(20, 600)),))
        .build()
        .sample(0, np.random.default_rng(0))
    )
    assert sample.arrays["width"] == 320
    squashed = cv2.resize(picture(20, 600), (320, 32), interpolation=RESIZING)
    np.testing.assert_array_equal(sample.arrays["image"], squashed)


def test_tall_lines_are_turned_as_the_product_turns_them(write_lines: WriteLines) -> None:
    """Counter-clockwise, and single characters not at all."""
    dataset = LinesConfig(sources=(write_lines("up", "I", size=(96, 32)),)).build()
    turned, upright = (dataset.sample(i, np.random.default_rng(0)).arrays for i in (0, 1))
    assert turned["width"] == 96
    np.testing.assert_array_equal(turned["image"][:, :96], np.rot90(picture(96, 32)))
    assert upright["width"] == 11


def test_labels_keep_single_spaces_between_words(write_lines: WriteLines) -> None:
    dataset = LinesConfig(sources=(write_lines(" a  b\u3000c! "),)).build()
    assert read(dataset.sample(0, np.random.default_rng(0))) == "a b c!"


def test_what_cannot_be_learnt_is_left_out_counted_and_named(
    write_lines: WriteLines, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_lines("good", "Café", "naïve", "a" * 26, "bookkeeper" + "o" * 4, "also good")
    with caplog.at_level(logging.WARNING):
        dataset = LinesConfig(sources=(path,), width=64, columns_per_step=4, max_length=15).build()
    # "bookkeeperoooo" has 14 characters, and 3 + 3 times two equal ones: 20 steps, not 16.
    rng = np.random.default_rng(0)
    assert [read(dataset.sample(i, rng)) for i in range(len(dataset))] == ["good", "also good"]
    (message,) = caplog.messages
    assert path in message
    assert "4 of 6 lines left out" in message
    for part in (
        "2 with characters that the charset lacks (line 2, 'Café')",
        "1 longer than 15 characters (line 4, ",
        "1 that need more than 16 CTC steps (line 5, 'bookkeeperoooo')",
    ):
        assert part in message


def test_a_source_without_a_usable_line_is_an_error(write_lines: WriteLines) -> None:
    with pytest.raises(DataError, match=r"lines\.txt: none of its lines can be used: 2 with char"):
        LinesConfig(sources=(write_lines("今天", "天气"),)).build()


def test_broken_lines_are_left_to_the_loader(tmp_path: Path, write_lines: WriteLines) -> None:
    path = Path(write_lines("good"))
    (tmp_path / "half.png").write_bytes((tmp_path / "line.png").read_bytes()[:100])
    rows = ["line.png\t", "half.png\ttext", "gone.png\ttext", "no label"]
    path.write_text("line.png\tgood\n" + "\n".join(rows))
    dataset = LinesConfig(sources=(str(path),)).build()
    assert len(dataset) == 5
    for index, message in (
        (1, "row 2: the text is empty"),
        (2, r"half\.png"),
        (3, r"can't read .*gone\.png"),
        (4, "row 5: expected image<TAB>label"),
    ):
        with pytest.raises(SampleError, match=message):
            dataset.sample(index, np.random.default_rng(0))


def test_lmdb_and_repeats(tmp_path: Path, write_lines: WriteLines) -> None:
    label_file = write_lines("from a file")
    image = (tmp_path / "line.png").read_bytes()
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 20) as db, db.begin(write=True) as t:
        t.put(b"num-samples", b"1")
        t.put(b"image-000000001", image)
        t.put(b"label-000000001", b"from a base")
    config = LinesConfig(sources=(label_file, str(tmp_path / "db")), repeats=(1, 2))
    dataset = pickle.loads(pickle.dumps(config.build()))
    texts = [read(dataset.sample(i, np.random.default_rng(0))) for i in range(len(dataset))]
    assert texts == ["from a file", "from a base", "from a base"]


@pytest.mark.parametrize("rec_con_aug", [False, True])
def test_rendered_lines_follow_the_labelled_ones_and_can_be_learnt(
    tmp_path: Path, write_lines: WriteLines, rec_con_aug: bool
) -> None:
    """Their texts have the charset's characters and fit, whatever the corpus holds."""
    fonts = [
        str(path) for path in Path(matplotlib.get_data_path()).glob("fonts/ttf/DejaVuSans.ttf")
    ]
    (tmp_path / "en.txt").write_text("a text of café and naïve words, 100 £ 今天\n" * 50, "utf-8")
    synthetic = SyntheticLinesConfig(
        count=3, languages=("en",), fonts=tuple(fonts), corpora=(str(tmp_path / "en.txt"),)
    )
    dataset = LinesConfig(
        sources=(write_lines("labelled"),),
        synthetic=synthetic,
        width=128,
        max_length=12,
        rec_con_aug=rec_con_aug,
    ).build()
    assert len(dataset) == 4
    for seed in range(6):
        sample, again = (dataset.sample(3, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(sample.arrays["image"], again.arrays["image"])
        text = read(sample)
        assert 1 <= len(text) <= 12
        assert text.startswith(ast.literal_eval(sample.name.removeprefix("rendered line ")))


def test_rendered_lines_of_another_charset_are_refused(write_lines: WriteLines) -> None:
    synthetic = SyntheticLinesConfig(charset="keys.txt")
    with pytest.raises(RecipeError, match=r"name the charset keys\.txt"):
        LinesConfig(sources=(write_lines("text"),), synthetic=synthetic).build()


def test_the_generator_decides_every_augmentation(write_lines: WriteLines) -> None:
    path = write_lines("one", "two")
    for switches in ({"tia": True}, {"rec_aug": True}, {"rec_con_aug": True, "most_joined": 2}):
        dataset = LinesConfig(sources=(path,), **switches).build()
        plain = LinesConfig(sources=(path,)).build().sample(0, np.random.default_rng(0))
        seen = set()
        for seed in range(12):
            sample, again = (dataset.sample(0, np.random.default_rng(seed)) for _ in range(2))
            for name, array in sample.arrays.items():
                np.testing.assert_array_equal(array, again.arrays[name])
                assert array.shape == plain.arrays[name].shape
                assert array.dtype == plain.arrays[name].dtype
            seen.add(sample.arrays["image"].tobytes() + sample.arrays["label"].tobytes())
        assert len(seen) > 3, switches


def test_joined_lines_say_both_texts(write_lines: WriteLines) -> None:
    dataset = LinesConfig(
        sources=(write_lines("one", "two"),), rec_con_aug=True, most_joined=2, max_length=11
    ).build()
    texts = {read(dataset.sample(0, np.random.default_rng(seed))) for seed in range(60)}
    assert {"one", "one two one", "one one two"} <= texts
    assert {text.partition(" ")[0] for text in texts} == {"one"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": ()}, "sources: name a label file"),
        ({"repeats": (1, 2)}, "repeats: give one number"),
        ({"repeats": (0,)}, "repeats: give one number"),
        ({"height": 0}, "height is 0"),
        ({"most_joined": 0}, "most_joined is 0"),
        ({"max_length": 81}, "max_length is 81, more than the 320 / 4 CTC steps"),
    ],
)
def test_values_outside_of_their_range_are_named(
    write_lines: WriteLines, changes: dict[str, object], message: str
) -> None:
    arguments = {"sources": (write_lines("text"),), **changes}
    with pytest.raises(RecipeError, match=message):
        LinesConfig(**arguments).build()  # type: ignore[arg-type]


def test_labels_of_pages_are_not_taken_for_lines(write_lines: WriteLines) -> None:
    region = {"transcription": "a", "points": [[0, 0], [9, 0], [9, 9], [0, 9]]}
    path = write_lines(json.dumps([region]), name="pages.txt")
    with pytest.raises(RecipeError, match=r"pages\.txt holds labels of pages; cut its lines out"):
        LinesConfig(sources=(path,)).build()


def test_a_missing_charset_is_named(write_lines: WriteLines) -> None:
    with pytest.raises(DataError, match=r"charset nowhere\.txt"):
        LinesConfig(sources=(write_lines("text"),), charset="nowhere.txt").build()
