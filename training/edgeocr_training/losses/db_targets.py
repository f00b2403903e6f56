"""What a DB detector's maps should be, from the labels of a batch.

Labels are as large as the image. A detector of which the maps are smaller gets labels of its own
size: every pixel of a map answers for a square of label pixels. Pooling the labels and not
enlarging the maps keeps a loss per pixel that the network emits, and costs a quarter at half size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.interfaces import DbMaps

_LEVELS = 255.0
"""Label maps in [0, 1] travel as uint8."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DbTargets:
    """Labels at the size of a network's maps, all (B, 1, H, W) float32."""

    shrink_map_B1HW: Tensor
    """1 inside of the shrunk outline of a text (its kernel), 0 elsewhere."""
    shrink_mask_B1HW: Tensor
    """1 where the loss of the kernels counts, 0 on text that nobody can read."""
    threshold_map_B1HW: Tensor
    """Near the outlines of text up to 0.7, 0.3 far from them."""
    threshold_mask_B1HW: Tensor
    """1 where the loss of the threshold map counts: in the outlines grown."""


def db_targets(tensors: Mapping[str, Tensor], *, size: tuple[int, int]) -> DbTargets:
    """Makes the targets of a batch, on its device.

    Args:
        tensors: ``shrink_map``, ``shrink_mask``, ``threshold_mask`` (B, S, S) uint8 0 or 1, and
            ``threshold_map`` (B, S, S) uint8, 255 standing for 1.
        size: (height, width) of the network's maps; the labels' divided by a whole number.

    Raises:
        RecipeError: the labels do not divide into maps of that size.
    """
    threshold_mask = _as_B1HW(tensors["threshold_mask"])
    threshold_map = _as_B1HW(tensors["threshold_map"]) / _LEVELS
    stride = _stride(threshold_mask, size)
    if stride > 1:
        # The mean over what is labelled: beyond it the map holds the floor of 0.3, no label.
        labelled = F.avg_pool2d(threshold_mask, stride)
        sums = F.avg_pool2d(threshold_map * threshold_mask, stride)
        threshold_map = sums / labelled.clamp(min=1.0 / stride**2)
        threshold_mask = (labelled >= 0.5).float()
    return DbTargets(
        shrink_map_B1HW=pooled_kernels(_as_B1HW(tensors["shrink_map"]), size=size),
        shrink_mask_B1HW=pooled_mask(_as_B1HW(tensors["shrink_mask"]), size=size),
        threshold_map_B1HW=threshold_map,
        threshold_mask_B1HW=threshold_mask,
    )


def size_of(maps: DbMaps) -> tuple[int, int]:
    """Height and width of a network's maps."""
    height, width = maps.probability_B1HW.shape[2:]
    return height, width


def teacher_map_of(tensors: Mapping[str, Tensor]) -> Tensor:
    """The teacher's probabilities of a batch, (B, 1, S, S) float32 in [0, 1].

    Args:
        tensors: with ``teacher_map`` (B, S, S) uint8, 255 standing for 1.

    Raises:
        RecipeError: the data have no maps of a teacher.
    """
    if "teacher_map" not in tensors:
        raise RecipeError(
            "the batches have no teacher_map: give the data teacher_maps, or the task a teacher"
        )
    return _as_B1HW(tensors["teacher_map"]) / _LEVELS


def pooled_kernels(kernels_B1HW: Tensor, *, size: tuple[int, int]) -> Tensor:
    """Kernels at another size: 1 where at least half of a square is kernel.

    The kernel of the smallest text that is learnt, 8 pixels high, is one pixel high or two. Half
    a square is enough for it to stay, wherever it lies. Taking the largest value instead would
    join lines that stand close, the mean would ask for probabilities that no text has.
    """
    stride = _stride(kernels_B1HW, size)
    if stride == 1:
        return kernels_B1HW
    return (F.avg_pool2d(kernels_B1HW, stride) >= 0.5).float()


def pooled_mask(mask_B1HW: Tensor, *, size: tuple[int, int]) -> Tensor:
    """A mask at another size: a square counts where all of its pixels do."""
    stride = _stride(mask_B1HW, size)
    return -F.max_pool2d(-mask_B1HW, stride) if stride > 1 else mask_B1HW


def _as_B1HW(labels_BHW: Tensor) -> Tensor:
    return labels_BHW.to(torch.float32).unsqueeze(1)


def _stride(labels_B1HW: Tensor, size: tuple[int, int]) -> int:
    height, width = labels_B1HW.shape[2:]
    stride = height // size[0]
    if stride < 1 or (size[0] * stride, size[1] * stride) != (height, width):
        raise RecipeError(
            f"labels of {height}x{width} pixels do not fit maps of {size[0]}x{size[1]}: crops "
            "must be a multiple of 32 pixels, and their labels as large as their images"
        )
    return stride
