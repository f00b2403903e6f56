"""Every pass leaves what the graph computes as it was, in ONNX Runtime."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from edgeocr_conversion import rewrites
from edgeocr_conversion.onnx_graph import Graph

Array = NDArray[Any]
MakeGraph = Callable[..., Graph]
RunGraph = Callable[[Graph, NDArray[np.float32]], NDArray[np.float32]]
Pass = Callable[[Graph], None]

TOLERANCE = 1e-5
"""Of outputs around 1: folding reorders sums and products of float32, no more."""

node = helper.make_node
few = settings(max_examples=12)


def _normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Weights whose sums over (inputs, height, width) stay around 1."""
    spread = np.sqrt(max(1, int(np.prod(shape[1:]))))
    values = np.random.default_rng(seed).normal(size=shape) / spread
    return np.asarray(values, np.float32)


def _kinds(graph: Graph) -> list[str]:
    return [each.op_type for each in graph.nodes]


def _scalar(value: float) -> Array:
    return np.array([value], np.float32)


@pytest.fixture(scope="session")
def check(run_graph: RunGraph) -> Callable[[Graph, Pass], Graph]:
    """Applies a pass to a copy and holds the outputs of both against each other."""

    def apply(graph: Graph, rewrite: Pass) -> Graph:
        rewritten = copy.deepcopy(graph)
        rewrite(rewritten)
        rewritten.drop_unused()
        rewritten.sort()
        image = np.random.default_rng(5).normal(size=graph.input_shape).astype(np.float32)
        before, after = run_graph(graph, image), run_graph(rewritten, image)
        assert after.shape == before.shape
        np.testing.assert_allclose(after, before, atol=TOLERANCE, rtol=TOLERANCE)
        return rewritten

    return apply


Check = Callable[[Graph, Pass], Graph]


def _convolution(
    source: str, target: str, constants: dict[str, Array], weights: Array, **attributes: Any
) -> onnx.NodeProto:
    constants[f"{target}_weights"] = weights
    constants[f"{target}_bias"] = _normal(weights.shape[0], seed=9)
    return node("Conv", [source, f"{target}_weights", f"{target}_bias"], [target], **attributes)


# Identities, softmax, division ---------------------------------------------------------------


def test_identities_vanish(make_graph: MakeGraph, check: Check) -> None:
    graph = make_graph(
        [
            node("Identity", ["x"], ["a"]),
            node("Dropout", ["a"], ["b"]),
            node("Identity", ["c"], ["d"]),
            node("Add", ["b", "d"], ["e"]),
            node("Identity", ["e"], ["y"]),
        ],
        {"c": _scalar(2)},
    )
    assert _kinds(check(graph, rewrites.remove_identities)) == ["Add"]


def test_an_output_that_is_also_read_inside_keeps_its_name(
    make_graph: MakeGraph, check: Check
) -> None:
    nodes = [node("Relu", ["x"], ["a"]), node("Identity", ["a"], ["y"]), node("Neg", ["a"], ["b"])]
    assert _kinds(check(make_graph(nodes, {}), rewrites.remove_identities)) == ["Relu", "Identity"]


def test_logits_have_the_order_of_the_probabilities(
    make_graph: MakeGraph, run_graph: RunGraph
) -> None:
    nodes = [node("Neg", ["x"], ["a"]), node("Softmax", ["a"], ["y"], axis=3)]
    graph = make_graph(nodes, {})
    image = np.random.default_rng(1).normal(size=graph.input_shape).astype(np.float32)
    probabilities = run_graph(graph, image)
    rewrites.emit_logits(graph)
    assert _kinds(graph) == ["Neg"]
    logits = run_graph(graph, image)
    powers = np.exp(logits)
    np.testing.assert_allclose(powers / powers.sum(3, keepdims=True), probabilities, atol=TOLERANCE)


