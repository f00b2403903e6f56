from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeocr import Bundle, Ocr
from edgeocr_conversion.calibration import (
    FOLDER_LIMIT,
    detector_samples,
    folder_set,
    lines_of,
    orientation_samples,
    recogniser_samples,
    rendered_set,
)
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.rendered_text import TextImage

TinyBundle = Callable[[str], Path]


def _folder(folder: Path, pages: list[TextImage]) -> Path:
    for i, page in enumerate(pages):
        path = folder / f"deep/page {i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), page.pixels)
    return folder


def test_a_folder_is_searched_for_images_and_lines(
    tiny_bundle: TinyBundle,
    pages: list[TextImage],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = _folder(tmp_path / "mine", pages)
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image either")
    found = folder_set(folder, Bundle.open(tiny_bundle("fp32")), threads=1)
    # Every fourth is held out.
    assert (len(found.images), len(found.held_out)) == (6, 2)
    assert all(len(image.quads) == 3 for image in (*found.images, *found.held_out))
    record = found.record()
    assert record["name"] == "mine"
    assert record["found"] == 9
    assert record["unreadable"] == ["broken.jpg"]
    assert "broken.jpg" in capsys.readouterr().err
    again = folder_set(folder, Bundle.open(tiny_bundle("fp32")), threads=1)
    assert again.record() == record


def test_other_pixels_give_another_digest(
    tiny_bundle: TinyBundle, pages: list[TextImage], tmp_path: Path
) -> None:
    bundle = Bundle.open(tiny_bundle("fp32"))
    digests = {
        folder_set(_folder(tmp_path / name, chosen), bundle, threads=1).record()["sha256"]
        for name, chosen in (("one", pages[:4]), ("two", pages[1:5]))
    }
    assert len(digests) == 2


def test_a_large_folder_is_sampled_evenly(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    for i in range(2 * FOLDER_LIMIT):
        cv2.imwrite(str(tmp_path / f"{i:03}.png"), np.full((40, 40, 3), i, np.uint8))
    found = folder_set(tmp_path, Bundle.open(tiny_bundle("fp32")), threads=1)
    kept = [int(image.pixels[0, 0, 0]) for image in (*found.images, *found.held_out)]
    assert sorted(kept) == list(range(0, 2 * FOLDER_LIMIT, 2))
    assert found.record()["found"] == 2 * FOLDER_LIMIT


def test_a_folder_with_too_little_is_refused(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    bundle = Bundle.open(tiny_bundle("fp32"))
    with pytest.raises(ConversionError, match="is no folder"):
        folder_set(tmp_path / "nowhere", bundle)
    with pytest.raises(ConversionError, match="0 images that can be read"):
        folder_set(tmp_path, bundle)


def test_samples_are_what_the_sdk_feeds_its_networks(
    tiny_bundle: TinyBundle, pages: list[TextImage]
) -> None:
    ocr = Ocr.load(tiny_bundle("fp32"), threads=1)
    det = list(detector_samples(ocr, pages))
    assert len(det) == len(pages)
    assert {sample.tensor.shape for sample in det} == {(1, 192, 256, 3)}
    # 160 x 220 fits as it is; the tiny networks take (x / 255 - 0.5) / 0.5, BGR.
    expected = pages[1].pixels.astype(np.float32) / 127.5 - 1
    shown = det[1].tensor[0, :160, :220]
    assert np.abs(cv2.resize(shown, (220, 160)) - expected).max() < 1e-5
    lines = lines_of(pages)
    assert len(list(orientation_samples(ocr, pages))) == len(lines) == 3 * len(pages)
    for (line, text), sample in zip(lines, recogniser_samples(ocr, pages), strict=True):
        assert sample.tensor.shape[1] == 16
        assert sample.signature == f"h16w{sample.tensor.shape[2]}"
        assert text is not None
        assert line.shape[1] == 16 * (2 * len(text) + 1)


def test_only_a_float_bundle_calibrates(tiny_bundle: TinyBundle, pages: list[TextImage]) -> None:
    ocr = Ocr.load(tiny_bundle("int8"), threads=1)
    with pytest.raises(ConversionError, match="is not float"):
        next(detector_samples(ocr, pages))


def test_rendered_pages_need_nothing_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEOCR_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    steps = []
    charset = [chr(code) for code in range(33, 127)]
    rendered = rendered_set(
        charset, pages=4, further_held_out=2, progress=lambda *step: steps.append(step)
    )
    assert (len(rendered.images), len(rendered.held_out)) == (3, 3)
    assert [(done, of) for _, done, of in steps] == [(done, 6) for done in range(1, 7)]
    assert rendered.record()["photographs"] == 0
    assert "without photographs" in capsys.readouterr().err
