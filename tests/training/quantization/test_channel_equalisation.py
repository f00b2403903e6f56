"""Channels are brought to like ranges; the network says what it said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from edgeocr_training.compression.quantization.activation_quantizer import QuantizationConfig
from edgeocr_training.compression.quantization.calibration import calibrate
from edgeocr_training.compression.quantization.channel_equalisation import (
    LIMITS,
    equalise_channels,
)
from edgeocr_training.compression.quantization.preparation import prepare
from edgeocr_training.errors import QuantizationError
from edgeocr_training.models.bilstm_neck import BiLstmConfig
from edgeocr_training.models.ctc_head import CtcHeadConfig
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.mobilenet_v1_enhance import MobileNetV1EnhanceConfig
from edgeocr_training.models.recogniser import Recogniser, RecogniserConfig


def _recogniser(*, hard_swish: bool, seed: int = 0) -> Recogniser:
    """With a trunk of chains, as PP-OCRv2's, whose normalisations know the images."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        student = RecogniserConfig(
            backbone=MobileNetV1EnhanceConfig(scale=0.25, hard_swish=hard_swish),
            neck=BiLstmConfig(hidden=8, layers=1),
            head=CtcHeadConfig(mid_channels=None, classes=12),
        ).build()
        student.train()
        for _ in range(60):
            student(student.normalise(_images(seed=seed)))
    return student.eval()


