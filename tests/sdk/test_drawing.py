"""The picture shows the image with its boxes, and the texts in the same places."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr import drawing
from edgeocr.drawing import draw_result
from edgeocr.errors import ImageError
from edgeocr.result import OcrResult, TextLine

HEIGHT, WIDTH = 200, 320
RENDERERS = {"strokes": drawing._with_strokes, "Pillow": drawing._with_pillow}
if hasattr(cv2, "FontFace"):
    RENDERERS["OpenCV 5"] = drawing._with_opencv


def _line(text: str, x: float, y: float, width: float, height: float, **more: object) -> TextLine:
    box = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)
    return TextLine(text=text, score=0.9, box=box, **more)  # type: ignore[arg-type]


def _draw(*lines: TextLine) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    image = np.full((HEIGHT, WIDTH, 3), 77, dtype=np.uint8)
    picture = draw_result(image, OcrResult(lines=lines, width=WIDTH, height=HEIGHT))
    assert picture.shape == (HEIGHT, 2 * WIDTH, 3)
    assert (image == 77).all()
    return picture[:, :WIDTH], picture[:, WIDTH:]


def _ink(panel: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Text is grey, outlines are coloured."""
    spread = panel.max(axis=2).astype(int) - panel.min(axis=2)
    ink: NDArray[np.bool_] = (panel.max(axis=2) < 128) & (spread < 30)
    return ink


@pytest.fixture(params=RENDERERS)
def renderer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to draw a text in turn: which one is taken depends on what is installed."""
    if request.param == "Pillow" and not drawing._font_files():
        pytest.skip("no font is installed")
    monkeypatch.setattr(drawing, "_renderer", lambda: RENDERERS[request.param])
    return str(request.param)


def test_an_empty_result_shows_the_image_beside_an_empty_page() -> None:
    photo, panel = _draw()
    assert (photo == 77).all()
    assert (panel == 255).all()


@pytest.mark.usefixtures("renderer")
def test_text_lies_in_its_box() -> None:
    photo, panel = _draw(_line("Edge", 40, 60, 120, 30))
    ink = _ink(panel)
    assert ink[62:88, 42:158].any()
    ink[60:91, 40:161] = False
    assert not ink.any()
    outline = (photo != 77).any(axis=2)
    assert outline[60, 100]
    assert not outline[75, 100]


@pytest.mark.usefixtures("renderer")
def test_a_long_text_is_squeezed_into_its_box() -> None:
    _, panel = _draw(_line("a long line of text in a small box", 40, 60, 60, 30))
    ink = _ink(panel)
    assert ink[:, 85:100].any()
    assert not ink[:, 102:].any()


@pytest.mark.usefixtures("renderer")
def test_text_is_turned_like_the_line() -> None:
    """A line starts where its box says: "L" has its ink at the left, then at the right."""
    _, upright = _draw(_line("L.........", 40, 60, 200, 30))
    _, turned = _draw(_line("L.........", 40, 60, 200, 30, rotation=180))
    assert _ink(upright)[60:75, 40:60].any()  # the upper half of the line: the L alone
    assert not _ink(upright)[62:72, 70:].any()
    assert _ink(turned)[76:90, 220:240].any()
    assert not _ink(turned)[80:88, :210].any()


@pytest.mark.usefixtures("renderer")
def test_tall_lines_run_downwards_and_single_characters_stand() -> None:
    _, panel = _draw(_line("TALL LINE", 40, 10, 24, 170), _line("I", 100, 10, 24, 48))
    rows, columns = np.nonzero(_ink(panel)[:, 40:65])
    assert np.ptp(rows) > 2 * np.ptp(columns)
    rows, columns = np.nonzero(_ink(panel)[:, 100:125])
    assert np.ptp(rows) > np.ptp(columns)


@pytest.mark.skipif("OpenCV 5" not in RENDERERS, reason="this OpenCV brings no fonts")
@pytest.mark.parametrize("text", ["中文测试", "日本語かな", "한국어", "Ñandú €", "Привет"])
def test_the_font_of_opencv_knows_the_scripts_that_we_read(text: str) -> None:
    """No two characters share a glyph, as they would if one were missing."""
    glyphs = {drawing._with_opencv(character, 40).tobytes() for character in set(text)}
    assert len(glyphs) == len(set(text))


def test_strokes_say_what_they_cannot_draw() -> None:
    np.testing.assert_array_equal(drawing._with_strokes("a中", 30), drawing._with_strokes("a?", 30))


@pytest.mark.usefixtures("renderer")
def test_odd_texts_and_places_do_no_harm() -> None:
    outside = (_line("far away", 900, 900, 50, 20), _line("edge", 300, 190, 90, 40))
    thin = (_line("flat", 10, 10, 50, 0), _line("dot", 5, 5, 0, 0), _line("x" * 3000, 0, 0, 9, 9))
    odd = (_line("", 10, 10, 50, 20), _line("  ", 10, 40, 50, 20), _line("a\tb\x07", 9, 70, 50, 20))
    huge = (_line("huge", -5000, -5000, 20_000, 9_000),)
    _draw(*outside, *thin, *odd, *huge)


def test_polygons_are_drawn_instead_of_boxes() -> None:
    polygon = np.array([[40, 60], [100, 40], [160, 60], [160, 90], [40, 90]], np.float32)
    photo, _ = _draw(_line("", 40, 40, 120, 50, polygon=polygon))
    assert (photo[60, 40] != 77).any()
    assert (photo[42, 45] == 77).all()


def test_another_image_is_refused() -> None:
    result = OcrResult(lines=(), width=10, height=20)
    with pytest.raises(ImageError, match="10 x 20"):
        draw_result(np.zeros((10, 20), dtype=np.uint8), result)
