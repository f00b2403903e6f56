"""Which filters of a layer it can do without.

FPGM (filter pruning via geometric median; He et al., CVPR 2019, arXiv:1811.00250). The geometric
median of a layer's filters F_1 ... F_n, each a vector of all its weights, is

    x* = argmin_x  sum_j ||x - F_j||_2

Filters near x* lie in the midst of the others, which can take over what they do. As in the paper
it is looked for among the filters themselves, so that the score of a filter is

    S(F_i) = sum_j ||F_i - F_j||_2

and those with the least S go. A norm criterion needs some filters to be much smaller than others;
this one needs some to be alike.

L1 (Li et al., ICLR 2017, arXiv:1608.08710) is that norm criterion, for comparison:
S(F_i) = ||F_i||_1.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import torch
from torch import Tensor

Criterion: TypeAlias = Literal["fpgm", "l1"]

CRITERIA: Final[tuple[Criterion, ...]] = get_args(Criterion)


def filter_scores(filters_ND: Tensor, criterion: Criterion) -> Tensor:
    """Scores of a layer's filters; the least go first.

    Args:
        filters_ND: N filters of D weights each, of any floating type.
        criterion: see the module.

    Returns:
        (N,) float64, not negative.
    """
    filters_ND = filters_ND.double()
    if criterion == "l1":
        return filters_ND.abs().sum(dim=1)
    # The exact differences: through a matrix product equal filters would be a little apart.
    distances_NN = torch.cdist(filters_ND, filters_ND, compute_mode="donot_use_mm_for_euclid_dist")
    return distances_NN.sum(dim=1)
