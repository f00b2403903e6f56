"""The loss of a recogniser: connectionist temporal classification (Graves et al., ICML 2006).

``L = -ln sum over paths of prod_t p_t(path_t)``, over all paths of T steps that read as the label
once repeats are merged and blanks dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeocr.ctc import BLANK


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CtcLossTerms:
    """The loss of a batch, both scalars."""

    mean: Tensor
    """Over the lines, whatever their lengths, as PaddleOCR has it."""
    unreachable: Tensor
    """Share of the lines whose label needs more steps than there are, in [0, 1]: they count as 0
    in the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CtcLoss:
    """The mean over the lines of a batch, which may be weighted by how hard they are.

    Every line has all steps, padding too, as in PaddleOCR and as the product decodes it.
    """

    focal: bool = False
    """PaddleOCR's ``(1 - exp(-L))^2 L``, where exp(-L) is the probability of the label: what is
    read surely counts little (Lin et al., arXiv:1708.02002, with gamma 2 and alpha 1)."""

    def __call__(self, logits_BTK: Tensor, label_BL: Tensor, length_B: Tensor) -> CtcLossTerms:
        """Compares logits with labels.

        Args:
            logits_BTK: of any floating dtype; the loss is computed in float32. Class 0 is the
                blank.
            label_BL: classes of the characters, integers; what is behind a label is not read.
            length_B: characters of each label, integers; 0 of an empty line.
        """
        label_BL, length_B = label_BL.long(), length_B.long()
        steps = logits_BTK.shape[1]
        # Autocast would have it in bfloat16, whose sums over thousands of classes are too coarse.
        with torch.autocast(logits_BTK.device.type, enabled=False):
            loss_B = F.ctc_loss(
                logits_BTK.float().log_softmax(dim=2).transpose(0, 1),
                label_BL,
                torch.full_like(length_B, steps),
                length_B,
                blank=BLANK,
                reduction="none",
                # No path is long enough for some labels: an infinite loss without a gradient.
                zero_infinity=True,
            )
            if self.focal:
                loss_B = (1 - torch.exp(-loss_B)).square() * loss_B
        unreachable_B = needed_steps(label_BL, length_B) > steps
        return CtcLossTerms(mean=loss_B.mean(), unreachable=unreachable_B.float().mean())


def needed_steps(label_BL: Tensor, length_B: Tensor) -> Tensor:
    """Steps of the shortest path of each label (B,): a blank parts equal neighbours."""
    second_L = torch.arange(1, label_BL.shape[1], device=label_BL.device)
    repeats_BL = (label_BL[:, 1:] == label_BL[:, :-1]) & (second_L < length_B[:, None])
    return length_B + repeats_BL.sum(dim=1)