def test_a_softmax_inside_of_the_graph_stays(make_graph: MakeGraph, check: Check) -> None:
    graph = make_graph([node("Softmax", ["x"], ["a"], axis=1), node("Neg", ["a"], ["y"])], {})
    assert _kinds(check(graph, rewrites.emit_logits)) == ["Softmax", "Neg"]


def _time_steps(axis: int, perm: list[int]) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Squeeze", ["a", "axis"], ["b"]),
        node("Transpose", ["b"], ["y"], perm=perm),
    ]
    return nodes, {"w": _normal(4, 3, 8, 1), "axis": np.array([axis])}


@pytest.mark.parametrize("axis", [2, -2])
def test_time_steps_are_squeezed_out_of_a_map_with_its_channels_last(
    make_graph: MakeGraph, check: Check, axis: int
) -> None:
    graph = make_graph(*_time_steps(axis, [0, 2, 1]))
    assert _kinds(check(graph, rewrites.squeeze_last)) == ["Conv", "Transpose", "Squeeze"]


def test_other_transposes_at_the_end_stay(make_graph: MakeGraph, check: Check) -> None:
    kept = ["Conv", "Squeeze", "Transpose"]
    graph = make_graph(*_time_steps(2, [2, 0, 1]))
    assert _kinds(check(graph, rewrites.squeeze_last)) == kept
    # A column, not a row: (1, C, H, 1) to (1, H, C).
    graph = make_graph(*_time_steps(3, [0, 2, 1]))
    graph.constants["w"] = _normal(4, 3, 1, 8)
    assert _kinds(check(graph, rewrites.squeeze_last)) == kept
    nodes, constants = _time_steps(2, [0, 2, 1])
    nodes[-1].output[0] = "steps"
    graph = make_graph([*nodes, node("Relu", ["steps"], ["y"])], constants)
    assert _kinds(check(graph, rewrites.squeeze_last)) == [*kept, "Relu"]


@few
@given(st.floats(0.1, 10), st.floats(-10, 10))
def test_division_and_subtraction_become_their_inverses(
    make_graph: MakeGraph, check: Check, divisor: float, shift: float
) -> None:
    graph = make_graph(
        [node("Div", ["x", "c"], ["a"]), node("Sub", ["a", "s"], ["y"])],
        {"c": _scalar(divisor), "s": _scalar(shift)},
    )
    assert _kinds(check(graph, rewrites.divide_by_multiplying)) == ["Mul", "Add"]


def test_what_is_divided_by_the_map_or_is_a_size_stays(make_graph: MakeGraph, check: Check) -> None:
    graph = make_graph(
        [
            node("Sigmoid", ["x"], ["positive"]),
            node("Div", ["c", "positive"], ["inverse"]),
            node("Shape", ["inverse"], ["shape"]),
            node("Div", ["shape", "two"], ["half"]),
            node("Expand", ["one", "half"], ["y"]),
        ],
        {"c": _scalar(1), "one": _scalar(1), "two": np.array([1, 1, 2, 2], np.int64)},
    )
    assert _kinds(check(graph, rewrites.divide_by_multiplying)).count("Div") == 2


# Batch normalisation -------------------------------------------------------------------------


def _normalisation(constants: dict[str, Array], channels: int) -> list[str]:
    rng = np.random.default_rng(3)
    for name, low in (("scale", 0.5), ("shift", -1.0), ("mean", -1.0), ("variance", 0.2)):
        constants[name] = rng.uniform(low, 2, channels).astype(np.float32)
    return ["scale", "shift", "mean", "variance"]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (node("Conv", ["x", "w"], ["a"]), (4, 3, 3, 3)),
        (node("Conv", ["x", "w"], ["a"], group=3, pads=[1, 1, 1, 1]), (3, 1, 3, 3)),
        (node("Conv", ["x", "w", "b"], ["a"], strides=[2, 2]), (4, 3, 3, 3)),
        (node("ConvTranspose", ["x", "w"], ["a"], strides=[2, 2]), (3, 4, 2, 2)),
    ],
)
def test_batch_normalisation_goes_into_the_layer_before(
    make_graph: MakeGraph, check: Check, layer: onnx.NodeProto, shape: tuple[int, ...]
) -> None:
    channels = shape[1] if layer.op_type == "ConvTranspose" else shape[0]
    constants: dict[str, Array] = {"w": _normal(*shape), "b": _normal(channels, seed=1)}
    names = _normalisation(constants, channels)
    graph = make_graph(
        [layer, node("BatchNormalization", ["a", *names], ["y"], epsilon=1e-3)], constants
    )
    assert _kinds(check(graph, rewrites.fold_batch_normalisation)) == [layer.op_type]


