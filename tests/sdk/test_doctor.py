"""What the doctor finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr.doctor import PACKAGED_SELF_TEST, SelfTest, diagnose
from edgeocr.images import load_image


@pytest.fixture
def self_test(tmp_path: Path, paint_page: Callable[..., NDArray[np.uint8]]) -> SelfTest:
    """A picture in the language that the tiny bundles read."""
    path = tmp_path / "picture.png"
    assert cv2.imwrite(str(path), paint_page("abc", "d a"))
    return SelfTest(picture=path, text="abc\nd a")


def test_a_bundle_that_reads_is_healthy(tiny: Path, self_test: SelfTest) -> None:
    diagnosis = diagnose(tiny, threads=2, self_test=self_test)
    assert diagnosis.healthy, str(diagnosis)
    assert "2 as asked for" in str(diagnosis)
    assert all(row.startswith("ok") for row in str(diagnosis).splitlines())


def test_a_bundle_that_reads_something_else_is_not(tiny: Path, self_test: SelfTest) -> None:
    other = SelfTest(picture=self_test.picture, text="dcba")
    diagnosis = diagnose(tiny, self_test=other)
    assert not diagnosis.healthy
    assert diagnosis.to_dict()["findings"][-1] == {
        "subject": "self-test",
        "passed": False,
        "detail": "read 'abc\\nd a' where 'dcba' stands",
    }


def test_damage_is_found(writable_bundle: Path, self_test: SelfTest) -> None:
    (writable_bundle / "cls.tflite").unlink()
    diagnosis = diagnose(writable_bundle, self_test=self_test)
    last = diagnosis.findings[-1]
    assert (last.subject, last.passed) == ("bundle", False)
    assert "cls.tflite is missing" in last.detail


def test_the_packaged_picture_is_an_image_with_two_lines() -> None:
    image = load_image(PACKAGED_SELF_TEST.picture)
    assert len(PACKAGED_SELF_TEST.text.splitlines()) == 2
    rows = (image.min(axis=(1, 2)) < 128).astype(int)
    assert (np.diff(rows) == 1).sum() == 2
