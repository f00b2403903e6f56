"""That the classifiers have their published sizes, and what they take and give."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgeocr.pixels import input_table
from edgeocr_training.errors import RecipeError
from edgeocr_training.models.classifier import ClassifierConfig
from edgeocr_training.models.complexity import count_parameters
from edgeocr_training.models.line_mobilenet_v3 import LineMobileNetV3Config
from edgeocr_training.models.line_pp_lcnet import LinePpLcNetConfig
from edgeocr_training.models.line_shufflenet_v2 import LineShuffleNetV2Config, ShuffleUnit

PP_OCR = ClassifierConfig()
CONFIGS = {
    "mv3 x0.35": PP_OCR,
    "mv3 x0.5": ClassifierConfig(backbone=LineMobileNetV3Config(row_strides=(2, 2, 2, 2))),
    "shufflenet": ClassifierConfig(backbone=LineShuffleNetV2Config()),
    "lcnet": ClassifierConfig(backbone=LinePpLcNetConfig(), wide_channels=1280),
}
EACH = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def test_pp_ocrs_classifier_has_its_known_size() -> None:
    classifier = PP_OCR.build()
    # As published: rounded to three digits.
    assert count_parameters(classifier) / 1e6 == pytest.approx(0.129, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "megabytes"), [("mv3 x0.35", 0.85), ("mv3 x0.5", 1.34), ("shufflenet", 1.72)]
)
def test_sizes_are_those_that_pp_ocr_compares(name: str, megabytes: float) -> None:
    """Files of Paddle: four bytes a parameter, and 0.35 to 0.37 MB that describe the network."""
    parameters = count_parameters(CONFIGS[name].build()) * 4 / 2**20
    assert parameters + 0.37 == pytest.approx(megabytes, abs=0.04)


def test_shufflenet_has_its_published_size() -> None:
    """1.37 M with 1,000 classes of ImageNet, which have 1,025 parameters each."""
    parameters = count_parameters(LineShuffleNetV2Config().build()) + 1000 * 1025
    assert parameters / 1e6 == pytest.approx(1.37, abs=5e-3)


@EACH
@pytest.mark.parametrize("size", [(48, 192), (32, 100)])
def test_every_classifier_takes_both_sizes(config: ClassifierConfig, size: tuple[int, int]) -> None:
    height, width = size
    classifier = ClassifierConfig(
        backbone=config.backbone, height=height, width=width, wide_channels=config.wide_channels
    ).build()
    logits = classifier(torch.randn(2, 3, height, width))
    assert logits.shape == (2, 2)
    logits.square().mean().backward()
    assert [name for name, p in classifier.named_parameters() if p.grad is None] == []


def test_logits_are_float32_under_autocast() -> None:
    classifier = PP_OCR.build().eval()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        assert classifier(torch.randn(1, 3, 48, 192)).dtype == torch.float32


def test_channels_are_interleaved() -> None:
    """After a unit both halves hold channels of both branches: one of each in turn."""
    unit = ShuffleUnit(48).eval()
    image = torch.randn(1, 48, 4, 4)
    with torch.inference_mode():
        shuffled = unit(image)
        changed = unit.branch(image[:, 24:])
    assert torch.equal(shuffled[:, 0::2], image[:, :24])
    assert torch.equal(shuffled[:, 1::2], changed)


def test_pixels_are_normalised_as_in_the_product() -> None:
    classifier = PP_OCR.build()
    pixels = np.random.default_rng(0).integers(0, 256, (1, 48, 8, 3)).astype(np.uint8)
    table = input_table(
        mean=classifier.mean,
        std=classifier.std,
        channel_order=classifier.channel_order,
        scale=None,
    )
    expected = np.stack([table.values[pixels[..., c], c] for c in range(3)], axis=1)
    actual = classifier.normalise(torch.from_numpy(pixels))
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-6)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="48x192, not 32x100"):
        PP_OCR.build()(torch.zeros(1, 3, 32, 100))


@pytest.mark.parametrize(
    "config",
    [
        ClassifierConfig(height=16),
        ClassifierConfig(width=0),
        ClassifierConfig(wide_channels=0),
        ClassifierConfig(backbone=LineShuffleNetV2Config(scale=0.75)),
        ClassifierConfig(backbone=LinePpLcNetConfig(scale=0.3)),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused(config: ClassifierConfig) -> None:
    with pytest.raises(RecipeError):
        config.build()
