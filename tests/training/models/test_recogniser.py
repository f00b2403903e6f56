"""That the recognisers are the published ones: sizes and shapes; and what they take and give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeocr.pixels import input_table
from edgeocr_training.errors import RecipeError
from edgeocr_training.models.bilstm_neck import BiLstmConfig
from edgeocr_training.models.complexity import count_macs, count_parameters
from edgeocr_training.models.ctc_head import CtcHeadConfig
from edgeocr_training.models.edge_line_backbone import EdgeLineBackboneConfig
from edgeocr_training.models.edge_line_neck import EdgeLineNeckConfig
from edgeocr_training.models.edge_recogniser import edge_recogniser
from edgeocr_training.models.line_mobilenet_v3 import LineMobileNetV3Config
from edgeocr_training.models.mobilenet_v1_enhance import MobileNetV1EnhanceConfig
from edgeocr_training.models.mobilenet_v3 import InvertedResidual
from edgeocr_training.models.pp_lcnet import SCALES
from edgeocr_training.models.recogniser import RecogniserConfig

PP_OCRV1 = RecogniserConfig(
    backbone=LineMobileNetV3Config(),
    neck=BiLstmConfig(hidden=48),
    head=CtcHeadConfig(mid_channels=None),
)
PP_OCRV2 = RecogniserConfig()
EDGE = edge_recogniser()
HYBRID = RecogniserConfig(neck=EdgeLineNeckConfig(), head=CtcHeadConfig(classes=96))
CONFIGS = pytest.mark.parametrize(
    "config", [PP_OCRV1, PP_OCRV2, EDGE, HYBRID], ids=["v1", "v2", "edge", "hybrid"]
)


def millions(network: nn.Module) -> float:
    return count_parameters(network) / 1e6


def test_pp_ocrv2s_parts_have_their_known_sizes() -> None:
    recogniser = PP_OCRV2.build()
    # As published: rounded to three digits.
    assert millions(recogniser) == pytest.approx(2.066, abs=5e-4)
    assert millions(recogniser.backbone) == pytest.approx(1.016, abs=5e-4)
    assert millions(recogniser.neck) == pytest.approx(0.395, abs=5e-4)
    assert millions(recogniser.head) == pytest.approx(0.655, abs=5e-4)
    assert count_macs(recogniser.logits_only(), 32, 320) / 1e9 == pytest.approx(0.52, abs=5e-3)


def test_pp_ocrs_recogniser_has_its_known_size() -> None:
    assert millions(PP_OCRV1.build()) == pytest.approx(1.081, abs=5e-4)


def test_the_edge_recogniser_computes_a_third() -> None:
    """The limit that it was made for."""
    assert count_macs(EDGE.build().logits_only(), 32, 320) <= 0.16e9
    assert EDGE.head.classes == 6625


def test_an_lstm_is_counted() -> None:
    """80 steps through 512 to 4 x 64 gates and 64 to 4 x 64, both ways, and a layer of 128."""
    with_lstm = RecogniserConfig().build()
    expected = 80 * 2 * 256 * ((512 + 64) + (128 + 64))
    assert count_macs(with_lstm.logits_only(), 32, 320) - expected == pytest.approx(
        0.490e9, rel=1e-3
    )


@CONFIGS
def test_every_fourth_column_is_a_step(config: RecogniserConfig) -> None:
    recogniser = config.build().eval()
    with torch.inference_mode():
        output = recogniser(torch.randn(2, 3, 32, 320))
        narrow = recogniser(torch.randn(1, 3, 32, 4))
    assert output.logits_BTK.shape == (2, 80, config.head.classes)
    assert output.backbone_BCHW.shape == (2, recogniser.backbone.out_channels, 1, 80)
    features = config.head.mid_channels or recogniser.neck.out_channels
    assert output.features_BTC.shape == (2, 80, features)
    assert narrow.logits_BTK.shape == (1, 1, config.head.classes)


@CONFIGS
def test_logits_are_linear_in_the_features(config: RecogniserConfig) -> None:
    """As the centres of the classes suppose."""
    recogniser = config.build().eval()
    with torch.inference_mode():
        output = recogniser(torch.randn(1, 3, 32, 16))
        logits = recogniser.head.classes(output.features_BTC)
    torch.testing.assert_close(output.logits_BTK, logits)


@CONFIGS
def test_every_parameter_learns(config: RecogniserConfig) -> None:
    recogniser = config.build()
    recogniser(torch.randn(2, 3, 32, 32)).logits_BTK.square().mean().backward()
    assert [name for name, p in recogniser.named_parameters() if p.grad is None] == []


@CONFIGS
def test_inference_gives_the_logits_alone(config: RecogniserConfig) -> None:
    recogniser = config.build().eval()
    image = torch.randn(1, 3, 32, 24)
    with torch.inference_mode():
        assert torch.equal(recogniser.logits_only()(image), recogniser(image).logits_BTK)


def test_logits_are_float32_under_autocast() -> None:
    recogniser = edge_recogniser(classes=96).build()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert recogniser(torch.randn(2, 3, 32, 16)).logits_BTK.dtype == torch.float32


@pytest.mark.parametrize("shape", [(48, 320), (32, 322), (31, 320)])
def test_images_of_another_shape_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="32 high"):
        HYBRID.build()(torch.zeros(1, 3, *shape))


@pytest.mark.parametrize("config", [PP_OCRV2, EDGE], ids=["v2", "edge"])
def test_pixels_are_normalised_as_in_the_product(config: RecogniserConfig) -> None:
    recogniser = config.build()
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 8, 3)).astype(np.uint8)
    table = input_table(
        mean=config.mean, std=config.std, channel_order=recogniser.channel_order, scale=None
    )
    expected = np.stack([table.values[pixels[..., c], c] for c in range(3)], axis=1)
    actual = recogniser.normalise(torch.from_numpy(pixels))
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_every_pp_lcnet_can_be_a_backbone(scale: float) -> None:
    backbone = MobileNetV1EnhanceConfig(scale=scale).build().eval()
    with torch.inference_mode():
        assert backbone(torch.zeros(1, 3, 32, 8)).shape == (1, backbone.out_channels, 1, 2)


@pytest.mark.parametrize(
    ("switch", "fewer"),
    [
        ({"hard_swish": False}, 0),
        ({"gated_blocks": 0}, sum(c * c // 2 + c * 5 // 4 for c in (256, 512))),
        ({"large_kernels": 0}, 16 * (6 * 256 + 512)),
        ({"wide_channels": 1280}, -512 * 1280),
    ],
)
def test_each_point_of_pp_lcnet_is_a_switch(switch: dict[str, Any], fewer: int) -> None:
    torch.manual_seed(0)
    before = MobileNetV1EnhanceConfig().build()
    torch.manual_seed(0)
    after = MobileNetV1EnhanceConfig(**switch).build()
    assert count_parameters(before) - count_parameters(after) == fewer
    image = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        first, second = before.eval()(image), after.eval()(image)
    assert first.shape != second.shape or not torch.equal(first, second)


def test_columns_halved_early_leave_half_of_the_arithmetic_to_the_same_weights() -> None:
    torch.manual_seed(0)
    late = MobileNetV1EnhanceConfig().build().eval()
    early = MobileNetV1EnhanceConfig(early_columns=True).build().eval()
    early.load_state_dict(late.state_dict())
    image = torch.randn(1, 3, 32, 320)
    with torch.inference_mode():
        assert early(image).shape == late(image).shape == (1, 512, 1, 80)
        assert not torch.equal(early(image), late(image))
    # Only the stem and the blocks of sixteen rows cost as much as before.
    assert count_macs(early, 32, 320) < 0.53 * count_macs(late, 32, 320)


def test_a_residual_of_pp_ocr_that_keeps_its_rows_adds_no_input() -> None:
    """The shape of the first would allow it; the published network doesn't."""
    backbone = LineMobileNetV3Config().build()
    assert [isinstance(block, InvertedResidual) for block in backbone.residuals] == [True] * 11
    adding = [i for i, block in enumerate(backbone.residuals) if vars(block)["adds_input"]]
    assert adding == [2, 4, 5, 6, 7, 9, 10]


