"""Properties: PACT's equations, ranges that hold 0 exactly, and errors that name the tensor."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeocr_training.compression.quantization.activation_quantizer import (
    ActivationQuantizer,
    QuantizationConfig,
    clip_penalty,
)
from edgeocr_training.compression.quantization.fake_quantization import (
    affine_parameters,
    clip_and_round,
    fake_quantize_rows,
    row_scales,
)
from edgeocr_training.errors import QuantizationError, RecipeError

PP_OCR = QuantizationConfig(form="symmetric", initial_clip=1.5)
VALUES = torch.linspace(-4, 4, 41)

ends_st = st.tuples(st.floats(-50, 0), st.floats(0, 50))


def test_the_symmetric_clip_is_pp_ocrs() -> None:
    """x - relu(x - a) + relu(-a - x), with its gradients for x and for a."""
    quantizer = ActivationQuantizer(PP_OCR).train()
    x, other = VALUES.clone().requires_grad_(), VALUES.clone().requires_grad_()
    alpha = torch.tensor(1.5, requires_grad=True)
    expected = other - torch.relu(other - alpha) + torch.relu(-alpha - other)
    actual = quantizer(x)
    weights = torch.arange(41.0)
    (actual * weights).sum().backward()
    (expected * weights).sum().backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(actual, expected, atol=float(quantizer.scale) / 2)
    assert x.grad is not None
    assert other.grad is not None
    assert quantizer.alpha.grad is not None
    assert torch.equal(x.grad, other.grad)
    assert torch.equal(quantizer.alpha.grad, alpha.grad)  # type: ignore[arg-type]


def test_behind_a_relu_the_clip_is_the_papers() -> None:
    """y = 0.5 (|x| - |x - a| + a); its gradient for a is 1 from a on, else 0."""
    quantizer = ActivationQuantizer(QuantizationConfig(initial_clip=1.5), floor=0.0).train()
    expected = 0.5 * (VALUES.abs() - (VALUES - 1.5).abs() + 1.5)
    actual = quantizer(VALUES)
    # Half a step, and the rounding of the sums.
    assert torch.allclose(actual, expected, atol=float(quantizer.scale) / 2 + 1e-6)
    actual.sum().backward()
    assert quantizer.alpha.grad == (VALUES > 1.5).sum()


def test_the_asymmetric_clip_learns_both_ends() -> None:
    quantizer = ActivationQuantizer(QuantizationConfig(initial_clip=1.5)).train()
    # Of equal ends one would lie half-way between two steps, and beyond the last one.
    quantizer.beta.data.fill_(1.7)
    quantizer(VALUES).sum().backward()
    assert quantizer.alpha.grad == (VALUES > 1.5).sum()
    assert quantizer.beta.grad == -(VALUES < -1.7).sum().float()


@given(
    values=st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=40),
    scale=st.sampled_from([0.004, 0.03, 0.25]),
    zero_point=st.integers(-128, 127),
    lower=st.none() | st.floats(-5, 0, width=32),
    upper=st.none() | st.floats(0.5, 5, width=32),
)
def test_clip_and_round_is_torchs_clamp_and_fake_quantize(
    values: list[float], scale: float, zero_point: int, lower: float | None, upper: float | None
) -> None:
    """Bit for bit, halves too (a scale of 0.25), with the gradients of x and of both ends."""
    step = torch.tensor(scale), torch.tensor(zero_point, dtype=torch.int32)
    results = []
    for own in (True, False):
        x = torch.tensor(values, requires_grad=True)
        low, high = (
            None if end is None else torch.tensor(end, requires_grad=True) for end in (lower, upper)
        )
        if own:
            y = clip_and_round(x, scale=step[0], zero_point=step[1], lower=low, upper=high)
        else:
            clipped = x if low is None and high is None else torch.clamp(x, low, high)
            y = torch.fake_quantize_per_tensor_affine(clipped, *step, -128, 127)
        (y * torch.arange(1.0, len(values) + 1)).sum().backward()  # type: ignore[no-untyped-call]
        results.append([y.detach(), *(end.grad for end in (x, low, high) if end is not None)])
    for actual, expected in zip(*results, strict=True):
        assert torch.equal(actual, expected)  # sums of few whole numbers are exact


@given(ends_st)
def test_zero_is_exact_in_every_range(ends: tuple[float, float]) -> None:
    low, high = (torch.tensor(end) for end in ends)
    scale, zero_point = affine_parameters(low, high, symmetric=False)
    assert -128 <= int(zero_point) <= 127
    zero = torch.fake_quantize_per_tensor_affine(torch.zeros(1), scale, zero_point, -128, 127)
    assert float(zero) == 0.0


@given(ends_st)
def test_an_asymmetric_range_is_moved_by_half_a_step_at_most(ends: tuple[float, float]) -> None:
    scale, zero_point = affine_parameters(
        torch.tensor(ends[0]), torch.tensor(ends[1]), symmetric=False
    )
    low = (-128 - int(zero_point)) * float(scale)
    # A float32 rounding beside half a step.
    assert abs(low - ends[0]) <= 0.5 * float(scale) * (1 + 1e-4) or float(scale) == pytest.approx(
        1e-5
    )


@given(ends_st)
def test_a_symmetric_range_has_no_zero_point(ends: tuple[float, float]) -> None:
    scale, zero_point = affine_parameters(
        torch.tensor(ends[0]), torch.tensor(ends[1]), symmetric=True
    )
    assert int(zero_point) == 0
    assert 127 * float(scale) >= max(-ends[0], ends[1]) * (1 - 1e-6)


def test_hard_swishs_floor_takes_few_of_the_levels() -> None:
    """-0.375 to 6: of PP-OCR's symmetric levels nearly half would lie below the floor."""
    values = torch.nn.functional.hardswish(torch.linspace(-6, 6, 10_001))
    steps = {}
    for form in ("symmetric", "asymmetric"):
        config = QuantizationConfig(form=form)
        quantizer = ActivationQuantizer(config, floor=-0.375).train()
        quantizer(values)
        steps[form] = quantizer.quantization.scale
    assert steps["asymmetric"] < 0.54 * steps["symmetric"]