def _images(*, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((4, 3, 4, 12), generator=generator)
    fine = nn.functional.interpolate(coarse, size=(32, 96), mode="bicubic").clamp(0, 1)
    return (255 * fine).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _stretch(student: Recogniser, factor: float, channels: int = 2) -> nn.BatchNorm2d:
    """Some channels of the second block's end become wider, and the next layer takes that back:
    exact before a ReLU, and no more than nearly so before a hard-swish.
    """
    layers = dict(student.named_modules())
    norm = layers["backbone.trunk.stages.0.0.2.norm"]
    reader = layers["backbone.trunk.stages.0.1.0.conv"]
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(reader, nn.Conv2d)
    with torch.no_grad():
        norm.weight[:channels] *= factor
        norm.bias[:channels] *= factor
        reader.weight[:channels] /= factor
    return norm


@torch.no_grad()
def _said(student: Recogniser, image_BHW3: Tensor) -> Tensor:
    logits: Tensor = student.logits_only()(student.normalise(image_BHW3))
    return logits


@given(factor=st.floats(2.0, 60.0), channels=st.integers(1, 5), seed=st.integers(0, 3))
@settings(max_examples=8, deadline=None)
def test_behind_relus_nothing_changes_but_ranges(factor: float, channels: int, seed: int) -> None:
    student = _recogniser(hard_swish=False, seed=seed)
    _stretch(student, factor, channels)
    before = _said(student, _images(seed=seed))
    changed = equalise_channels(student, [_images(seed=seed)])
    # Sums in other magnitudes: float32's last bits.
    torch.testing.assert_close(_said(student, _images(seed=seed)), before, rtol=1e-3, atol=1e-3)
    assert all(layer.error <= layer.error_before for layer in changed)


@pytest.mark.parametrize("hard_swish", [True, False])
def test_channels_much_wider_than_the_others_come_down(hard_swish: bool) -> None:
    student = _recogniser(hard_swish=hard_swish)
    _stretch(student, 40.0)
    wide = "backbone.trunk.stages.0.0.2.norm"
    before = _said(student, _images())
    changed = {layer.layer: layer for layer in equalise_channels(student, [_images()])}
    # Front to back: each layer of a chain, and none that a gate or a mean reads as well.
    assert next(iter(changed)) == "backbone.trunk.stem.0.norm"
    assert wide in changed
    assert changed[wide].limit <= 0.25 * changed[wide].widest
    assert changed[wide].error < 0.2 * changed[wide].error_before
    assert {round(layer.limit / layer.widest, 6) for layer in changed.values()} <= set(LIMITS)
    shift = (_said(student, _images()) - before).abs().mean() / before.std()
    # A hard-swish scaled is another one near zero; a ReLU is the same but for float32's last bits.
    assert shift < (0.2 if hard_swish else 1e-3)


@pytest.mark.parametrize("hard_swish", [True, False])
def test_channels_much_narrower_than_the_others_come_up(hard_swish: bool) -> None:
    student = _recogniser(hard_swish=hard_swish)
    narrow = _stretch(student, 1 / 40)
    weight_C, image = narrow.weight.clone(), _images()
    before = _said(student, image)
    changed = {layer.layer: layer for layer in equalise_channels(student, [image])}
    layer = changed["backbone.trunk.stages.0.0.2.norm"]
    assert layer.error < 0.2 * layer.error_before
    assert (narrow.weight[:2] > 3 * weight_C[:2]).all()
    assert layer.limit <= layer.widest
    shift = (_said(student, image) - before).abs().mean() / before.std()
    assert shift < (0.2 if hard_swish else 1e-3)


@pytest.mark.parametrize("factor", [1 / 40, 7.0, 60.0])
@torch.no_grad()
def test_means_behind_a_layer_stay(factor: float) -> None:
    """What the nearest line adds is taken from the mean of the normalisation behind it."""
    student = _recogniser(hard_swish=True)
    norm = _stretch(student, 1.0)
    norm.weight[:5] *= factor
    norm.bias[:5] *= factor
    behind = dict(student.named_modules())["backbone.trunk.stages.0.1.0.norm"]
    assert isinstance(behind, nn.BatchNorm2d)
    means: list[Tensor] = []

    def centred(module: nn.Module, read: tuple[Tensor, ...], given: Tensor) -> None:
        assert behind.running_mean is not None
        assert behind.running_var is not None
        deviation_C = torch.sqrt(behind.running_var)
        means.append((read[0].mean((0, 2, 3)) - behind.running_mean) / deviation_C)

    behind.register_forward_hook(centred)
    _said(student, _images())
    assert means[0].abs().max() > 0.1, "a mean that is 0 shows nothing"
    weight_C = norm.weight.clone()
    equalise_channels(student, [_images()])
    assert not torch.equal(norm.weight, weight_C)
    _said(student, _images())
    # Layers before are other ones, too, by a little.
    torch.testing.assert_close(means[-1], means[0], rtol=0.0, atol=0.02)


@pytest.mark.parametrize("hard_swish", [True, False])
@torch.no_grad()
def test_channels_that_never_move_are_not_lost(hard_swish: bool) -> None:
    """They may on other images than those few."""
    student = _recogniser(hard_swish=hard_swish)
    norm = _stretch(student, 40.0)
    norm.bias[3] = -100.0
    reader = dict(student.named_modules())["backbone.trunk.stages.0.1.0.conv"]
    assert isinstance(reader, nn.Conv2d)
    before = (norm.weight[3] * reader.weight[3]).clone()
    equalise_channels(student, [_images()])
    torch.testing.assert_close(norm.weight[3] * reader.weight[3], before)


@torch.no_grad()
def test_integers_keep_more_of_the_map() -> None:
    """What it is for: ranges by the same method, with and without."""
    shown = _images()
    errors = []
    for equalised in (False, True):
        student = _recogniser(hard_swish=True)
        _stretch(student, 40.0)
        image = student.normalise(shown)
        wanted = student.backbone(image)
        if equalised:
            equalise_channels(student, [shown])
        prepared = prepare(student, QuantizationConfig())
        calibrate(prepared, [shown], "minmax")
        errors.append(float((prepared.backbone(image) - wanted).square().mean()))
    assert errors[1] < 0.5 * errors[0]


def test_what_cannot_be_equalised(
    float_student: Callable[[str], Detector], prepared_student: Callable[..., nn.Module]
) -> None:
    with pytest.raises(QuantizationError, match="there are none"):
        equalise_channels(_recogniser(hard_swish=True), [])
    with pytest.raises(QuantizationError, match="a Linear has no channels that are known"):
        equalise_channels(nn.Linear(2, 2), [_images()])
    with pytest.raises(QuantizationError, match="prepared already"):
        equalise_channels(prepared_student("rec"), [_images()])