@pytest.mark.parametrize("kernel", [5, 7, 9])
def test_a_step_of_the_edge_neck_sees_its_neighbours_alone(kernel: int) -> None:
    neck = EdgeLineNeckConfig(channels=8, kernels=(kernel,)).build(4).eval()
    feature = torch.randn(1, 4, 1, 31)
    changed = feature.clone()
    changed[..., 15] += 1
    with torch.inference_mode():
        differs = (neck(feature) != neck(changed)).any(-1)[0]
    assert differs.nonzero().flatten().tolist() == [*range(15 - kernel // 2, 16 + kernel // 2)]


@pytest.mark.parametrize("direction", [-1, 1])
def test_an_lstm_sees_the_whole_line(direction: int) -> None:
    neck = BiLstmConfig(hidden=4).build(4).eval()
    feature = torch.randn(1, 4, 1, 6)
    changed = feature.clone()
    changed[..., 0 if direction > 0 else -1] += 1
    with torch.inference_mode():
        assert (neck(feature) != neck(changed)).any(-1).all()


@pytest.mark.parametrize(
    "config",
    [
        RecogniserConfig(backbone=MobileNetV1EnhanceConfig(scale=3.0)),
        RecogniserConfig(backbone=MobileNetV1EnhanceConfig(wide_channels=0)),
        RecogniserConfig(backbone=LineMobileNetV3Config(scale=0.4)),
        RecogniserConfig(backbone=LineMobileNetV3Config(row_strides=(1, 2, 3, 2))),
        RecogniserConfig(backbone=LineMobileNetV3Config(row_strides=(1, 1, 2, 2))),
        RecogniserConfig(backbone=EdgeLineBackboneConfig(stem=0)),
        RecogniserConfig(backbone=EdgeLineBackboneConfig(residuals=(1, -1))),
        RecogniserConfig(backbone=EdgeLineBackboneConfig(line_kernels=(5, 4))),
        RecogniserConfig(neck=BiLstmConfig(hidden=0)),
        RecogniserConfig(neck=BiLstmConfig(layers=0)),
        RecogniserConfig(neck=EdgeLineNeckConfig(channels=0)),
        RecogniserConfig(neck=EdgeLineNeckConfig(kernels=(8,))),
        RecogniserConfig(head=CtcHeadConfig(classes=1)),
        RecogniserConfig(head=CtcHeadConfig(mid_channels=0)),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused(config: RecogniserConfig) -> None:
    with pytest.raises(RecipeError):
        config.build()
