"""That the detectors are the published ones: sizes, taps, shapes; and what they take and give."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from edgeocr.pixels import input_table
from edgeocr_training.errors import RecipeError
from edgeocr_training.models.complexity import count_macs, count_parameters
from edgeocr_training.models.convolution import round_channels
from edgeocr_training.models.db_head import DbHeadConfig
from edgeocr_training.models.dbfpn import DbFpnConfig
from edgeocr_training.models.detector import DetectorConfig
from edgeocr_training.models.edge_backbone import EdgeBackboneConfig
from edgeocr_training.models.edge_detector import EdgeSize, edge_detector
from edgeocr_training.models.edge_head import EdgeHeadConfig
from edgeocr_training.models.edge_neck import EdgeNeckConfig
from edgeocr_training.models.interfaces import BackboneConfig, DbMaps
from edgeocr_training.models.mobilenet_v3 import SCALES, MobileNetV3Config
from edgeocr_training.models.pp_lcnet import PpLcNetConfig
from edgeocr_training.models.resnet_vd import ResNetVdConfig
from edgeocr_training.models.rsefpn import RseFpnConfig

STUDENT = DetectorConfig()
TEACHER = DetectorConfig(backbone=ResNetVdConfig(), neck=DbFpnConfig(channels=256))
PP_OCRV3 = DetectorConfig(neck=RseFpnConfig())
FINE = DetectorConfig(neck=EdgeNeckConfig(), head=EdgeHeadConfig(map_stride=1))
EDGE_SIZES: tuple[EdgeSize, ...] = ("small", "medium", "large")


def mobile(*, channels: int, squeeze_excite: bool) -> DetectorConfig:
    return DetectorConfig(
        backbone=MobileNetV3Config(squeeze_excite=squeeze_excite),
        neck=DbFpnConfig(channels=channels),
    )


@pytest.mark.parametrize(
    ("channels", "squeeze_excite", "trained", "inferred", "gmacs"),
    [
        (256, True, 1.844, 1.680, 9.98),
        (96, True, 0.963, 0.940, 1.91),
        (96, False, 0.583, 0.560, 1.91),
    ],
)
def test_pp_ocr_detectors_have_their_known_size(
    channels: int, squeeze_excite: bool, trained: float, inferred: float, gmacs: float
) -> None:
    detector = mobile(channels=channels, squeeze_excite=squeeze_excite).build()
    # As published: rounded to three and to two digits.
    assert count_parameters(detector) / 1e6 == pytest.approx(trained, abs=5e-4)
    assert count_parameters(detector.probability_only()) / 1e6 == pytest.approx(inferred, abs=5e-4)
    macs = count_macs(detector.probability_only(), 640, 640)
    assert macs / 1e9 == pytest.approx(gmacs, abs=5e-3)


def test_the_default_is_pp_ocrv2s_student() -> None:
    assert mobile(channels=96, squeeze_excite=False) == STUDENT
    assert count_macs(STUDENT.build().probability_only(), 960, 960) / 1e9 == pytest.approx(
        4.30, abs=5e-3
    )


def test_the_teacher_has_the_size_of_pp_ocrs_server() -> None:
    """Published as a file of 47.2 MB: four bytes a parameter, and running statistics."""
    teacher = TEACHER.build().probability_only()
    statistics = sum(buffer.numel() for buffer in teacher.buffers())
    assert (count_parameters(teacher) + statistics) * 4 / 2**20 == pytest.approx(47.2, rel=0.02)


@pytest.mark.parametrize(
    ("config", "taps"),
    [
        (MobileNetV3Config(), (16, 24, 56, 480)),
        (MobileNetV3Config(scale=1.0), (24, 40, 112, 960)),
        (MobileNetV3Config(size="small", scale=1.0), (16, 24, 48, 576)),
        (ResNetVdConfig(), (64, 128, 256, 512)),
        (PpLcNetConfig(), (64, 128, 256, 512)),
        (EdgeBackboneConfig(), EdgeBackboneConfig().channels),
    ],
    ids=["large x0.5", "large", "small", "resnet", "lcnet", "edge"],
)
def test_taps_lie_at_strides_4_to_32(config: BackboneConfig, taps: tuple[int, ...]) -> None:
    backbone = config.build()
    assert backbone.out_channels == taps
    features = backbone(torch.zeros(1, 3, 64, 96))
    assert [tuple(feature.shape) for feature in features] == [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(taps, (4, 8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize("size", ["large", "small"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("squeeze_excite", [True, False])
def test_every_mobilenet_can_be_a_backbone(size: str, scale: float, squeeze_excite: bool) -> None:
    config = MobileNetV3Config(
        size="large" if size == "large" else "small", scale=scale, squeeze_excite=squeeze_excite
    )
    detector = dataclasses.replace(STUDENT, backbone=config).build().eval()
    with torch.inference_mode():
        assert detector.probability(torch.zeros(1, 3, 32, 64)).shape == (1, 1, 32, 64)


def test_gates_are_where_the_paper_has_them() -> None:
    gated = MobileNetV3Config(squeeze_excite=True).build()
    count = sum(name.endswith("gate.reduce") for name, _ in gated.named_modules())
    assert count == 8
    plain = MobileNetV3Config().build()
    assert not any("gate." in name for name, _ in plain.named_parameters())


@pytest.mark.parametrize(
    ("channels", "rounded"), [(8, 8), (1, 8), (36, 40), (100, 104), (92, 96), (60, 64), (44, 48)]
)
def test_channels_are_rounded_to_eights(channels: float, rounded: int) -> None:
    assert round_channels(channels) == rounded


def test_rounding_loses_no_more_than_a_tenth() -> None:
    for channels in np.arange(1, 500, 0.5):
        assert round_channels(float(channels)) >= 0.9 * channels


@pytest.mark.parametrize(
    ("config", "stride"),
    [
        *((config, 1) for config in (STUDENT, PP_OCRV3, TEACHER, FINE)),
        *((edge_detector(size), 2) for size in EDGE_SIZES),
    ],
    ids=["student", "v3", "teacher", "fine", *EDGE_SIZES],
)
def test_maps_are_probabilities_of_one_size(config: DetectorConfig, stride: int) -> None:
    detector = config.build()
    maps: DbMaps = detector(torch.randn(2, 3, 64, 32))
    assert detector.map_stride == stride
    for values in (maps.probability_B1HW, maps.threshold_B1HW, maps.binary_B1HW):
        assert values.shape == (2, 1, 64 // stride, 32 // stride)
        assert values.dtype == torch.float32
        assert values.min() >= 0
        assert values.max() <= 1


def test_the_binary_map_is_a_steep_step() -> None:
    """k = 50: one part in ten of probability above the threshold is a certain text."""
    maps: DbMaps = STUDENT.build()(torch.randn(1, 3, 64, 64))
    difference = maps.probability_B1HW - maps.threshold_B1HW
    expected = 1 / (1 + torch.exp(-50 * difference.double()))
    torch.testing.assert_close(maps.binary_B1HW.double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("config", [FINE, *map(edge_detector, EDGE_SIZES)])
def test_inference_is_the_probability_of_training(config: DetectorConfig) -> None:
    detector = config.build().eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = detector(image).probability_B1HW
        torch.testing.assert_close(detector.probability(image), expected)
        torch.testing.assert_close(detector.probability_only()(image), expected)


@pytest.mark.parametrize(
    "config", [STUDENT, edge_detector("medium"), FINE], ids=["student", "edge", "fine"]
)
def test_inference_has_no_threshold_branch(config: DetectorConfig) -> None:
    detector = config.build()
    kept = {id(parameter) for parameter in detector.probability_only().parameters()}
    left_out = {
        name for name, parameter in detector.named_parameters() if id(parameter) not in kept
    }
    assert left_out
    assert all(name.startswith("head.threshold_branch.") for name in left_out)


@pytest.mark.parametrize(
    "config", [STUDENT, edge_detector("small"), FINE], ids=["student", "edge", "fine"]
)
def test_every_weight_learns(config: DetectorConfig) -> None:
    """Through the three maps a gradient reaches every parameter."""
    torch.manual_seed(1)
    detector = config.build()
    maps = detector(torch.randn(2, 3, 64, 64))
    weights = torch.randn_like(maps.probability_B1HW)
    loss = (maps.probability_B1HW + maps.threshold_B1HW + maps.binary_B1HW) * weights
    loss.sum().backward()
    for name, parameter in detector.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("config", [STUDENT, edge_detector("medium")], ids=["student", "edge"])
def test_pixels_are_normalised_as_the_product_does(config: DetectorConfig) -> None:
    detector = config.build()
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    table = input_table(
        mean=detector.mean, std=detector.std, channel_order=detector.channel_order, scale=None
    )
    expected = np.stack([table.values[pixels[..., c], c] for c in range(3)], axis=1)
    actual = detector.normalise(torch.from_numpy(pixels))
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-6)


def test_an_edge_detectors_pixels_are_themselves_minus_128() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    normalised = edge_detector("small").build().normalise(every)
    torch.testing.assert_close(normalised * 128, (every.permute(0, 3, 1, 2).float() - 128))


def test_sides_that_are_no_multiples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"multiples of 32, not 64x100"):
        edge_detector("small").build().probability(torch.zeros(1, 3, 64, 100))


@pytest.mark.parametrize("size", EDGE_SIZES)
def test_edge_detectors_keep_their_budget(size: EdgeSize) -> None:
    network = edge_detector(size).build().probability_only()
    assert count_parameters(network) <= 250_000
    assert count_macs(network, 640, 640) <= 300_000_000


def test_edge_detectors_grow() -> None:
    networks = [edge_detector(size).build().probability_only() for size in EDGE_SIZES]
    macs = [count_macs(network, 640, 640) for network in networks]
    parameters = [count_parameters(network) for network in networks]
    assert macs == sorted(set(macs))
    assert parameters == sorted(set(parameters))


def test_an_edge_backbone_has_hard_swish_where_maps_are_small() -> None:
    smooth = EdgeBackboneConfig().build().stages
    has_it = [any(isinstance(m, nn.Hardswish) for m in stage.modules()) for stage in smooth]
    assert has_it == [False, False, True, True]
    plain = EdgeBackboneConfig(deep_activation="relu6").build()
    assert not any(isinstance(m, nn.Hardswish) for m in plain.modules())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (MobileNetV3Config(scale=0.6), "no scale 0.6"),
        (ResNetVdConfig(blocks=(2, 2, 0, 2)), "a block at least"),
        (PpLcNetConfig(scale=3.0), "no scale 3.0"),
        (PpLcNetConfig(gated_blocks=14), "13 blocks"),
        (EdgeBackboneConfig(channels=(8, 0, 8, 8)), "no such widths"),
    ],
)
def test_a_backbone_that_is_none_is_refused(config: BackboneConfig, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        config.build()


@pytest.mark.parametrize("neck", [DbFpnConfig(channels=90), RseFpnConfig(channels=0)])
def test_a_pyramid_of_four_levels_shares_its_channels(neck: DbFpnConfig | RseFpnConfig) -> None:
    with pytest.raises(RecipeError, match="four levels"):
        dataclasses.replace(STUDENT, neck=neck).build()


def test_a_step_must_rise() -> None:
    with pytest.raises(RecipeError, match="must rise"):
        dataclasses.replace(STUDENT, head=DbHeadConfig(steepness=0)).build()


def test_macs_are_counted_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),  # 16 * 24 * 8 * 27
        nn.Conv2d(8, 8, 5, padding=2, groups=8),  # 16 * 24 * 8 * 25
        nn.ConvTranspose2d(8, 2, 2, stride=2),  # 16 * 24 * 8 * 2 * 4
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 5),  # 10
    )
    assert count_macs(network, 32, 48) == 16 * 24 * 8 * (27 + 25 + 8) + 10
    assert next(network.parameters()).device.type == "cpu"
