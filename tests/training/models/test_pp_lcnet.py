"""PP-LCNet against its published sizes and against the recogniser's backbone of PP-OCRv2."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edgeocr_training.models.complexity import count_macs, count_parameters
from edgeocr_training.models.pp_lcnet import PpLcNetClassifierConfig, PpLcNetConfig


@pytest.mark.parametrize(
    ("scale", "parameters", "macs"),
    [
        (0.25, 1.52, 18),
        (0.35, 1.64, 29),
        (0.5, 1.88, 47),
        (0.75, 2.36, 99),
        (1.0, 2.95, 161),
        (1.5, 4.50, 342),
        (2.0, 6.52, 590),
        (2.5, 9.02, 906),
    ],
)
def test_sizes_are_the_published_ones(scale: float, parameters: float, macs: float) -> None:
    classifier = PpLcNetClassifierConfig(backbone=PpLcNetConfig(scale=scale)).build()
    assert count_parameters(classifier) / 1e6 == pytest.approx(parameters, abs=5e-3)
    # Their count takes in activations and normalisations too: 1 to 7 % more.
    counted = count_macs(classifier, 224, 224) / 1e6
    assert 0.92 * macs <= counted <= macs


def test_pp_ocrv2s_recogniser_has_it_as_its_backbone() -> None:
    """MobileNetV1Enhance: 1.016 M parameters, height halved four times, width twice."""
    backbone = PpLcNetConfig(strides=(2, 1, (2, 1), (2, 1), (2, 1))).build()
    assert count_parameters(backbone) / 1e6 == pytest.approx(1.016, abs=5e-4)
    with torch.inference_mode():
        assert backbone.eval()(torch.zeros(1, 3, 32, 320))[-1].shape == (1, 512, 2, 160)


@pytest.mark.parametrize(
    ("switch", "fewer"),
    [
        ({"hard_swish": False}, 0),
        # Gates of 128 and 256 channels at scale 0.5: C * C/4 twice, and both biases.
        ({"gated_blocks": 0}, sum(c * c // 2 + c * 5 // 4 for c in (128, 256))),
        # 16 taps fewer in each of six blocks of 128 channels and one of 256.
        ({"large_kernels": 0}, 16 * (6 * 128 + 256)),
    ],
)
def test_each_point_can_be_switched_off(switch: dict[str, Any], fewer: int) -> None:
    torch.manual_seed(0)
    before = PpLcNetConfig(scale=0.5).build()
    torch.manual_seed(0)
    after = PpLcNetConfig(scale=0.5, **switch).build()
    assert count_parameters(before) - count_parameters(after) == fewer
    image = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        assert not torch.equal(before.eval()(image)[-1], after.eval()(image)[-1])


def test_the_wide_layer_can_be_left_out() -> None:
    full, less = PpLcNetClassifierConfig(), PpLcNetClassifierConfig(wide_channels=None)
    difference = count_parameters(full.build()) - count_parameters(less.build())
    assert difference == 512 * 1280 + (1280 - 512) * 1000


def test_a_classifier_gives_logits() -> None:
    classifier = PpLcNetClassifierConfig(backbone=PpLcNetConfig(scale=0.25), classes=2).build()
    with torch.inference_mode():
        assert classifier.eval()(torch.zeros(3, 3, 48, 192)).shape == (3, 2)
