"""The center loss of Enhanced CTC (PP-OCRv2, arXiv:2109.03144, section 2.3).

Features of one character shall lie close together, so that characters that look alike are told
apart: ``L = mean_t ||x_t - c_{y_t}||^2``, where x_t is the feature at step t, y_t the class that
the recogniser sees there, the blank among them, and c the class's center (Wen et al., "A
Discriminative Feature Learning Approach for Deep Face Recognition", ECCV 2016). A step has no
label of its own in CTC, which is why the recogniser is believed.

Centers are measured once, with a recogniser that was trained without this loss, and stay.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeocr.whole_files import write_whole
from edgeocr_training.errors import CheckpointError, RecipeError

_FARTHEST = 1e12
"""Squared distance from which on a step no longer pulls, as in PaddleOCR."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Centers:
    """The mean feature of every class."""

    means_KC: NDArray[np.float32]
    """Zeros for a class that was never seen."""
    counts_K: NDArray[np.int64]
    """Steps that a mean is of."""


def save_centers(centers: Centers, path: Path) -> None:
    """Writes an .npz file with ``means`` and ``counts``, whole or not at all.

    Raises:
        CheckpointError: it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, means=centers.means_KC, counts=centers.counts_K)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise CheckpointError(f"Cannot write {path}: {error.strerror}") from error


def load_centers(path: Path) -> Centers:
    """Reads what :func:`save_centers` writes.

    Raises:
        CheckpointError: the file is missing, damaged, or of something else.
    """
    try:
        # From memory: of a damaged file NumPy leaves the handle open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            means_KC, counts_K = content["means"], content["counts"]
    except FileNotFoundError:
        raise CheckpointError(
            f"There are no centers {path}: `edgeocr-train centers` measures them"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged, or no file of centers") from error
    if means_KC.ndim != 2 or counts_K.shape != means_KC.shape[:1]:
        raise CheckpointError(
            f"{path} is no file of centers: its means have the shape {means_KC.shape}, "
            f"its counts {counts_K.shape}"
        )
    if not (np.isfinite(means_KC).all() and (counts_K > 0).any()):
        raise CheckpointError(f"{path} has no center, or one that is not finite")
    return Centers(means_KC=means_KC.astype(np.float32), counts_K=counts_K.astype(np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class CenterLossConfig:
    """Where the centers are, and how much the loss counts."""

    centers: str
    """File that ``edgeocr-train centers`` wrote."""
    weight: float = 0.05
    """As in PaddleOCR's recipe; its documentation speaks of 0.25."""

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise RecipeError(f"weight is {self.weight}; it is positive")

    def build(self) -> CenterLoss:
        """Reads the centers.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        return CenterLoss(load_centers(Path(self.centers)), source=self.centers)


class CenterLoss(nn.Module):
    """``mean_t ||x_t - c_{y_t}||^2`` before it is weighted.

    Centers are not trained. They are in no ``state_dict``: they come from a file.

    PaddleOCR has random centers for the classes that its file lacks. Here steps of such classes
    pull nowhere; they count as 0 in the mean.
    """

    means_KC: Tensor
    known_K: Tensor

    def __init__(self, centers: Centers, *, source: str) -> None:
        """``source`` is the centers' file, for messages."""
        super().__init__()
        self._source = source
        self.register_buffer("means_KC", torch.from_numpy(centers.means_KC), persistent=False)
        self.register_buffer("known_K", torch.from_numpy(centers.counts_K > 0), persistent=False)

    def forward(self, features_BTC: Tensor, logits_BTK: Tensor) -> Tensor:
        """A scalar; gradients reach the features alone.

        Raises:
            CheckpointError: the centers are of other classes or other features.
        """
        wanted = (logits_BTK.shape[2], features_BTC.shape[2])
        if self.means_KC.shape != wanted:
            have = tuple(self.means_KC.shape)
            raise CheckpointError(
                f"{self._source} has {have[0]} centers of {have[1]} numbers; this recogniser "
                f"has {wanted[0]} classes and features of {wanted[1]}"
            )
        class_BT = logits_BTK.argmax(dim=2)
        squared_BT = (features_BTC.float() - self.means_KC[class_BT]).square().sum(dim=2)
        pulling_BT = self.known_K[class_BT]
        return (squared_BT.clamp(max=_FARTHEST) * pulling_BT).mean()
