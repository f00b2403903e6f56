"""Pixels of a sample, warped once from the images that a page consists of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.geometry import transform_points
from edgeocr_training.data.page_image import REDUCTIONS, PageImage
from edgeocr_training.data.page_layout import PageLayout, Patch
from edgeocr_training.data.view import View

# Images that would be decoded to fewer pixels than this are decoded whole.
_MIN_REDUCED_SIDE: Final = 16

Source = Callable[[PageImage, float], tuple[NDArray[np.uint8], NDArray[np.float64]]]
"""What is shown of an image at a scale of sample pixels per image pixel: (H, W) or (H, W, C), and
the (3, 3) map from its pixels to those of the image."""


def render_image(layout: PageLayout, view: View) -> NDArray[np.uint8]:
    """What the view shows of a page.

    Returns:
        (height, width, 3) uint8 BGR, the view's part that shows the page.

    Raises:
        SampleError: an image is broken.
    """
    if view.detail >= 1:
        return _render(layout, view.to_sample, view.width, view.height, _decoded)
    detail = view.detail
    shrink = np.diag([detail, detail, 1.0])
    coarse = _render(
        layout,
        shrink @ view.to_sample,
        max(1, math.ceil(view.width * detail)),
        max(1, math.ceil(view.height * detail)),
        _decoded,
    )
    grow = _between_pixel_centres(np.diag([1 / detail, 1 / detail, 1.0]))
    fine = cv2.warpAffine(
        coarse, grow[:2], (view.width, view.height), borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(fine, dtype=np.uint8)


def render_map(
    layout: PageLayout, view: View, map_of: Callable[[PageImage], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """What the view shows of maps that belong to the page's images.

    Args:
        layout: of the page.
        view: of the page.
        map_of: (h, w) of any size, stretched over its image.

    Returns:
        (height, width) uint8, the view's part that shows the page.
    """
    maps: dict[PageImage, NDArray[np.uint8]] = {}

    def source(image: PageImage, scale: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        if image not in maps:
            maps[image] = map_of(image)
        values = maps[image]
        width, height = image.size
        return values, np.diag([width / values.shape[1], height / values.shape[0], 1.0])

    return _render(layout, view.to_sample, view.width, view.height, source)


def _decoded(image: PageImage, scale: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    finest = min(image.size) / _MIN_REDUCED_SIDE
    reduction = next((r for r in REDUCTIONS if r * scale <= 1 and r <= finest), 1)
    return image.pixels(reduction), np.diag([float(reduction), reduction, 1.0])


def _render(
    layout: PageLayout, to_sample: NDArray[np.float64], width: int, height: int, source: Source
) -> NDArray[np.uint8]:
    scale = math.sqrt(abs(np.linalg.det(to_sample[:2, :2])))
    pixels, to_image = source(layout.image, scale)
    warp = _between_pixel_centres(to_sample @ to_image)
    canvas = np.asarray(cv2.warpAffine(pixels, warp[:2], (width, height)), dtype=np.uint8)
    for patch in layout.patches:
        # Patches lie on the page at their own size.
        _lay(patch, canvas, to_sample, scale, source)
    return canvas


def _lay(
    patch: Patch,
    canvas: NDArray[Any],
    to_sample: NDArray[np.float64],
    scale: float,
    source: Source,
) -> None:
    """Draws what a canvas shows of a patch, with smooth edges."""
    height, width = canvas.shape[:2]
    quad = transform_points(patch.quad, to_sample)
    (left, top), (right, bottom) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
    x0, x1 = max(math.floor(left), 0), min(math.ceil(right), width)
    y0, y1 = max(math.floor(top), 0), min(math.ceil(bottom), height)
    if x0 >= x1 or y0 >= y1:
        return
    to_canvas = to_sample @ patch.to_page
    pixels, to_image = source(patch.image, scale)
    shift = np.array([[1.0, 0, -x0], [0, 1, -y0], [0, 0, 1]])
    shown = cv2.warpPerspective(
        pixels,
        _between_pixel_centres(shift @ to_canvas @ to_image),
        (x1 - x0, y1 - y0),
        borderMode=cv2.BORDER_REPLICATE,
    )
    weight = _coverage(quad - np.array([x0, y0], dtype=np.float32), x1 - x0, y1 - y0)
    if canvas.ndim == 3:
        weight = weight[..., None]
    below = canvas[y0:y1, x0:x1]
    below[:] = np.rint(below + (shown - below.astype(np.float32)) * weight).astype(np.uint8)


def _coverage(quad: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """(height, width) share of each pixel that lies in a convex quad, by its nearest edge."""
    x_1W = np.arange(width, dtype=np.float32)[None] + np.float32(0.5)
    y_H1 = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)
    share_HW = np.ones((height, width), dtype=np.float32)
    edges = np.roll(quad, -1, axis=0) - quad
    # The sign of the area tells on which side of its edges the quad lies.
    side = np.sign(np.sum(quad[:, 0] * edges[:, 1] - quad[:, 1] * edges[:, 0]))
    for (x, y), edge in zip(quad, side * edges, strict=True):
        u, v = edge / max(np.hypot(*edge), np.float32(1e-6))
        inside_HW = (y_H1 - y) * u - (x_1W - x) * v
        np.minimum(share_HW, inside_HW + np.float32(0.5), out=share_HW)
    return np.maximum(share_HW, 0)


def _between_pixel_centres(homography_33: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same map for OpenCV, to which the centre of the first pixel is 0 and not 0.5."""
    half = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return np.asarray(np.linalg.inv(half) @ homography_33 @ half)