def test_batch_normalisation_stays_where_another_reads_the_layer(
    make_graph: MakeGraph, check: Check
) -> None:
    constants: dict[str, Array] = {"w": _normal(3, 3, 1, 1)}
    names = _normalisation(constants, 3)
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("BatchNormalization", ["a", *names], ["b"]),
        node("Add", ["a", "b"], ["y"]),
    ]
    rewritten = check(make_graph(nodes, constants), rewrites.fold_batch_normalisation)
    assert "BatchNormalization" in _kinds(rewritten)


# Gates ---------------------------------------------------------------------------------------


@few
@given(st.sampled_from([(1 / 6, 0.5), (0.2, 0.5)]), st.floats(0.5, 8))
def test_hard_sigmoid_is_a_clip_of_six(
    make_graph: MakeGraph, check: Check, slope: tuple[float, float], spread: float
) -> None:
    alpha, beta = slope
    graph = make_graph(
        [
            node("Mul", ["x", "spread"], ["a"]),
            node("HardSigmoid", ["a"], ["y"], alpha=alpha, beta=beta),
        ],
        {"spread": _scalar(spread)},
    )
    rewritten = check(graph, rewrites.decompose_hard_sigmoid)
    sloped = [] if alpha == 1 / 6 else ["Mul"]
    assert _kinds(rewritten) == ["Mul", *sloped, "Add", "Clip", "Mul"]
    clip = rewritten.nodes[-2]
    assert [rewritten.scalar(name) for name in clip.input[1:]] == [0, 6]


def test_hard_sigmoid_has_the_slope_of_the_standard_where_none_is_given(
    make_graph: MakeGraph, check: Check
) -> None:
    check(make_graph([node("HardSigmoid", ["x"], ["y"])], {}), rewrites.decompose_hard_sigmoid)


def test_the_hard_swish_operator_becomes_what_its_parts_become(
    make_graph: MakeGraph, check: Check
) -> None:
    constants: dict[str, Array] = {}
    nodes = [
        _convolution("x", "a", constants, _normal(4, 3, 1, 1) * 4),
        node("HardSwish", ["a"], ["b"]),
        _convolution("b", "y", constants, _normal(4, 4, 3, 3), pads=[1, 1, 1, 1]),
    ]
    rewritten = check(make_graph(nodes, constants), rewrites.rewrite_for_xnnpack)
    assert _kinds(rewritten) == ["Conv", "Add", "Clip", "Mul", "Conv"]


def _gelu(root: float) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    nodes = [
        node("Mul", ["x", "root"], ["scaled"]),
        node("Erf", ["scaled"], ["erf"]),
        node("Add", ["erf", "one"], ["opened"]),
        node("Mul", ["x", "opened"], ["product"]),
        node("Mul", ["product", "half"], ["y"]),
    ]
    return nodes, {"root": _scalar(root), "one": _scalar(1), "half": _scalar(0.5)}


def test_gelu_is_recognised_in_its_parts(make_graph: MakeGraph, check: Check) -> None:
    nodes, constants = _gelu(float(np.sqrt(0.5)))
    rewritten = check(make_graph(nodes, constants), rewrites.recognise_gelu)
    assert _kinds(rewritten) == ["Gelu", "Mul", "Mul"]
    # The factors of 2 and 1/2 take each other back.
    check(rewritten, rewrites.fold_scalars)


