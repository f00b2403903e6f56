"""Text image augmentation: fiducial points along a line move at random, and the line with them.

Luo et al., "Learn to Augment" (arXiv:2003.06606), in the random version that PP-OCR uses, without
the agent that learns how to move the points. Between the points the image is warped by moving
least squares (Schaefer et al., SIGGRAPH 2006), with the similarities of its section 2.2.

PP-OCR's points move by a share of the distance from one to the next. In long lines that is several
times the height, and folds letters over; here the distance counts as no longer than the line is
high, which is less only where it is longer.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.geometry import Points

PROBABILITY: Final = 0.4
"""Of each of the three, on its own."""
LEAST_SIDE: Final = 20
"""Pixels below which a line is neither distorted nor stretched."""
SEGMENTS: Final = (3, 6)
"""Least and most parts into which a line is divided."""
GRID_STEP: Final = 8
"""Pixels; the map is worked out at the nodes of a grid and bilinear between them. PP-OCR's has
steps of 100, which leaves little of the bending that moving least squares is for."""


def tia_augmented(line_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Distorts, stretches and tilts, each with probability :data:`PROBABILITY`, in PP-OCR's order.

    Args:
        line_HW3: uint8.
        rng: source of all randomness.

    Returns:
        A line of the same size.
    """
    large = min(line_HW3.shape[:2]) >= LEAST_SIDE
    if large and rng.random() < PROBABILITY:
        line_HW3 = distorted(line_HW3, rng)
    if large and rng.random() < PROBABILITY:
        line_HW3 = stretched(line_HW3, rng)
    if rng.random() < PROBABILITY:
        line_HW3 = tilted(line_HW3, rng)
    return line_HW3


def distorted(line_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Moves all points along both axes, by less than a third of a part: ``tia_distort``."""
    height, width = line_HW3.shape[:2]
    part, source_N2 = _fiducials(height, width, rng)
    reach = part // 3
    moves_N2 = _below(rng, reach, source_N2.shape)
    corners = [0, len(source_N2) // 2 - 1, len(source_N2) // 2, len(source_N2) - 1]
    inner = np.setdiff1d(np.arange(len(source_N2)), corners)
    moves_N2[corners] *= [[1, 1], [-1, 1], [1, -1], [-1, -1]]  # into the image
    moves_N2[inner] -= reach / 2
    return _warped(line_HW3, source_N2, source_N2 + moves_N2)


def stretched(line_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Makes parts of the line wider or narrower: ``tia_stretch``."""
    height, width = line_HW3.shape[:2]
    part, source_N2 = _fiducials(height, width, rng)
    reach = part * 4 // 5
    moves_K = _below(rng, reach, len(source_N2) // 2) - reach / 2
    moves_K[[0, -1]] = 0
    moves_N2 = np.column_stack([np.tile(moves_K, 2), np.zeros(len(source_N2))])
    return _warped(line_HW3, source_N2, source_N2 + moves_N2)


def tilted(line_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Moves each corner up or down into the line: ``tia_perspective``."""
    height, width = line_HW3.shape[:2]
    corners_42 = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    moves_42 = np.zeros((4, 2))
    moves_42[:, 1] = _below(rng, height // 2, 4) * (1, 1, -1, -1)
    return _warped(line_HW3, corners_42, corners_42 + moves_42)


def _fiducials(
    height: int, width: int, rng: np.random.Generator
) -> tuple[int, NDArray[np.float64]]:
    """Length of a part, at most the height, and (2 (n + 1), 2) points: the top ones first."""
    low, high = SEGMENTS
    segments = int(rng.integers(low, high + 1))
    cut = width // segments
    x_K = np.append(cut * np.arange(segments, dtype=np.float64), width)
    return min(cut, height), np.column_stack([np.tile(x_K, 2), np.repeat([0.0, height], len(x_K))])


def _below(rng: np.random.Generator, reach: Any, shape: Any) -> NDArray[np.float64]:
    """Whole numbers from 0 and below ``reach``; 0 where that is 0."""
    return np.asarray(rng.integers(np.maximum(reach, 1), size=shape), dtype=np.float64)


def _warped(
    line_HW3: NDArray[np.uint8], source_N2: NDArray[np.float64], target_N2: NDArray[np.float64]
) -> NDArray[np.uint8]:
    height, width = line_HW3.shape[:2]
    x_HW, y_HW = source_map(height, width, source_N2, target_N2)
    warped = cv2.remap(line_HW3, x_HW, y_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, dtype=np.uint8)


def source_map(
    height: int, width: int, source_N2: Points, target_N2: Points
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where each pixel of the warped image comes from.

    Args:
        height: of the image in pixels.
        width: of the image in pixels.
        source_N2: points, (x, y) in continuous pixels.
        target_N2: where they go.

    Returns:
        x and y of the source, (height, width) float32 each, counted from the middle of the first
        pixel as ``cv2.remap`` wants them.
    """
    node_x_U, weights_WU = _nodes(width)
    node_y_V, weights_HV = _nodes(height)
    nodes_VU2 = np.stack(np.meshgrid(node_x_U, node_y_V), axis=-1)
    sources_VU2 = moving_least_squares(nodes_VU2, target_N2, source_N2)
    x_HW, y_HW = (weights_HV @ sources_VU2[..., i] @ weights_WU.T - 0.5 for i in (0, 1))
    return x_HW.astype(np.float32), y_HW.astype(np.float32)


def _nodes(length: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """K nodes from 0 to ``length``, and the (length, K) weights of each middle of a pixel."""
    cells = max(1, round(length / GRID_STEP))
    place = (np.arange(length) + 0.5) * cells / length
    offset = place[:, None] - np.arange(cells + 1)
    nodes = np.linspace(0, length, cells + 1, dtype=np.float64)
    return nodes, np.asarray(np.maximum(0.0, 1 - np.abs(offset)))


def moving_least_squares(
    places_XY2: NDArray[np.float64], from_N2: Points, to_N2: Points
) -> NDArray[np.float64]:
    """Sends places where the similarity that fits the points best from there sends them.

    The points weigh ``1 / d²`` by their distance from the place (equation 1 of Schaefer et al.).
    Read as complex numbers, with ``p*`` and ``q*`` the weighted means, the best similarity sends
    v to ``q* + (v - p*) Σ w q̂ conj(p̂) / Σ w |p̂|²``, which is their equation 7.

    Args:
        places_XY2: (..., 2).
        from_N2: at least two different points.
        to_N2: where they go; each is sent there exactly.
    """
    v = (places_XY2[..., 0] + 1j * places_XY2[..., 1])[..., None]
    p_N = np.asarray(from_N2[:, 0] + 1j * from_N2[:, 1])
    q_N = np.asarray(to_N2[:, 0] + 1j * to_N2[:, 1])
    away = v - p_N
    # A place on a point has nearly all of its weight there, which is exact to 1e-6 pixels.
    weights = 1 / np.maximum(away.real**2 + away.imag**2, 1e-9)
    weights /= weights.sum(-1, keepdims=True)
    p_mean, q_mean = ((weights * z).sum(-1, keepdims=True) for z in (p_N, q_N))
    p_hat, q_hat = p_N - p_mean, q_N - q_mean
    turn = (weights * q_hat * p_hat.conj()).sum(-1, keepdims=True)
    turn /= (weights * (p_hat.real**2 + p_hat.imag**2)).sum(-1, keepdims=True)
    sent = (q_mean + (v - p_mean) * turn)[..., 0]
    return np.stack([sent.real, sent.imag], axis=-1)
