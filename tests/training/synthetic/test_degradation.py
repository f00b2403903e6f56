"""Degradations keep size and place, repeat themselves, and stay within their bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr_training.data.synthetic import degradation

Degradation = Callable[[np.random.Generator, NDArray[np.uint8]], NDArray[np.uint8]]

ALL: dict[str, Degradation] = {
    "shadow": degradation.shadow,
    "tone": degradation.tone,
    "defocus": partial(degradation.defocus, radius=2.0),
    "motion": partial(degradation.motion, length=9.0),
    "noise": partial(degradation.noise, deviation=12.0),
    "low_resolution": partial(degradation.low_resolution, factor=3.0),
    "jpeg": partial(degradation.jpeg, lowest_quality=30),
    "photocopied": degradation.photocopied,
    "stains": degradation.stains,
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [(200, 300), (7, 9), (33, 600), (1, 1)])
def test_size_and_type_stay_and_the_rng_decides(name: str, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = picture.copy()
    for seed in range(10):
        once, again = (ALL[name](np.random.default_rng(seed), picture) for _ in range(2))
        assert once.shape == picture.shape
        assert once.dtype == np.uint8
        np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("name", ["defocus", "motion", "noise", "low_resolution", "jpeg"])
def test_nothing_is_moved(name: str) -> None:
    """The centre of a spot stays where it is."""
    picture = np.zeros((121, 161, 3), np.uint8)
    cv2.circle(picture, (80, 60), 12, (255, 255, 255), cv2.FILLED)
    y, x = np.mgrid[:121, :161]
    for seed in range(20):
        spot = ALL[name](np.random.default_rng(seed), picture)[:, :, 0].astype(float)
        spot[spot < 100] = 0  # noise around it
        centre = [(x * spot).sum() / spot.sum(), (y * spot).sum() / spot.sum()]
        np.testing.assert_allclose(centre, [80, 60], atol=0.6)


def test_noise_is_as_strong_as_asked_and_without_a_bias() -> None:
    picture = np.full((300, 700, 3), 128, np.uint8)
    for seed in range(20):
        noisy = degradation.noise(np.random.default_rng(seed), picture, deviation=10.0)
        assert noisy.std() <= 10.5  # rounding adds 0.3
        assert abs(noisy.mean() - 128) < 0.5


def test_blur_and_light_do_what_they_say() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        assert degradation.defocus(rng, picture, radius=1.5).std() < picture.std()
        assert degradation.motion(rng, picture, length=6.0).std() < picture.std()
        # Lit to at most 1.1 of what it was.
        assert degradation.shadow(rng, picture).mean() <= 1.1 * picture.mean()


def test_a_photocopy_is_grey_with_a_white_sheet_and_black_ink() -> None:
    picture = np.full((100, 100, 3), 190, np.uint8)
    picture[40:60, 20:80] = (90, 60, 40)
    for seed in range(10):
        copy = degradation.photocopied(np.random.default_rng(seed), picture)
        assert (copy[:, :, 0] == copy[:, :, 2]).all()
        assert np.median(copy[:20, 20:]) > 180
        assert np.median(copy[45:55, 30:70]) < 70
