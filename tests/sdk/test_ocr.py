"""Contract: reading through the public interface, with real files and the real runtime."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr import BundleError, ImageError, Ocr, OcrOptions, OptionError
from edgeocr.ocr import CERTAINLY_UPSIDE_DOWN

Paint: TypeAlias = Callable[..., NDArray[np.uint8]]

TEXTS = ("abc", "d a", "ba")
DETECTION_ONLY = OcrOptions(orient=False, recognise=False)


def test_reads_lines_in_reading_order_and_turns_those_upside_down(
    ocr: Ocr, paint_page: Paint
) -> None:
    result = ocr.read(paint_page(*TEXTS, upside_down=(1,)))
    assert [line.text for line in result] == list(TEXTS)
    assert [line.rotation for line in result] == [0, 180, 0]
    assert result.text == "abc\nd a\nba"
    assert (result.width, result.height) == (250, 180)


def test_boxes_lie_on_the_painted_lines(ocr: Ocr, paint_page: Paint) -> None:
    (line,) = ocr.read(paint_page("abc"))
    # 2 px: the unclip distance of the tiny bundle, and whole pixels.
    np.testing.assert_allclose(line.box, [[20, 10], [132, 10], [132, 42], [20, 42]], atol=2)
    assert line.box.dtype == np.float32
    assert line.detection_score > 0.9
    assert 0.9 < line.score <= 1


def test_scores_and_stages_are_reported(ocr: Ocr, paint_page: Paint) -> None:
    timings = ocr.read(paint_page(*TEXTS)).timings_ms
    assert list(timings) == ["load", "detect", "crop", "orient", "recognise", "total"]
    assert all(ms >= 0 for ms in timings.values())
    stages = sum(ms for stage, ms in timings.items() if stage != "total")
    assert stages <= timings["total"]


def test_an_empty_page_is_an_empty_result(ocr: Ocr) -> None:
    result = ocr.read(np.full((100, 200, 3), 255, dtype=np.uint8))
    assert len(result) == 0
    assert result.text == ""
    assert result.timings_ms["recognise"] == 0
    assert ocr.detect(np.full((100, 200), 255, dtype=np.uint8)).shape == (0, 4, 2)


def test_one_thread_reads_the_same_as_several(tiny: Path, paint_page: Paint) -> None:
    page = paint_page(*TEXTS, upside_down=(2,))
    one, four = (Ocr.load(tiny, threads=threads).read(page) for threads in (1, 4))
    assert [line.to_dict() for line in one] == [line.to_dict() for line in four]


def test_every_form_of_input_reads_the_same(ocr: Ocr, paint_page: Paint, tmp_path: Path) -> None:
    from PIL import Image

    page = paint_page("abc")
    path = tmp_path / "page.png"
    assert cv2.imwrite(str(path), page)
    inputs = (page, path, str(path), path.read_bytes(), Image.open(path))
    assert {ocr.read(given).text for given in inputs} == {"abc"}


def test_character_quads_follow_each_other_along_the_line(ocr: Ocr, paint_page: Paint) -> None:
    for upside_down in (False, True):
        page = paint_page("abcd", upside_down=(0,) if upside_down else ())
        (line,) = ocr.read(page, OcrOptions(characters=True))
        assert "".join(character.text for character in line.characters) == "abcd"
        centres = np.array([character.box[:, 0].mean() for character in line.characters])
        # Stripes are 32 px apart and begin 16 px into the line, which begins at x = 20.
        painted = np.array([44, 76, 108, 140])
        expected = 20 + 20 + 144 - painted if upside_down else painted
        # 8 px: one CTC step of the network, 4 columns of 16 rows, in a line of 32 rows.
        np.testing.assert_allclose(centres, expected, atol=8)
        assert all(0 < character.score <= 1 for character in line.characters)


def test_characters_are_given_only_on_request(ocr: Ocr, paint_page: Paint) -> None:
    (line,) = ocr.read(paint_page("abcd"))
    assert line.characters == ()


def test_stages_can_be_left_out(ocr: Ocr, paint_page: Paint) -> None:
    page = paint_page("abc", upside_down=(0,))
    (found,) = ocr.read(page, DETECTION_ONLY)
    assert (found.text, found.score, found.rotation) == ("", 0.0, 0)
    (unturned,) = ocr.read(page, OcrOptions(orient=False, min_score=0.0))
    # On its head "c" stands in the row of "b", and the line runs backwards.
    assert (unturned.text, unturned.rotation) == ("bcd", 0)
    (turned,) = ocr.read(page, OcrOptions(recognise=False))
    assert (turned.text, turned.rotation) == ("", 180)


def test_options_do_not_stick(ocr: Ocr, paint_page: Paint) -> None:
    page = paint_page(*TEXTS, upside_down=(0,))
    before = [line.to_dict() for line in ocr.read(page)]
    assert len(ocr.read(page, OcrOptions(min_score=1.0))) == 0
    assert len(ocr.read(page, OcrOptions(threshold=1.0))) == 0
    assert len(ocr.read(page, OcrOptions(limit_side=32))) < 3
    ocr.read(page, OcrOptions(orient=False, characters=True, box_type="polygon"))
    assert [line.to_dict() for line in ocr.read(page)] == before


def test_detection_options_reach_the_decoder(ocr: Ocr, paint_page: Paint) -> None:
    page = paint_page(*TEXTS)
    (small, *_), (large, *_) = (
        ocr.detect(page, OcrOptions(unclip_ratio=ratio)) for ratio in (0.1, 0.6)
    )
    assert np.ptp(large[:, 1]) > np.ptp(small[:, 1]) + 4
    assert len(ocr.detect(page, OcrOptions(max_candidates=2))) == 2
    assert len(ocr.detect(page, OcrOptions(box_threshold=0.99))) == 0
    polygons = ocr.read(page, OcrOptions(box_type="polygon"))
    assert all(line.polygon is not None and line.polygon.shape[1] == 2 for line in polygons)


def test_detect_gives_the_boxes_that_read_gives(ocr: Ocr, paint_page: Paint) -> None:
    page = paint_page(*TEXTS)
    np.testing.assert_array_equal(ocr.detect(page), [line.box for line in ocr.read(page)])


@pytest.mark.parametrize("upside_down", [False, True])
def test_read_line_reads_a_crop(ocr: Ocr, paint_line: Paint, upside_down: bool) -> None:
    crop = paint_line("dab c", upside_down=upside_down)
    line = ocr.read_line(crop)
    assert line.text == "dab c"
    assert line.rotation == (180 if upside_down else 0)
    height, width = crop.shape[:2]
    np.testing.assert_array_equal(line.box, [[0, 0], [width, 0], [width, height], [0, height]])
    assert line.detection_score == 1


def test_read_line_gives_a_line_even_where_nothing_stands(ocr: Ocr) -> None:
    line = ocr.read_line(np.full((32, 100, 3), 255, dtype=np.uint8))
    assert (line.text, line.score) == ("", 0.0)


def test_where_the_classifier_is_in_doubt_the_better_reading_decides(ocr: Ocr) -> None:
    """An upright line whose upper edge is a little darker, as if it stood on its head.

    Its stripes begin at whole CTC steps; turned, they would lie between two and be lost.
    """
    line = np.zeros((16, 42, 3), dtype=np.uint8)
    line[..., 2] = 255
    line[:2, :, 2] = 236
    for i in range(4):
        line[4 * i : 4 * i + 4, 8 * i + 4 : 8 * i + 8, 1] = 255
    orientation = ocr.classifier.classify(line, OcrOptions())
    assert orientation.upside_down
    assert 0.9 <= orientation.score < CERTAINLY_UPSIDE_DOWN
    read = ocr.read_line(line)
    assert (read.text, read.rotation) == ("abcd", 0)
    assert ocr.read_line(line, OcrOptions(recognise=False)).rotation == 180


def test_a_tall_line_is_read_turned(ocr: Ocr, paint_line: Paint) -> None:
    tall = np.rot90(paint_line("abcd"), -1)  # reads from top to bottom
    assert ocr.read_line(np.ascontiguousarray(tall)).text == "abcd"


def test_a_tall_single_character_is_read_standing(ocr: Ocr) -> None:
    """Taller than 1.5 times its width, so PP-OCR's rule alone would turn it."""
    standing = np.zeros((48, 24, 3), dtype=np.uint8)
    standing[..., 2] = 255
    standing[12:24, 3:21, 1] = 255
    assert ocr.read_line(standing).text == "b"