def test_what_only_looks_like_gelu_stays(make_graph: MakeGraph, check: Check) -> None:
    nodes, constants = _gelu(0.5)
    assert "Erf" in _kinds(check(make_graph(nodes, constants), rewrites.recognise_gelu))
    nodes, constants = _gelu(float(np.sqrt(0.5)))
    nodes[-1] = node("Mul", ["product", "scaled"], ["y"])  # the argument is read once more
    assert "Erf" in _kinds(check(make_graph(nodes, constants), rewrites.recognise_gelu))


def _squeeze_excite(residual: list[str]) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    constants: dict[str, Array] = {}
    nodes = [
        _convolution("x", "f", constants, _normal(4, 3, 1, 1)),
        node("GlobalAveragePool", ["f"], ["pooled"]),
        _convolution("pooled", "squeezed", constants, _normal(4, 4, 1, 1, seed=2)),
        node("Sigmoid", ["squeezed"], ["g"]),
        node("Mul", ["f", "g"], ["product"]),
        node("Add", residual, ["y"]),
    ]
    return nodes, constants


@pytest.mark.parametrize("residual", [["f", "product"], ["product", "f"]])
def test_a_gate_takes_its_residual_in(
    make_graph: MakeGraph, check: Check, run_graph: RunGraph, residual: list[str]
) -> None:
    nodes, constants = _squeeze_excite(residual)
    rewritten = check(make_graph(nodes, constants), rewrites.merge_gate_residuals)
    kinds = _kinds(rewritten)
    assert kinds[-2:] == ["Add", "Mul"]
    addition = rewritten.nodes[-2]
    assert addition.input[0] == "g", "the addition is one of the small gate"


def test_a_residual_of_another_map_stays(make_graph: MakeGraph, check: Check) -> None:
    nodes, constants = _squeeze_excite(["product", "g"])
    nodes.insert(-1, node("Neg", ["f"], ["other"]))
    nodes[-1] = node("Add", ["product", "other"], ["y"])
    rewritten = check(make_graph(nodes, constants), rewrites.merge_gate_residuals)
    assert _kinds(rewritten)[-1] == "Add"
    # f * f + f has no gate.
    square = [node("Mul", ["x", "x"], ["a"]), node("Add", ["a", "x"], ["y"])]
    assert _kinds(check(make_graph(square, {}), rewrites.merge_gate_residuals)) == ["Mul", "Add"]


# Upsampling, transposed convolution, pooling -------------------------------------------------


def _resize(factor: float, **attributes: str) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    kept: dict[str, Any] = {
        "mode": "nearest",
        "nearest_mode": "floor",
        "coordinate_transformation_mode": "asymmetric",
    }
    scales = np.array([1, 1, factor, factor], np.float32)
    return [node("Resize", ["x", "", "scales"], ["y"], **kept | attributes)], {"scales": scales}


@pytest.mark.parametrize(("factor", "steps"), [(2, 1), (4, 2), (8, 3)])
def test_nearest_upsampling_is_copies_and_depth_to_space(
    make_graph: MakeGraph, check: Check, factor: int, steps: int
) -> None:
    nodes, constants = _resize(factor)
    graph = make_graph(nodes, constants, height=3, width=5)
    rewritten = check(graph, rewrites.upsample_by_depth_to_space)
    assert _kinds(rewritten) == ["Concat", "DepthToSpace"] * steps


@pytest.mark.parametrize(
    ("factor", "attributes"),
    [
        (3, {}),
        (1.5, {}),
        (0.5, {}),
        (1, {}),
        (2, {"nearest_mode": "ceil"}),
        (2, {"coordinate_transformation_mode": "align_corners"}),
        (2, {"mode": "linear"}),
    ],
)
def test_other_resizing_stays(
    make_graph: MakeGraph, check: Check, factor: float, attributes: dict[str, str]
) -> None:
    nodes, constants = _resize(factor, **attributes)
    assert _kinds(check(make_graph(nodes, constants), rewrites.upsample_by_depth_to_space)) == [
        "Resize"
    ]


