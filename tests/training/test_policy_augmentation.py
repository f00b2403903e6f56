"""Operations do what their level says; policies draw them with the probabilities they state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edgeocr_training.data.policy_augmentation import (
    IMAGENET_POLICY,
    OPERATIONS,
    auto_augmented,
    check_rand_augment,
    rand_augmented,
)
from edgeocr_training.errors import RecipeError


def picture(height: int = 20, width: int = 50) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def applied(name: str, level: float, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(OPERATIONS[name](Image.fromarray(image), level))


def test_there_are_14_operations_and_25_sub_policies_of_them() -> None:
    assert len(OPERATIONS) == 14
    assert len(IMAGENET_POLICY) == 25
    assert {name for pair in IMAGENET_POLICY for name, _, _ in pair} <= set(OPERATIONS)


@pytest.mark.parametrize(
    "name",
    [
        *("shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
        *("color", "contrast", "sharpness", "brightness"),
    ],
)
def test_the_level_0_changes_nothing(name: str) -> None:
    np.testing.assert_array_equal(applied(name, 0.0, picture()), picture())


def test_operations_do_what_their_level_says() -> None:
    image = picture()
    np.testing.assert_array_equal(applied("invert", 0, image), 255 - image)
    np.testing.assert_array_equal(applied("posterize", 2, image), image & 0b11000000)
    np.testing.assert_array_equal(
        applied("solarize", 128, image), np.where(image < 128, image, 255 - image)
    )
    np.testing.assert_array_equal(applied("translate_x", 0.2, image)[:, :40], image[:, 10:])
    assert (applied("translate_x", 0.2, image)[:, 40:] == 128).all()
    np.testing.assert_array_equal(applied("translate_y", -0.5, image)[10:], image[:10])
    for name in ("shear_x", "shear_y"):
        # The middle stays; the ends of 51 columns move by up to 5 rows, and 10 columns at most.
        odd = picture(21, 51)
        sheared = applied(name, 0.2, odd)
        np.testing.assert_allclose(sheared[10, 25], odd[10, 25], atol=40)
        assert ((sheared == 128).all(axis=2).any(axis=0)[[0, -1]]).all()
    np.testing.assert_array_equal(applied("brightness", -1, image), 0 * image)
    grey = applied("color", -1, image)
    assert np.array_equal(grey[..., 0], grey[..., 2])


@given(st.integers(1, 30), st.integers(1, 60), st.integers(0, 2**32), st.floats(0.1, 10))
@settings(max_examples=40)
def test_any_image_keeps_size_and_type(height: int, width: int, seed: int, m: float) -> None:
    image = picture(height, width)
    before = image.copy()
    for _ in range(3):
        auto = auto_augmented(image, np.random.default_rng(seed))
        rand = rand_augmented(image, np.random.default_rng(seed), operations=2, magnitude=m)
        for augmented in (auto, rand):
            assert (augmented.shape, augmented.dtype) == (image.shape, image.dtype)
    assert np.array_equal(auto, auto_augmented(image, np.random.default_rng(seed)))
    assert np.array_equal(image, before)


def test_half_of_the_images_are_rand_augmented() -> None:
    """Of 600 all that are drawn change, but for some operations that find nothing to do."""
    image = picture()
    rng = np.random.default_rng(0)
    changed = sum(
        not np.array_equal(rand_augmented(image, rng, operations=2, magnitude=5), image)
        for _ in range(600)
    )
    # Two of 14 operations may leave random pixels as they are: (2 / 14)^2 of the half.
    assert abs(changed - 300 * (1 - (2 / 14) ** 2)) < 4 * np.sqrt(600 / 4) + 3


def test_magnitude_moves_levels() -> None:
    """PaddleOCR's range of shifts: 150 / 331 of the width at M = 10."""
    image = np.full((40, 331, 3), 255, dtype=np.uint8)
    rng = np.random.default_rng(0)
    widest = {5.0: 0, 10.0: 0}
    for magnitude in widest:
        for _ in range(150):
            moved = rand_augmented(image, rng, operations=1, magnitude=magnitude)
            grey_W = (moved == 128).all(axis=(0, 2))
            if np.count_nonzero(np.diff(grey_W)) == 1:  # others leave grey at both ends
                widest[magnitude] = max(widest[magnitude], int(grey_W.sum()))
    assert widest == {5.0: 75, 10.0: 150}


def test_colours_are_bgr() -> None:
    """Grey of blue, by its weight of 0.114, is darker than grey of red, by 0.299."""
    blue, red = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    blue[..., 0], red[..., 2] = 255, 255
    policy = IMAGENET_POLICY.index((("rotate", 0.8, 8), ("color", 1.0, 2)))
    assert policy >= 0
    for seed in range(200):
        shown = [auto_augmented(image, np.random.default_rng(seed)) for image in (blue, red)]
        others = [int(image[4, 4, 1]) for image in shown]
        if 0 < others[0] < 255 and np.ptp(shown[0], axis=(0, 1)).max() == 0 and others[1] < 255:
            assert others[0] < others[1]
            return
    pytest.fail("no seed took colour away")


@pytest.mark.parametrize(("n", "m"), [(0, 5.0), (2, 0.0), (2, 10.1), (2, float("nan"))])
def test_what_rand_augment_cannot_be_is_refused(n: int, m: float) -> None:
    with pytest.raises(RecipeError, match="RandAugment with"):
        check_rand_augment(n, m)
