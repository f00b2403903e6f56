from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgeocr_training.data.page_image import REDUCTIONS, EncodedImage, RenderedImage
from edgeocr_training.errors import SampleError


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """Ramps along both sides: no detail, so every reduction shows the same."""
    rows = np.linspace(20, 230, height)[:, None]
    columns = np.linspace(20, 230, width)[None]
    blue = np.broadcast_to(rows, (height, width))
    green = np.broadcast_to(columns, (height, width))
    pixels: NDArray[np.float64] = np.rint(np.stack([blue, green, (blue + green) / 2], axis=2))
    return pixels.astype(np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_reduction_shows_means(tmp_path: Path, suffix: str, reduction: int) -> None:
    """Of sides that no reduction divides. JPEG rounds the last pixels its own way."""
    image = smooth(93, 141)
    path = tmp_path / f"page{suffix}"
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
    page_image = EncodedImage(path)
    assert page_image.size == (141, 93)
    shown = page_image.pixels(reduction)
    expected = RenderedImage("page", image).pixels(reduction)
    rows, columns = expected.shape[:2]
    difference = shown[:rows, :columns].astype(int) - expected
    assert np.abs(difference).max() <= 4  # of JPEG's chroma, at half resolution


@pytest.mark.parametrize("reduction", [1, *REDUCTIONS])
def test_an_image_is_upright_at_every_reduction(tmp_path: Path, reduction: int) -> None:
    exif = Image.Exif()
    exif[274] = 6  # turned to the right to be seen
    path = tmp_path / "page.jpg"
    Image.fromarray(smooth(96, 160)[..., ::-1]).save(path, quality=95, exif=exif)
    page_image = EncodedImage(path)
    assert page_image.size == (96, 160)
    shown = page_image.pixels(reduction)
    assert shown.shape == (160 // reduction, 96 // reduction, 3)
    # Blue rose downwards, so it now falls to the right.
    assert shown[0, 0, 0] > shown[0, -1, 0] + 100


def test_a_photo_is_decoded_to_a_quarter_of_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "page.jpg"
    cv2.imwrite(str(path), smooth(80, 120))
    assert EncodedImage(path).pixels(2).shape == (40, 60, 3)


@pytest.mark.parametrize("reduction", [1, *REDUCTIONS])
def test_a_file_that_was_cut_off_is_broken(tmp_path: Path, reduction: int) -> None:
    """OpenCV alone would give a page that is half grey."""
    path = tmp_path / "page.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    cv2.imwrite(str(path), noise)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SampleError, match=r"page\.jpg.*cut off"):
        EncodedImage(path).pixels(reduction)


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.jpg"
    path.write_bytes(content)
    with pytest.raises(SampleError, match=r"page\.jpg"):
        _ = EncodedImage(path).size


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"page\.jpg.*No such file"):
        EncodedImage(tmp_path / "page.jpg")


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """A PNG of a kilobyte that claims 60000 x 60000 pixels."""
    path = tmp_path / "page.png"
    cv2.imwrite(str(path), np.zeros((8, 8), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[16:24] = (60000).to_bytes(4, "big") * 2
    path.write_bytes(bytes(content))
    with pytest.raises(SampleError, match=r"page\.png"):
        _ = EncodedImage(path).size
