import numpy as np
import pytest

from edgeocr.pixels import crop_line
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.rendered_text import Typefaces, render_pages

LATIN = Typefaces()
CHARSET = [chr(code) for code in range(33, 127)]


def test_the_same_seed_gives_the_same_pages() -> None:
    first, second = (render_pages(2, seed=3, typefaces=LATIN, charset=CHARSET) for _ in range(2))
    other = render_pages(2, seed=4, typefaces=LATIN, charset=CHARSET)
    for one, two, three in zip(first, second, other, strict=True):
        assert np.array_equal(one.pixels, two.pixels)
        assert np.array_equal(one.quads, two.quads)
        assert one.texts == two.texts
        assert not np.array_equal(one.pixels, three.pixels)


def test_lines_lie_in_the_page_apart_from_each_other() -> None:
    for page in render_pages(3, seed=5, typefaces=LATIN, charset=CHARSET):
        assert page.texts is not None
        assert len(page.texts) == len(page.quads) >= 4
        height, width = page.pixels.shape[:2]
        assert page.quads.min() >= 0
        assert page.quads[..., 0].max() < width
        assert page.quads[..., 1].max() < height
        boxes = [(*quad.min(0), *quad.max(0)) for quad in page.quads]
        for i, (left, top, right, bottom) in enumerate(boxes):
            for other in boxes[:i]:
                assert right < other[0] or other[2] < left or bottom < other[1] or other[3] < top


def test_there_is_ink_where_the_quads_are() -> None:
    """Text varies by far more than the noise and the uneven light of its paper."""
    for page in render_pages(4, seed=6, typefaces=LATIN, charset=CHARSET):
        for quad in page.quads:
            line = crop_line(page.pixels, quad).pixels.astype(float).mean(2)
            dark, light = np.percentile(line, [2, 98])
            assert light - dark > 40


def test_only_characters_of_the_charset_are_rendered() -> None:
    for page in render_pages(2, seed=7, typefaces=LATIN, charset=["a", "e", "1", "2"]):
        assert page.texts
        assert set("".join(page.texts)) <= set("ae12 ")


def test_a_charset_without_any_known_character_is_refused() -> None:
    with pytest.raises(ConversionError, match="--calibration"):
        render_pages(1, seed=8, typefaces=LATIN, charset=["\u0e01", "\u0e02"])