@few
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.booleans())
def test_a_transposed_convolution_is_a_1x1_convolution_and_depth_to_space(
    make_graph: MakeGraph, check: Check, height: int, width: int, outputs: int, biased: bool
) -> None:
    constants: dict[str, Array] = {"w": _normal(3, outputs, 2, 2), "b": _normal(outputs, seed=1)}
    operands = ["x", "w", "b"] if biased else ["x", "w"]
    graph = make_graph(
        [node("ConvTranspose", operands, ["y"], strides=[2, 2])],
        constants,
        height=height,
        width=width,
    )
    rewritten = check(graph, rewrites.transposed_convolution_by_depth_to_space)
    assert _kinds(rewritten) == ["Conv", "DepthToSpace"]


def test_what_follows_point_by_point_moves_before_the_shuffle(
    make_graph: MakeGraph, check: Check
) -> None:
    constants = {
        "w": _normal(3, 4, 2, 2),
        "per_channel": _normal(4, seed=1).reshape(1, 4, 1, 1),
        "half": _scalar(0.5),
        "map": _normal(1, 1, 16, 16, seed=2),
    }
    nodes = [
        node("ConvTranspose", ["x", "w"], ["a"], strides=[2, 2]),
        node("Add", ["a", "per_channel"], ["b"]),
        node("Relu", ["b"], ["c"]),
        node("Mul", ["half", "c"], ["d"]),
        node("Sigmoid", ["d"], ["e"]),
        node("Add", ["e", "map"], ["y"]),
    ]
    rewritten = check(
        make_graph(nodes, constants), rewrites.transposed_convolution_by_depth_to_space
    )
    assert _kinds(rewritten) == ["Conv", "Add", "Relu", "Mul", "Sigmoid", "DepthToSpace", "Add"]


def test_a_row_of_as_many_columns_as_channels_is_no_bias(
    make_graph: MakeGraph, check: Check
) -> None:
    """16 columns, 16 channels: only the place of the 16 in the shape tells them apart."""
    row = _normal(1, 1, 1, 16, seed=1)
    nodes = [
        node("ConvTranspose", ["x", "w"], ["a"], strides=[2, 2]),
        node("Add", ["a", "row"], ["y"]),
    ]
    graph = make_graph(nodes, {"w": _normal(3, 16, 2, 2), "row": row})
    assert _kinds(check(graph, rewrites.transposed_convolution_by_depth_to_space))[-1] == "Add"
    assert _kinds(check(graph, rewrites.fold_scalars)) == ["ConvTranspose", "Add"]
    flat = make_graph(
        [node("Conv", ["x", "w"], ["a"]), node("Add", ["a", "row"], ["y"])],
        {"w": _normal(8, 3, 1, 1), "row": _normal(8, seed=1)},
    )
    assert _kinds(check(flat, rewrites.fold_scalars)) == ["Conv", "Add"]


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((3, 4, 2, 2), {}),
        ((3, 4, 3, 3), {"strides": [2, 2]}),
        ((3, 1, 2, 2), {"strides": [2, 2], "group": 3}),
        ((3, 4, 2, 2), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ((3, 4, 2, 2), {"strides": [2, 2], "dilations": [2, 2]}),
        ((3, 4, 2, 2), {"strides": [2, 2], "output_padding": [1, 1]}),
    ],
)
def test_other_transposed_convolutions_stay(
    make_graph: MakeGraph, check: Check, shape: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    graph = make_graph(
        [node("ConvTranspose", ["x", "w"], ["y"], **attributes)], {"w": _normal(*shape)}
    )
    rewritten = check(graph, rewrites.transposed_convolution_by_depth_to_space)
    assert _kinds(rewritten) == ["ConvTranspose"]


@few
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_average_pooling_is_a_depthwise_convolution(
    make_graph: MakeGraph, check: Check, height: int, width: int, stride: int
) -> None:
    nodes = [
        node("Concat", ["x", "x"], ["a"], axis=1),
        node("AveragePool", ["a"], ["y"], kernel_shape=[height, width], strides=[stride, stride]),
    ]
    rewritten = check(make_graph(nodes, {}), rewrites.average_pool_by_convolution)
    assert _kinds(rewritten) == ["Concat", "Conv"]


def test_pooling_without_strides_goes_pixel_by_pixel(make_graph: MakeGraph, check: Check) -> None:
    graph = make_graph([node("AveragePool", ["x"], ["y"], kernel_shape=[2, 3])], {})
    assert _kinds(check(graph, rewrites.average_pool_by_convolution)) == ["Conv"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [1, 1, 1, 1]},
        {"strides": [3, 3], "ceil_mode": 1},
        {"auto_pad": "SAME_UPPER"},
        {"dilations": [2, 2]},
    ],
)
def test_pooling_over_a_border_stays(
    make_graph: MakeGraph, check: Check, attributes: dict[str, Any]
) -> None:
    graph = make_graph([node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], **attributes)], {})
    assert _kinds(check(graph, rewrites.average_pool_by_convolution)) == ["AveragePool"]