def test_a_very_long_line_is_read_whole(ocr: Ocr, paint_line: Paint) -> None:
    text = ("abcd dcba abab cdcd " * 5).strip()
    crop = paint_line(text)  # 199 stripes of 16 px: 1600 columns of the network, which has 256
    line = ocr.read_line(crop, OcrOptions(characters=True))
    assert line.text == text
    centres = [character.box[:, 0].mean() for character in line.characters]
    painted = [16 * (2 * i + 1.5) for i in range(len(text))]
    np.testing.assert_allclose(centres, painted, atol=8)  # one CTC step


def test_a_line_beyond_all_measure_ends(ocr: Ocr) -> None:
    assert ocr.read_line(np.full((3, 30_000, 3), 255, dtype=np.uint8)).text == ""


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 3000), (3000, 1), (2, 2), (20, 400), (3, 5), (700, 40)]
)
def test_images_of_odd_shapes_are_read(ocr: Ocr, height: int, width: int) -> None:
    for value in (0, 255):
        result = ocr.read(np.full((height, width, 3), value, dtype=np.uint8))
        assert (result.width, result.height, len(result)) == (width, height, 0)


def test_a_flat_image_is_one_line(ocr: Ocr, paint_line: Paint) -> None:
    # No margins, and larger than the network: the line touches every border.
    result = ocr.read(paint_line("abcdabcd", height=30), OcrOptions(box_threshold=0.3))
    assert result.text == "abcdabcd"


