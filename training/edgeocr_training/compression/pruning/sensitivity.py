"""What a network loses when a single layer is pruned, by the share of the channels that go.

One group of channels after the other loses 10 %, 20 % ... of them; the network is measured as its
recipe says, without training in between, and made whole again. Losses are relative,
``(before - after) / |before|``, so that 0.02 is two percent of what the network could do.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import nn

from edgeocr.whole_files import write_whole
from edgeocr_training.compression.pruning.criterion import CRITERIA, Criterion
from edgeocr_training.errors import CompressionError

RATIOS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

_FORMAT: Final = "edgeocr sensitivity, version 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How a network fares with fewer channels of one group."""

    makers: tuple[str, ...]
    """Layers whose filters go."""
    channels: int
    """Of the group."""
    figures: Mapping[float, float]
    """What the network reached, by the ratio of channels that were gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """The curves of a network's groups."""

    recipe: str
    """Its name."""
    weights: str
    """See :func:`weights_digest`."""
    criterion: Criterion
    """By which channels went."""
    evaluation: Mapping[str, Any]
    """Of the recipe, as :func:`~edgeocr_training.recipe_json.recipe_data` has it."""
    metric: str
    """The name of the figures; more is better."""
    unpruned: float
    """The figure of the whole network."""
    curves: Mapping[str, Curve]
    """By the groups' names."""

    def loss(self, group: str, ratio: float) -> float:
        """Relative to the whole network, of a ratio that was measured; negative is a gain."""
        return (self.unpruned - self.curves[group].figures[ratio]) / abs(self.unpruned)

    def largest_loss(self) -> float:
        """Over all groups and ratios, 0 at least."""
        losses = [
            self.loss(name, ratio) for name, curve in self.curves.items() for ratio in curve.figures
        ]
        return max(0.0, *losses)

    def ratio_for_loss(self, group: str, max_loss: float) -> float:
        """The largest ratio that costs at most ``max_loss``, between the measured ones linearly.

        A curve begins with no loss at 0 and ends at its last measured ratio.

        Raises:
            CompressionError: the group was not analysed.
        """
        if group not in self.curves:
            raise CompressionError(
                f"the sensitivity of {group} was not measured: let `edgeocr-train sensitivity` "
                "go on, or skip the layer"
            )
        points = [(0.0, 0.0)]
        points += [(ratio, self.loss(group, ratio)) for ratio in sorted(self.curves[group].figures)]
        for i in reversed(range(len(points))):
            ratio, loss = points[i]
            if loss <= max_loss:
                if i == len(points) - 1:
                    return ratio
                next_ratio, next_loss = points[i + 1]
                return ratio + (next_ratio - ratio) * (max_loss - loss) / (next_loss - loss)
        return 0.0


def weights_digest(network: nn.Module) -> str:
    """SHA-256 over the names and values of all tensors: two networks with it are the same."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_sensitivity(sensitivity: Sensitivity, path: Path) -> None:
    """Writes JSON, whole or not at all.

    Raises:
        OSError: the file cannot be written; what was there before is still there.
    """
    data = {
        "format": _FORMAT,
        "recipe": sensitivity.recipe,
        "weights": sensitivity.weights,
        "criterion": sensitivity.criterion,
        "evaluation": dict(sensitivity.evaluation),
        "metric": sensitivity.metric,
        "unpruned": sensitivity.unpruned,
        "layers": {
            name: {
                "channels": curve.channels,
                "pruned": list(curve.makers),
                sensitivity.metric: {
                    str(ratio): curve.figures[ratio] for ratio in sorted(curve.figures)
                },
            }
            for name, curve in sensitivity.curves.items()
        },
    }
    write_whole(path, f"{json.dumps(data, indent=2, ensure_ascii=False)}\n".encode())


def load_sensitivity(path: Path) -> Sensitivity:
    """Reads a file of :func:`save_sensitivity`.

    Raises:
        CompressionError: it is missing, damaged, or something else.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CompressionError(
            f"There is no sensitivity {path}: `edgeocr-train sensitivity` measures it"
        ) from None
    except OSError as error:
        raise CompressionError(f"Cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CompressionError(f"{path} is damaged, or no sensitivity: {error}") from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise CompressionError(f"{path} is no sensitivity of this version of edgeocr")
    try:
        sensitivity = Sensitivity(
            recipe=data["recipe"],
            weights=data["weights"],
            criterion=data["criterion"],
            evaluation=data["evaluation"],
            metric=data["metric"],
            unpruned=float(data["unpruned"]),
            curves={
                name: Curve(
                    makers=tuple(layer["pruned"]),
                    channels=int(layer["channels"]),
                    figures={
                        float(ratio): float(figure)
                        for ratio, figure in layer[data["metric"]].items()
                    },
                )
                for name, layer in data["layers"].items()
            },
        )
        _check(sensitivity)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CompressionError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    return sensitivity


def check_ratios(ratios: Sequence[float]) -> None:
    """Raises CompressionError unless each is a share between none and all."""
    for ratio in ratios:
        if not 0 < ratio < 1:
            raise CompressionError(f"a ratio is between 0 and 1, and not {ratio:g}")


def _check(sensitivity: Sensitivity) -> None:
    if sensitivity.criterion not in CRITERIA:
        raise ValueError(f"criterion is {sensitivity.criterion!r}, none of {', '.join(CRITERIA)}")
    figures = [
        sensitivity.unpruned,
        *(figure for curve in sensitivity.curves.values() for figure in curve.figures.values()),
    ]
    if not all(map(math.isfinite, figures)) or sensitivity.unpruned == 0:
        raise ValueError("a figure is not finite, or nothing is left to lose")
    for curve in sensitivity.curves.values():
        if not all(0 < ratio < 1 for ratio in curve.figures):
            raise ValueError("a ratio is not between 0 and 1")