# Scalars -------------------------------------------------------------------------------------


def _affine(source: str, target: str, constants: dict[str, Array]) -> list[onnx.NodeProto]:
    """A learnable affine block: times a scalar, plus a scalar."""
    constants |= {f"{target}_scale": _scalar(0.7), f"{target}_shift": _scalar(-0.3)}
    return [
        node("Mul", [source, f"{target}_scale"], [f"{target}_scaled"]),
        node("Add", [f"{target}_scaled", f"{target}_shift"], [target]),
    ]


def test_an_affine_block_behind_a_convolution_goes_into_it(
    make_graph: MakeGraph, check: Check
) -> None:
    constants: dict[str, Array] = {}
    nodes = [
        _convolution("x", "a", constants, _normal(4, 3, 3, 3), pads=[1, 1, 1, 1]),
        *_affine("a", "y", constants),
    ]
    assert _kinds(check(make_graph(nodes, constants), rewrites.fold_scalars)) == ["Conv"]


def test_an_affine_block_before_an_unpadded_convolution_goes_into_it(
    make_graph: MakeGraph, check: Check
) -> None:
    constants: dict[str, Array] = {}
    nodes = [
        node("Relu", ["x"], ["a"]),
        *_affine("a", "b", constants),
        _convolution("b", "c", constants, _normal(4, 3, 3, 3)),
        _convolution("b", "d", constants, _normal(4, 3, 3, 3, seed=4)),
        node("Concat", ["c", "d"], ["y"], axis=1),
    ]
    rewritten = check(make_graph(nodes, constants), rewrites.fold_scalars)
    assert _kinds(rewritten) == ["Relu", "Conv", "Conv", "Concat"]


@pytest.mark.parametrize(
    "attributes", [{"pads": [1, 1, 1, 1]}, {"auto_pad": "SAME_UPPER"}], ids=["pads", "same"]
)
def test_a_shift_before_a_padded_depthwise_convolution_stays(
    make_graph: MakeGraph, check: Check, attributes: dict[str, Any]
) -> None:
    """The border is padded with zeros, not with the shift."""
    constants: dict[str, Array] = {}
    nodes = [
        node("Relu", ["x"], ["a"]),
        *_affine("a", "b", constants),
        _convolution("b", "y", constants, _normal(3, 1, 3, 3), group=3, **attributes),
    ]
    rewritten = check(make_graph(nodes, constants), rewrites.fold_scalars)
    assert _kinds(rewritten) == ["Relu", "Add", "Conv"], "the factor goes, the shift stays"