def test_an_image_larger_than_every_shape_is_shrunk(ocr: Ocr, paint_page: Paint) -> None:
    page = cv2.resize(paint_page(*TEXTS), None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    result = ocr.read(np.asarray(page, dtype=np.uint8))
    assert [line.text for line in result] == list(TEXTS)
    # 8 px: one pixel of the network's map is 4 px of the image, and 2 as above.
    np.testing.assert_allclose(result[0].box, [[80, 40], [528, 40], [528, 168], [80, 168]], atol=8)


def test_many_threads_may_share_one_object(ocr: Ocr, paint_page: Paint) -> None:
    """Different pages with different options at once give what each gives alone."""
    jobs = [
        (paint_page("abc", "d a"), OcrOptions()),
        (paint_page("dcba", upside_down=(0,)), OcrOptions(characters=True)),
        (paint_page("aa", "bb", "cc"), OcrOptions(min_score=0.2)),
        (paint_page("ab"), OcrOptions(recognise=False)),
        (np.full((300, 90, 3), 255, dtype=np.uint8), OcrOptions()),
    ]
    alone = [[line.to_dict() for line in ocr.read(page, options)] for page, options in jobs]
    together = threading.Barrier(8)

    def work(worker: int) -> bool:
        together.wait(timeout=60)
        for i in range(len(jobs)):
            expected = (worker + i) % len(jobs)
            page, options = jobs[expected]
            lines = [line.to_dict() for line in ocr.read(page, options)]
            if lines != alone[expected]:
                return False
        return True

    with ThreadPoolExecutor(8) as workers:
        assert all(workers.map(work, range(8)))


def test_warm_up_may_be_called_from_several_threads_while_reading(
    ocr: Ocr, paint_page: Paint
) -> None:
    page = paint_page("abc")
    with ThreadPoolExecutor(4) as workers:
        warmed = [workers.submit(ocr.warm_up) for _ in range(3)]
        texts = [workers.submit(lambda: ocr.read(page).text) for _ in range(6)]
        assert [future.result(timeout=60) for future in texts] == ["abc"] * 6
        assert [future.result(timeout=60) for future in warmed] == [None] * 3


def test_an_error_in_one_call_leaves_the_object_usable(ocr: Ocr, paint_page: Paint) -> None:
    with pytest.raises(ImageError, match="no such file"):
        ocr.read("missing.png")
    with pytest.raises(ImageError, match="pixels"):
        ocr.read(paint_page("abc"), OcrOptions(max_pixels=100))
    assert ocr.read(paint_page("abc")).text == "abc"


@pytest.mark.parametrize("threads", [0, -1, 65, 2.0])
def test_threads_out_of_range_are_refused(tiny: Path, threads: float) -> None:
    with pytest.raises(OptionError, match="threads"):
        Ocr.load(tiny, threads=threads)  # type: ignore[arg-type]


def test_quantized_networks_never_see_a_float_image(tiny_int8: Path, paint_page: Paint) -> None:
    ocr, page = Ocr.load(tiny_int8, threads=1), paint_page("abc")
    prepared = ocr.detector.prepare(page, OcrOptions())
    pieces = ocr.recogniser.prepare(page[10:42]).pieces
    tensors = [prepared.tensor, ocr.classifier.prepare(page), pieces[0].tensor]
    outputs = [ocr.detector.infer(prepared), ocr.classifier.infer(tensors[1])]
    assert {tensor.dtype.name for tensor in tensors + outputs} == {"int8"}


def test_the_default_bundle_is_the_one_that_the_environment_names(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, paint_page: Paint
) -> None:
    monkeypatch.setenv("EDGEOCR_BUNDLE", str(tiny))
    assert Ocr.load(threads=1).read(paint_page("abc")).text == "abc"
    monkeypatch.setenv("EDGEOCR_BUNDLE", str(tiny / "nowhere"))
    with pytest.raises(BundleError, match="nowhere"):
        Ocr.load(threads=1)
