"""AutoAugment and RandAugment: known operations on an image, after a policy or at random.

Cubuk et al., arXiv:1805.09501 and arXiv:1909.13719, with the ranges of PaddleClas and PaddleOCR.
The operations themselves are Pillow's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from edgeocr_training.errors import RecipeError

GREY: Final = (128, 128, 128)
"""Where an image is moved away."""
RAND_AUGMENT_PROBABILITY: Final = 0.5
MOST_MAGNITUDE: Final = 10.0

Operation = Callable[[Image.Image, float], Image.Image]


def _affine(image: Image.Image, coefficients: tuple[float, ...]) -> Image.Image:
    return image.transform(
        image.size,
        Image.Transform.AFFINE,
        coefficients,
        resample=Image.Resampling.BICUBIC,
        fillcolor=GREY,
    )


def _autocontrast(image: Image.Image, _: float) -> Image.Image:
    return ImageOps.autocontrast(image)


def _equalize(image: Image.Image, _: float) -> Image.Image:
    return ImageOps.equalize(image)


def _invert(image: Image.Image, _: float) -> Image.Image:
    return ImageOps.invert(image)


OPERATIONS: Final[Mapping[str, Operation]] = {
    "shear_x": lambda image, level: _affine(image, (1, level, -level * image.height / 2, 0, 1, 0)),
    "shear_y": lambda image, level: _affine(image, (1, 0, 0, level, 1, -level * image.width / 2)),
    "translate_x": lambda image, level: _affine(image, (1, 0, level * image.width, 0, 1, 0)),
    "translate_y": lambda image, level: _affine(image, (1, 0, 0, 0, 1, level * image.height)),
    "rotate": lambda image, level: image.rotate(
        level, resample=Image.Resampling.BICUBIC, fillcolor=GREY
    ),
    "color": lambda image, level: ImageEnhance.Color(image).enhance(1 + level),
    "contrast": lambda image, level: ImageEnhance.Contrast(image).enhance(1 + level),
    "sharpness": lambda image, level: ImageEnhance.Sharpness(image).enhance(1 + level),
    "brightness": lambda image, level: ImageEnhance.Brightness(image).enhance(1 + level),
    "posterize": lambda image, level: ImageOps.posterize(image, int(level)),
    "solarize": lambda image, level: ImageOps.solarize(image, int(level)),
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "invert": _invert,
}
"""The 14 operations. A level is a slope, a share of width or height, degrees, what is added to a
factor of 1, bits that are kept, or the least grey level that is inverted.

Shearing is about the middle. PaddleOCR's is about the upper left corner, which pushes the far half
of a long line out of the image."""

_SIGNED: Final[Mapping[str, float]] = {
    "shear_x": 0.3,
    "shear_y": 0.3,
    "translate_x": 150 / 331,
    "translate_y": 150 / 331,
    "rotate": 30.0,
    "color": 0.9,
    "contrast": 0.9,
    "sharpness": 0.9,
    "brightness": 0.9,
}
"""Greatest level of those whose level has a random sign."""

_Step = tuple[str, float, int]
"""An operation, its probability, and its magnitude of 0 to 9."""

IMAGENET_POLICY: Final[tuple[tuple[_Step, _Step], ...]] = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
    (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
    (("equalize", 0.4, 4), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, 7)),
    (("posterize", 0.8, 5), ("equalize", 1.0, 2)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, 8), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("color", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, 2)),
    (("equalize", 0.0, 7), ("equalize", 0.8, 8)),
    (("invert", 0.6, 4), ("equalize", 1.0, 8)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("color", 1.0, 2)),
    (("color", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, 8)),
    (("shear_x", 0.6, 5), ("equalize", 1.0, 9)),
    (("color", 0.4, 0), ("equalize", 0.6, 3)),
    (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
    (("invert", 0.6, 4), ("equalize", 1.0, 8)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
)
"""The 25 sub-policies that AutoAugment found on ImageNet (table 9 of the paper)."""


def auto_augmented(image_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Applies one sub-policy of :data:`IMAGENET_POLICY`, drawn evenly.

    Args:
        image_HW3: uint8 BGR.
        rng: source of all randomness.
    """
    image = _to_pillow(image_HW3)
    for name, probability, magnitude in IMAGENET_POLICY[rng.integers(len(IMAGENET_POLICY))]:
        if rng.random() < probability:
            image = OPERATIONS[name](image, _auto_level(name, magnitude / 9, rng))
    return _from_pillow(image)


def _auto_level(name: str, share: float, rng: np.random.Generator) -> float:
    if name == "posterize":
        return float(round(8 - 4 * share))
    if name == "solarize":
        return 256 * (1 - share)
    return _signed_level(name, share, rng)


def check_rand_augment(operations: int, magnitude: float) -> None:
    """Refuses parameters that RandAugment can't have.

    Raises:
        RecipeError: one is outside of its range.
    """
    if operations < 1:
        raise RecipeError(f"RandAugment with N = {operations} operations: at least 1")
    if not 0 < magnitude <= MOST_MAGNITUDE:
        raise RecipeError(f"RandAugment with M = {magnitude}: above 0, at most {MOST_MAGNITUDE}")


def rand_augmented(
    image_HW3: NDArray[np.uint8], rng: np.random.Generator, *, operations: int, magnitude: float
) -> NDArray[np.uint8]:
    """With probability :data:`RAND_AUGMENT_PROBABILITY`, applies operations drawn evenly.

    Args:
        image_HW3: uint8 BGR.
        rng: source of all randomness.
        operations: N, how many; each may come again.
        magnitude: M, of all of them, up to :data:`MOST_MAGNITUDE`.
    """
    if rng.random() >= RAND_AUGMENT_PROBABILITY:
        return image_HW3
    image = _to_pillow(image_HW3)
    names = list(OPERATIONS)
    for index in rng.integers(len(names), size=operations).tolist():
        level = _rand_level(names[index], magnitude / MOST_MAGNITUDE, rng)
        image = OPERATIONS[names[index]](image, level)
    return _from_pillow(image)


def _rand_level(name: str, share: float, rng: np.random.Generator) -> float:
    if name == "posterize":
        # PaddleOCR keeps more bits at greater magnitudes, and below 2.5 none: a black image.
        return max(1, int(4 * share))
    if name == "solarize":
        return 256 * share
    return _signed_level(name, share, rng)


def _signed_level(name: str, share: float, rng: np.random.Generator) -> float:
    # PaddleOCR turns to one side only; the paper to both.
    return float(_SIGNED.get(name, 0.0) * share * rng.choice([-1, 1]))


def _to_pillow(image_HW3: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image_HW3[..., ::-1]))


def _from_pillow(image: Image.Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.asarray(image, dtype=np.uint8)[..., ::-1])