def _hard_swish_block(constants: dict[str, Array], *, pads: int) -> list[onnx.NodeProto]:
    """Convolution, affine, hard-swish, affine, depthwise convolution: PP-LCNetV3's habit."""
    constants |= {"three": _scalar(3), "zero": _scalar(0), "six": _scalar(6)}
    return [
        _convolution("x", "a", constants, _normal(4, 3, 1, 1)),
        *_affine("a", "b", constants),
        node("Add", ["b", "three"], ["c"]),
        node("Clip", ["c", "zero", "six"], ["d"]),
        node("Mul", ["b", "d"], ["e"]),
        node("Div", ["e", "six"], ["f"]),
        *_affine("f", "g", constants),
        _convolution("g", "y", constants, _normal(4, 1, 3, 3), group=4, pads=[pads] * 4),
    ]


@pytest.mark.parametrize(
    ("pads", "kinds"),
    [
        (0, ["Conv", "Add", "Clip", "Mul", "Conv"]),
        (1, ["Conv", "Add", "Clip", "Mul", "Add", "Conv"]),
    ],
)
def test_nothing_but_the_clip_is_left_of_a_hard_swish_between_affine_blocks(
    make_graph: MakeGraph, check: Check, pads: int, kinds: list[str]
) -> None:
    constants: dict[str, Array] = {}
    graph = make_graph(_hard_swish_block(constants, pads=pads), constants)
    rewritten = check(graph, rewrites.rewrite_for_xnnpack)
    assert _kinds(rewritten) == kinds


def test_the_sixth_of_a_gate_goes_into_the_layers_behind_the_map(
    make_graph: MakeGraph, check: Check
) -> None:
    """f * (g / 6), read by a convolution: no multiplication of the map by a sixth is left."""
    constants: dict[str, Array] = {}
    nodes = [
        node("GlobalAveragePool", ["x"], ["pooled"]),
        _convolution("pooled", "squeezed", constants, _normal(3, 3, 1, 1)),
        node("HardSigmoid", ["squeezed"], ["g"]),
        node("Mul", ["x", "g"], ["product"]),
        _convolution("product", "y", constants, _normal(4, 3, 1, 1)),
    ]
    rewritten = check(make_graph(nodes, constants), rewrites.rewrite_for_xnnpack)
    assert _kinds(rewritten) == ["GlobalAveragePool", "Conv", "Add", "Clip", "Mul", "Conv"]


@few
@given(st.lists(st.tuples(st.sampled_from(["Mul", "Add"]), st.floats(-2, 2)), max_size=5))
@example([("Mul", 0.0), ("Add", 1.0)])
def test_scalars_in_any_order_move_without_a_trace(
    make_graph: MakeGraph, check: Check, steps: list[tuple[str, float]]
) -> None:
    """Zeros too: what a factor of zero has swallowed does not come back."""
    constants: dict[str, Array] = {}
    nodes, source = [node("Sigmoid", ["x"], ["s"])], "s"
    for i, (kind, value) in enumerate(steps):
        constants[f"c{i}"] = _scalar(value)
        nodes.append(node(kind, [f"c{i}", source], [f"t{i}"]))
        source = f"t{i}"
    nodes.append(_convolution(source, "a", constants, _normal(4, 3, 1, 1)))
    nodes.append(_convolution("a", "y", constants, _normal(2, 4, 3, 3), pads=[1, 1, 1, 1]))
    check(make_graph(nodes, constants), rewrites.fold_scalars)


def test_factors_reach_a_matrix_product(make_graph: MakeGraph, check: Check) -> None:
    constants: dict[str, Array] = {
        "w": _normal(5, 3),
        "b": _normal(5, seed=1),
        "factor": _scalar(0.25),
        "per_output": _normal(5, seed=2) + 2,
    }
    nodes = [
        node("GlobalMaxPool", ["x"], ["a"]),
        node("Mul", ["a", "factor"], ["c"]),
        node("Flatten", ["c"], ["d"]),
        node("Gemm", ["d", "w", "b"], ["e"], transB=1),
        node("Mul", ["e", "per_output"], ["y"]),
    ]
    rewritten = check(make_graph(nodes, constants), rewrites.fold_scalars)
    assert _kinds(rewritten)[-1] == "Gemm"