def test_the_range_follows_slowly() -> None:
    quantizer = ActivationQuantizer(QuantizationConfig()).train()
    for value in (1.0, 2.0):
        quantizer(torch.tensor([-value, value]))
    assert float(quantizer.high) == pytest.approx(1.1)
    quantizer.eval()
    quantizer(torch.tensor([-9.0, 9.0]))
    assert float(quantizer.high) == pytest.approx(1.1)


def test_a_shared_range_is_that_of_all_together() -> None:
    quantizer = ActivationQuantizer(QuantizationConfig()).train()
    quantizer.shared_by = 2
    for low, high in ((-1.0, 1.0), (-0.5, 3.0), (-2.0, 1.0), (-1.0, 1.0)):
        quantizer(torch.tensor([low, high]))
    assert float(quantizer.low) == pytest.approx(0.9 * -1 + 0.1 * -2)
    assert float(quantizer.high) == pytest.approx(0.9 * 3 + 0.1 * 1)


def test_without_pact_nothing_is_learnt_or_clipped() -> None:
    quantizer = ActivationQuantizer(QuantizationConfig(clip=False)).train()
    wide = 1000 * VALUES
    assert torch.allclose(quantizer(wide), wide, atol=float(quantizer.scale) * 0.501)
    assert not any(parameter.requires_grad for parameter in quantizer.parameters())


def test_the_penalty_adds_l2_times_alpha_to_the_gradient() -> None:
    config = QuantizationConfig(clip_l2=0.01)
    quantizer = ActivationQuantizer(config)
    clip_penalty(quantizer, config).backward()  # type: ignore[no-untyped-call]
    assert quantizer.alpha.grad == pytest.approx(0.01 * 20)
    assert quantizer.beta.grad == pytest.approx(0.01 * 20)


def test_a_missing_range_is_named() -> None:
    quantizer = ActivationQuantizer(QuantizationConfig()).eval()
    quantizer.name = "backbone.stem.conv.output"
    with pytest.raises(QuantizationError, match=r"^backbone\.stem\.conv\.output has no range: "):
        quantizer(VALUES)
    with pytest.raises(QuantizationError, match="has no range"):
        _ = quantizer.quantization


@pytest.mark.parametrize("setting", [{"initial_clip": 0.0}, {"clip_l2": -1.0}])
def test_settings_out_of_range(setting: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=next(iter(setting))):
        QuantizationConfig(**setting)  # type: ignore[arg-type]


def test_weights_are_multiples_of_their_rows_step() -> None:
    weights = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    weights[3] = 0
    rounded = fake_quantize_rows(weights)
    steps = rounded / row_scales(weights)[:, None]
    assert torch.allclose(steps, steps.round(), atol=1e-4)  # a float32 quotient near 127
    assert steps.abs().amax(1).round().tolist() == [127, 127, 127, 0, 127]
    assert (rounded - weights).abs().max() <= 0.5001 * row_scales(weights).max()
