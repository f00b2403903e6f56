"""Where the classes lie in a trained recogniser's features: the centers of the center loss.

As in PaddleOCR: over the training lines without augmentation that are read without an error, the
mean feature of the steps at which each class is the likeliest, the blank among them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from edgeocr.ctc import greedy_path
from edgeocr_training.data.line_dataset import LinesConfig
from edgeocr_training.data.loader import TrainingLoader
from edgeocr_training.data.sample import Batch
from edgeocr_training.errors import DataError, RecipeError
from edgeocr_training.evaluation.measuring import measuring
from edgeocr_training.losses.center import Centers
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.models.text_line import CtcOutput
from edgeocr_training.recipe import Recipe


def measure_centers(student: nn.Module, recipe: Recipe, *, device: torch.device) -> Centers:
    """Shows a recogniser the lines of an epoch of a recipe; some again, to fill the last batch.

    Args:
        student: a trained :class:`~edgeocr_training.models.recogniser.Recogniser` on ``device``.
        recipe: whose data is shown, without augmentation, in its batches.
        device: that the student is on.

    Raises:
        RecipeError: the student is no recogniser, or the recipe's data are no lines.
        DataError: the data is missing or broken, or no line is read without an error.
    """
    if not isinstance(student, Recogniser):
        raise RecipeError(f"a {type(student).__name__} has no centers: a Recogniser has")
    if not isinstance(recipe.data, LinesConfig):
        raise RecipeError(f"{recipe.name} has no lines of text to measure centers with")
    dataset = replace(recipe.data, tia=False, rec_aug=False, rec_con_aug=False).build()
    loader = TrainingLoader(
        dataset,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        workers=recipe.workers,
        tolerated_broken=recipe.tolerated_broken_samples,
    )
    sums = _Sums()
    with (
        measuring(student, None),
        tqdm(total=len(loader), desc="centers", unit="batch", leave=False, disable=None) as bar,
    ):
        try:
            for batch in loader.epoch(0):
                with torch.inference_mode():
                    image_B3HW = student.normalise(batch.tensors["image"].to(device))
                    sums.add(student(image_B3HW), batch)
                bar.update()
        finally:
            loader.close()
    return sums.centers()


class _Sums:
    """Sums of features by class."""

    def __init__(self) -> None:
        self._sums_KC: torch.Tensor | None = None
        self._counts_K = torch.zeros(0, dtype=torch.int64)

    def add(self, output: CtcOutput, batch: Batch) -> None:
        features_BTC = output.features_BTC.double().cpu()
        logits_BTK = output.logits_BTK.cpu()
        if self._sums_KC is None:
            shape = (logits_BTK.shape[2], features_BTC.shape[2])
            self._sums_KC = torch.zeros(shape, dtype=torch.float64)
            self._counts_K = torch.zeros(shape[0], dtype=torch.int64)
        for features_TC, logits_TK, label_L, length in zip(
            features_BTC,
            logits_BTK,
            batch.tensors["label"],
            batch.tensors["label_length"].tolist(),
            strict=True,
        ):
            found = greedy_path(logits_TK.numpy(), outputs="logits").indices
            if np.array_equal(found, label_L[:length].numpy()):
                class_T = logits_TK.argmax(dim=1)
                self._sums_KC.index_add_(0, class_T, features_TC)
                self._counts_K += class_T.bincount(minlength=len(self._counts_K))

    def centers(self) -> Centers:
        if self._sums_KC is None or not bool((self._counts_K > 0).any()):
            raise DataError("no line is read without an error: train the recogniser longer")
        means_KC = self._sums_KC / self._counts_K.clamp(min=1)[:, None]
        return Centers(means_KC=means_KC.float().numpy(), counts_K=self._counts_K.numpy())
