"""Parity: what prepare changes is where values are rounded, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgeocr_training.compression.quantization.activation_quantizer import (
    QuantizationConfig,
    quantizers,
    recorded_config,
)
from edgeocr_training.compression.quantization.layers import (
    QuantizedAdd,
    QuantizedWeights,
    set_mode,
)
from edgeocr_training.compression.quantization.preparation import (
    input_quantization,
    is_prepared,
    prepare,
)
from edgeocr_training.errors import QuantizationError
from edgeocr_training.models.classifier import Classifier, ClassifierConfig
from edgeocr_training.models.db_head import DbHead
from edgeocr_training.models.detector import IMAGENET_MEAN, IMAGENET_STD, Detector
from edgeocr_training.models.line_shufflenet_v2 import LineShuffleNetV2Config
from edgeocr_training.models.normalisation import BYTE_HALF, HALF
from edgeocr_training.models.recogniser import RecogniserConfig

from .conftest import SIZES, MakeStudent, Student, images, output_of


@pytest.mark.parametrize("kind", SIZES)
def test_without_rounding_a_prepared_network_is_the_float_one(
    kind: str, float_student: MakeStudent
) -> None:
    original = float_student(kind)
    prepared = prepare(copy.deepcopy(original), QuantizationConfig())
    set_mode(prepared, "float")
    prepared.eval()
    image = prepared.normalise(images(kind, 1, seed=99))
    with torch.no_grad():
        expected, actual = output_of(original, image), output_of(prepared, image)
    # Batch normalisation is folded into the weights: another order of the same operations.
    assert torch.allclose(actual, expected, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("kind", SIZES)
def test_training_moves_weights_and_clips_but_no_statistics(
    kind: str, float_student: MakeStudent
) -> None:
    prepared = prepare(float_student(kind), QuantizationConfig(initial_clip=0.2)).train()
    statistics = {
        name: value.clone()
        for name, value in prepared.state_dict().items()
        if "running_" in name and "threshold" not in name
    }
    output_of(prepared, prepared.normalise(images(kind, 2))).sum().backward()  # type: ignore[no-untyped-call]
    after = prepared.state_dict()
    assert statistics
    assert all(torch.equal(after[name], value) for name, value in statistics.items())
    learning = [m for m in prepared.modules() if isinstance(m, QuantizedWeights)]
    assert all(layer.layer.weight.grad is not None for layer in learning)
    assert any(q.alpha.grad is not None and float(q.alpha.grad) for _, q in quantizers(prepared))
    # From the first step on there is a range for every activation.
    assert all(bool(quantizer.observed) for _, quantizer in quantizers(prepared))


def test_every_level_of_an_activation_is_a_multiple_of_its_scale(
    prepared_student: Callable[..., Student],
) -> None:
    student = prepared_student("rec")
    seen: dict[str, Tensor] = {}
    for module in student.modules():
        if isinstance(module, QuantizedAdd):
            module.register_forward_hook(lambda m, _, y: seen.update({m.name: y / m.output.scale}))
    with torch.no_grad():
        output_of(student, student.normalise(images("rec", 1)))
    assert seen
    for steps in seen.values():
        assert torch.allclose(steps, steps.round(), atol=1e-3)  # float32 quotients up to 255


def test_a_copy_keeps_its_own_ranges(prepared_student: Callable[..., Student]) -> None:
    """As the average of the weights is one."""
    student = prepared_student("cls")
    other = copy.deepcopy(student)
    for _, quantizer in quantizers(student):
        quantizer.high.mul_(5)
    image = student.normalise(images("cls", 1))
    layer = next(m for m in other.modules() if isinstance(m, QuantizedWeights) and m.norm)
    (source,) = layer._source
    assert any(source is module for module in other.modules())
    with torch.no_grad():
        assert not torch.equal(output_of(student, image), output_of(other, image))


def test_the_threshold_branch_stays_float(prepared_student: Callable[..., Student]) -> None:
    student = prepared_student("det")
    assert isinstance(student, Detector)
    assert isinstance(student.head, DbHead)
    assert not is_prepared(student.head.threshold_branch)
    assert is_prepared(student.head.probability_branch)


def test_what_is_concatenated_shares_its_range(prepared_student: Callable[..., Student]) -> None:
    student = prepared_student("pp_det")
    assert isinstance(student, Detector)
    ends = [
        layer.output
        for name, layer in student.neck.named_modules()
        if "smooth." in name and isinstance(layer, QuantizedWeights)
    ]
    assert len(ends) == 4
    assert all(end is ends[0] for end in ends)


def test_grey_levels_are_integers(float_student: MakeStudent) -> None:
    """128 / 255 stays; 0.5 would lie between two integers and is moved; see ``_exact_pixels``."""
    assert input_quantization(BYTE_HALF, BYTE_HALF).scale == 1 / 128
    student = prepare(float_student("cls"), QuantizationConfig())
    assert isinstance(student, Classifier)
    assert student.mean == (128 / 255,) * 3
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 256, 1).expand(1, 1, 256, 3)
    quantization = input_quantization(student.mean, student.std)
    steps = student.normalise(levels)[0, 0, 0] / quantization.scale + quantization.zero_point
    assert torch.allclose(steps, torch.arange(-128.0, 128.0), atol=1e-3)


def test_imagenets_statistics_fit_into_one_range() -> None:
    quantization = input_quantization(IMAGENET_MEAN, IMAGENET_STD)
    least = min(-m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True))
    greatest = max((1 - m) / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True))
    assert abs(quantization.low - least) <= quantization.scale
    assert abs(quantization.high - greatest) <= quantization.scale
    assert input_quantization(HALF, HALF).zero_point == 0


def test_the_form_is_read_from_the_tensors(prepared_student: Callable[..., Student]) -> None:
    student = prepared_student("cls", QuantizationConfig(form="symmetric"))
    assert recorded_config(student.state_dict()) == QuantizationConfig(form="symmetric")
    assert recorded_config({"weight": torch.zeros(1)}) is None


def test_preparing_twice_is_refused(prepared_student: Callable[..., Student]) -> None:
    with pytest.raises(QuantizationError, match="this Classifier is prepared already"):
        prepare(prepared_student("cls"), QuantizationConfig())


def test_operators_without_an_integer_form_are_named() -> None:
    shuffle = ClassifierConfig(backbone=LineShuffleNetV2Config()).build()
    with pytest.raises(QuantizationError, match=r"^backbone\.\w+: .* has no integer form"):
        prepare(shuffle, QuantizationConfig())
    lines = RecogniserConfig().build()
    lines.head.features = nn.GELU()
    with pytest.raises(QuantizationError, match=r"^head\.features: GELU has no integer form"):
        prepare(lines, QuantizationConfig())
    with pytest.raises(QuantizationError, match="a Linear is no detector"):
        prepare(nn.Linear(1, 1), QuantizationConfig())
