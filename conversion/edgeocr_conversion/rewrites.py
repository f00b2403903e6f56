"""Exact rewrites that leave only what XNNPACK takes as integers.

Every pass keeps the function of the graph and removes an obstacle between an official PP-OCR
model and a single INT8 partition:

* scalar constants of learnable affine blocks, whose scales are so small beside their
  partner's that XNNPACK refuses the ADD, are folded into neighbouring convolutions;
* hard-swish and hard-sigmoid become ``relu6(x + 3)`` with the sixth folded away;
* squeeze-excite residuals ``f + f * g`` become ``f * (1 + g)``: one multiplication of the
  large map instead of a multiplication and an addition;
* nearest upsampling and 2x2 transposed convolutions become channel copies and 1x1
  convolutions before a depth-to-space: no operator outside of XNNPACK, and no constant that
  holds a map's size.

All of them work on the graph in place.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from edgeocr_conversion.onnx_graph import Array, Graph, attribute

CONVOLUTIONS = ("Conv", "Gemm")


def rewrite_for_xnnpack(graph: Graph) -> None:
    """All passes, in the order in which they open the way for each other."""
    remove_identities(graph)
    emit_logits(graph)
    squeeze_last(graph)
    divide_by_multiplying(graph)
    fold_batch_normalisation(graph)
    decompose_hard_swish(graph)
    decompose_hard_sigmoid(graph)
    recognise_gelu(graph)
    merge_gate_residuals(graph)
    upsample_by_depth_to_space(graph)
    transposed_convolution_by_depth_to_space(graph)
    average_pool_by_convolution(graph)
    fold_scalars(graph)
    graph.drop_unused()
    graph.sort()


def remove_identities(graph: Graph) -> None:
    """Identity and Dropout do nothing at inference."""
    for node in graph.of_type("Identity", "Dropout"):
        if node.input[0] in graph.constants:
            graph.constants[node.output[0]] = graph.constants[node.input[0]]
            graph.replace(node)
        else:
            graph.bypass(node, node.input[0])


def emit_logits(graph: Graph) -> None:
    """Drops a softmax at the output: argmax needs none, INT8 softmax has no XNNPACK kernel."""
    node = graph.producer(graph.output_name)
    if node is not None and node.op_type == "Softmax":
        graph.bypass(node, node.input[0])


def squeeze_last(graph: Graph) -> None:
    """A map of one row to time steps at the output: transposed first, then squeezed.

    TFLite keeps the channels last anyhow, so that the transpose is nothing there. onnx2tf drops
    the other one, of time steps.
    """
    transpose = graph.producer(graph.output_name)
    if transpose is None or transpose.op_type != "Transpose":
        return
    squeeze = graph.producer(transpose.input[0])
    if squeeze is None or squeeze.op_type != "Squeeze" or len(squeeze.input) != 2:
        return
    axes = graph.constants.get(squeeze.input[1])
    fits = (
        axes is not None
        and axes.tolist() in ([2], [-2])
        and list(attribute(transpose, "perm", [])) == [0, 2, 1]
        and len(graph.shape(squeeze.input[0])) == 4
        and graph.sole_consumer(squeeze.output[0]) is transpose
    )
    if not fits:
        return
    row = graph.name("row")
    first = graph.constant(np.array([1]), "axis")
    graph.replace(
        squeeze, helper.make_node("Transpose", squeeze.input[:1], [row], perm=[0, 2, 3, 1])
    )
    graph.replace(transpose, helper.make_node("Squeeze", [row, first], transpose.output))


def divide_by_multiplying(graph: Graph) -> None:
    """x / c becomes x * (1 / c), x - c becomes x + (-c)."""
    for node in graph.of_type("Div", "Sub"):
        if node.input[1] not in graph.constants or node.input[0] in graph.constants:
            continue
        constant = graph.constants[node.input[1]]
        if constant.dtype.kind != "f":
            continue  # a size, whose reciprocal is no integer
        if node.op_type == "Div":
            value, op_type = 1.0 / constant, "Mul"
        else:
            value, op_type = -constant, "Add"
        name = graph.constant(np.asarray(value, dtype=constant.dtype), "reciprocal")
        graph.replace(node, helper.make_node(op_type, [node.input[0], name], node.output))


def fold_batch_normalisation(graph: Graph) -> None:
    """BatchNormalization after a convolution or a matrix product goes into its weights."""
    for node in graph.of_type("BatchNormalization"):
        scale, shift, mean, variance = (graph.constants[name] for name in node.input[1:5])
        factor = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        producer = graph.producer(node.input[0])
        if producer is None or graph.sole_consumer(node.input[0]) is not node:
            continue
        if not _scale_producer(graph, producer, factor, shift - mean * factor):
            continue
        graph.bypass(node, node.input[0])


def decompose_hard_swish(graph: Graph) -> None:
    """The operator of newer opsets: x hard_sigmoid(x), with a slope of 1/6."""
    for node in graph.of_type("HardSwish"):
        gate = graph.name("gate")
        graph.replace(
            node,
            helper.make_node("HardSigmoid", [node.input[0]], [gate], alpha=1 / 6, beta=0.5),
            helper.make_node("Mul", [node.input[0], gate], node.output),
        )


def decompose_hard_sigmoid(graph: Graph) -> None:
    """clip(a x + b, 0, 1) = relu6(6 a x + 6 b) / 6."""
    for node in graph.of_type("HardSigmoid"):
        alpha, beta = attribute(node, "alpha", 0.2), attribute(node, "beta", 0.5)
        scaled, shifted, clipped = (graph.name("gate") for _ in range(3))
        # 1/6 has no float32; six times what is nearest to it is 1 all the same.
        steep = not np.isclose(6 * alpha, 1.0, rtol=0, atol=1e-6)
        slope = helper.make_node("Mul", [node.input[0], _scalar(graph, 6 * alpha)], [scaled])
        graph.replace(
            node,
            *([slope] if steep else []),
            helper.make_node(
                "Add", [scaled if steep else node.input[0], _scalar(graph, 6 * beta)], [shifted]
            ),
            helper.make_node(
                "Clip", [shifted, _scalar(graph, 0.0), _scalar(graph, 6.0)], [clipped]
            ),
            helper.make_node("Mul", [clipped, _scalar(graph, 1 / 6)], node.output),
        )


def recognise_gelu(graph: Graph) -> None:
    """x (1 + erf(x / sqrt 2)) becomes 2 gelu(x): one operator, in integers a table.

    Written out, erf is a polynomial of ten operators that leaves XNNPACK. Approximations by
    what XNNPACK has for integers, x sigmoid(1.702 x), were measured on PP-OCRv6's detector: in
    float, text pixels of 8 street scenes agree with the original's to an IoU of 0.92 only.
    """
    for erf in graph.of_type("Erf"):
        scaled = graph.producer(erf.input[0])
        plus_one = graph.sole_consumer(erf.output[0])
        if scaled is None or scaled.op_type != "Mul" or plus_one is None:
            continue
        if graph.sole_consumer(scaled.output[0]) is not erf:
            continue
        split = graph.split_constant(scaled)
        if split is None or plus_one.op_type != "Add" or not _has_scalar(graph, plus_one, 1.0):
            continue
        source, root = split
        product = graph.sole_consumer(plus_one.output[0])
        root_value = graph.scalar(root)
        if product is None or product.op_type != "Mul" or source not in product.input:
            continue
        if root_value is None or not np.isclose(root_value, np.sqrt(0.5), atol=1e-4):
            continue
        half = graph.name("gelu")
        graph.replace(scaled)
        graph.replace(erf)
        graph.replace(plus_one)
        graph.replace(
            product,
            helper.make_node("Gelu", [source], [half]),
            helper.make_node("Mul", [half, _scalar(graph, 2.0)], list(product.output)),
        )


def merge_gate_residuals(graph: Graph) -> None:
    """f + f * g becomes f * (1 + g), where g is a gate per channel."""
    for product in graph.of_type("Mul"):
        total = graph.sole_consumer(product.output[0])
        if total is None or total.op_type != "Add":
            continue
        shared = [name for name in product.input if name in total.input]
        if len(shared) != 1 or shared[0] in graph.constants:
            continue
        feature = shared[0]
        gate = next(name for name in product.input if name != feature)
        if gate in graph.constants:
            continue
        opened = graph.name("gate")
        graph.replace(product)
        graph.replace(
            total,
            helper.make_node("Add", [gate, _scalar(graph, 1.0)], [opened]),
            helper.make_node("Mul", [feature, opened], total.output),
        )


def upsample_by_depth_to_space(graph: Graph) -> None:
    """Nearest upsampling by 2 = four copies of the channels, then depth to space.

    Larger powers of two are chains of it. XNNPACK has no nearest resize; these two it has.
    """
    for node in graph.of_type("Resize"):
        scales = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        mode = attribute(node, "mode", b"nearest")
        if mode != b"nearest" or scales is None or scales.size != 4:
            continue
        factor = int(scales[2])
        steps = factor.bit_length() - 1
        floors = attribute(node, "nearest_mode", b"round_prefer_floor") == b"floor"
        asymmetric = attribute(node, "coordinate_transformation_mode") == b"asymmetric"
        if list(scales) != [1, 1, factor, factor] or 2**steps != factor or steps == 0:
            continue
        if not (floors and asymmetric):
            continue
        nodes, source = [], node.input[0]
        for step in range(steps):
            copies = graph.name("copies")
            target = node.output[0] if step == steps - 1 else graph.name("upsampled")
            nodes.append(helper.make_node("Concat", [source] * 4, [copies], axis=1))
            nodes.append(
                helper.make_node("DepthToSpace", [copies], [target], blocksize=2, mode="DCR")
            )
            source = target
        graph.replace(node, *nodes)


def transposed_convolution_by_depth_to_space(graph: Graph) -> None:
    """A 2x2 transposed convolution of stride 2 = a 1x1 convolution to 4 times the channels,
    then depth to space; pointwise activations that follow move before the shuffle.
    """
    for node in graph.of_type("ConvTranspose"):
        weights_IOHW = graph.constants.get(node.input[1])
        if weights_IOHW is None or weights_IOHW.shape[2:] != (2, 2):
            continue
        fits = (
            list(attribute(node, "strides", [1, 1])) == [2, 2]
            and list(attribute(node, "dilations", [1, 1])) == [1, 1]
            and not any(attribute(node, "pads", [0]))
            and not any(attribute(node, "output_padding", [0]))
            and attribute(node, "group", 1) == 1
        )
        if not fits:
            continue
        inputs, outputs = weights_IOHW.shape[:2]
        # Row (i, j, o) of the new weights makes channel o of the pixel (2 h + i, 2 w + j).
        weights = weights_IOHW.transpose(2, 3, 1, 0).reshape(4 * outputs, inputs, 1, 1)
        operands = [node.input[0], graph.constant(weights, "subpixel_weights")]
        if len(node.input) > 2:
            bias = np.tile(graph.constants[node.input[2]], 4)
            operands.append(graph.constant(bias, "subpixel_bias"))
        mixed = graph.name("subpixel")
        new = [helper.make_node("Conv", operands, [mixed], kernel_shape=[1, 1])]
        last, output = mixed, node.output[0]
        follower = graph.sole_consumer(output)
        moved = []
        # A per-channel bias or batch normalisation that was not folded would have to be tiled.
        while follower is not None and follower.op_type in ("Relu", "Sigmoid", "Add", "Mul"):
            if follower.op_type in ("Add", "Mul"):
                split = graph.split_constant(follower)
                if split is None:
                    break
                constant = graph.constants[split[1]]
                if constant.size == outputs and _is_per_channel(constant):
                    tiled: Array = np.tile(constant.reshape(-1), 4).reshape(1, -1, 1, 1)
                elif constant.size == 1:
                    tiled = constant
                else:
                    break
                operands = [last, graph.constant(tiled, "tiled")]
            else:
                operands = [last]
            active = graph.name("subpixel")
            new.append(helper.make_node(follower.op_type, operands, [active]))
            moved.append(follower)
            last, output = active, follower.output[0]
            follower = graph.sole_consumer(output)
        new.append(helper.make_node("DepthToSpace", [last], [output], blocksize=2, mode="DCR"))
        for other in moved:
            graph.replace(other)
        graph.replace(node, *new)


def average_pool_by_convolution(graph: Graph) -> None:
    """Average pooling without padding = a depthwise convolution with equal weights.

    XNNPACK pools floats only.
    """
    for node in graph.of_type("AveragePool"):
        kernel = list(attribute(node, "kernel_shape"))
        if any(attribute(node, "pads", [0])) or attribute(node, "ceil_mode", 0):
            continue
        if attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            continue
        if any(step != 1 for step in attribute(node, "dilations", [1])):
            continue
        channels = graph.shape(node.input[0])[1]
        weights = np.full((channels, 1, *kernel), 1.0 / np.prod(kernel), dtype=np.float32)
        graph.replace(
            node,
            helper.make_node(
                "Conv",
                [node.input[0], graph.constant(weights, "average")],
                node.output,
                kernel_shape=kernel,
                strides=list(attribute(node, "strides", [1] * len(kernel))),
                group=channels,
            ),
        )


def fold_scalars(graph: Graph) -> None:
    """Moves multiplications and additions of scalars into the weights of their neighbours.

    Backwards into the convolution that made the tensor where nobody else reads it; otherwise
    forwards: a factor into every convolution that reads the tensor (zero padding stays zero),
    a shift into those without padding only, since padding would have to hold the shift too.
    Repeats until nothing moves.
    """
    moved = True
    while moved:
        moved = False
        for node in graph.of_type("Mul", "Add"):
            split = graph.split_constant(node)
            if split is None or not any(other is node for other in graph.nodes):
                continue
            source, name = split
            reader = graph.sole_consumer(node.output[0])
            if reader is not None and reader.op_type == "Clip":
                continue  # fused as ADD with RELU6; a RELU6 after a convolution stays float
            if _fold_backwards(graph, node, source, graph.constants[name]):
                moved = True
                continue
            value = graph.scalar(name)
            if value is None:
                continue
            if node.op_type == "Mul":
                moved |= _sink_factor(graph, node, source, value)
            else:
                moved |= _fold_shift_forwards(graph, node, source, value)


def _fold_backwards(graph: Graph, node: onnx.NodeProto, source: str, constant: Array) -> bool:
    producer = graph.producer(source)
    if producer is None or graph.sole_consumer(source) is not node:
        return False
    one = np.ones(1, dtype=np.float32)
    zero = np.zeros(1, dtype=np.float32)
    if constant.size > 1:
        # Per channel: (C, 1, 1) or (1, C, 1, 1) after a convolution, (C,) after a product.
        if producer.op_type != "Gemm" and not _is_per_channel(constant):
            return False
        constant = constant.reshape(-1)
    factor, shift = (constant, zero) if node.op_type == "Mul" else (one, constant.reshape(-1))
    if not _scale_producer(graph, producer, factor.reshape(-1), shift.reshape(-1)):
        return False
    graph.bypass(node, source)
    return True


def _is_per_channel(constant: Array) -> bool:
    """Whether a constant beside an NCHW map holds a value for each of its channels."""
    return constant.ndim > 2 and 1 < constant.size == constant.shape[-3]


def _scale_producer(graph: Graph, node: onnx.NodeProto, factor: Array, shift: Array) -> bool:
    """Makes a linear node give ``factor * y + shift`` instead of y; False if it isn't linear."""
    axis_shape: tuple[int, ...]
    if node.op_type == "Conv":
        weights = graph.constants.get(node.input[1])
        if weights is None:
            return False
        outputs, axis_shape = weights.shape[0], (-1, 1, 1, 1)
    elif node.op_type == "ConvTranspose":
        weights = graph.constants.get(node.input[1])
        if weights is None or attribute(node, "group", 1) != 1:
            return False
        outputs, axis_shape = weights.shape[1], (1, -1, 1, 1)
    elif node.op_type == "Gemm" and attribute(node, "alpha", 1.0) == 1.0:
        weights = graph.constants.get(node.input[1])
        if weights is None or attribute(node, "beta", 1.0) != 1.0:
            return False
        transposed = attribute(node, "transB", 0)
        outputs = weights.shape[0 if transposed else 1]
        axis_shape = (-1, 1) if transposed else (1, -1)
    else:
        return False
    if factor.size not in (1, outputs) or shift.size not in (1, outputs):
        return False
    has_bias = len(node.input) > 2 and node.input[2] != ""
    bias = graph.constants[node.input[2]] if has_bias else np.zeros(outputs, dtype=np.float32)
    node.input[1] = graph.constant(
        (weights * factor.reshape(axis_shape)).astype(np.float32), "weights"
    )
    new_bias = graph.constant((bias * factor + shift).astype(np.float32), "bias")
    if len(node.input) > 2:
        node.input[2] = new_bias
    else:
        node.input.append(new_bias)
    return True


def _sink_factor(graph: Graph, node: onnx.NodeProto, source: str, factor: float) -> bool:
    """y = factor * x: into the weights of all readers of y, or past an addition."""
    output = node.output[0]
    readers = graph.consumers(output)
    if output == graph.output_name or not readers or factor == 0:
        return False
    if _all_linear(graph, output):
        for reader in readers:
            weights = graph.constants[reader.input[1]]
            reader.input[1] = graph.constant((weights * factor).astype(np.float32), "weights")
        graph.bypass(node, source)
        return True
    reader = readers[0]
    if len(readers) != 1:
        return False
    split = graph.split_constant(reader) if reader.op_type in ("Add", "Mul") else None
    if split is None:
        # A gate: f * (factor * g) = factor * (f * g), if the next convolutions take it: a
        # multiplication of the small gate is cheaper than one of the map.
        absorbed = reader.op_type == "Mul" and _all_linear(graph, reader.output[0])
        if absorbed and len(set(reader.input)) == 2:
            product = graph.name("product")
            operands = [source if name == output else name for name in reader.input]
            after = helper.make_node("Mul", [product, _scalar(graph, factor)], list(reader.output))
            graph.replace(reader, helper.make_node("Mul", operands, [product]), after)
            graph.replace(node)
            return True
        return False
    constant = graph.constants[split[1]]
    if reader.op_type == "Mul":
        merged = graph.constant((constant * factor).astype(np.float32), "factor")
        graph.replace(reader, helper.make_node("Mul", [source, merged], reader.output))
        graph.replace(node)
        return True
    # factor * x + c = factor * (x + c / factor)
    shifted = graph.name("shifted")
    quotient = graph.constant((constant / factor).astype(np.float32), "shift")
    graph.replace(
        reader,
        helper.make_node("Add", [source, quotient], [shifted]),
        helper.make_node("Mul", [shifted, _scalar(graph, factor)], reader.output),
    )
    graph.replace(node)
    return True


def _all_linear(graph: Graph, name: str) -> bool:
    """Whether every reader multiplies the tensor by constant weights."""
    readers = graph.consumers(name)
    return (
        name != graph.output_name
        and len(readers) > 0
        and all(
            reader.op_type in CONVOLUTIONS
            and reader.input[0] == name
            and reader.input[1] in graph.constants
            for reader in readers
        )
    )


def _fold_shift_forwards(graph: Graph, node: onnx.NodeProto, source: str, shift: float) -> bool:
    """y = x + shift: into the bias of all readers of y, if none of them pads."""
    output = node.output[0]
    readers = graph.consumers(output)
    if output == graph.output_name or not readers:
        return False
    for reader in readers:
        if reader.op_type != "Conv" or reader.input[0] != output:
            return False
        if any(attribute(reader, "pads", [0])) or attribute(reader, "auto_pad", b"NOTSET") not in (
            b"NOTSET",
            b"VALID",
        ):
            return False
    for reader in readers:
        weights = graph.constants[reader.input[1]]
        extra = shift * weights.sum(axis=(1, 2, 3))
        has_bias = len(reader.input) > 2 and reader.input[2] != ""
        bias = graph.constants[reader.input[2]] + extra if has_bias else extra
        name = graph.constant(bias.astype(np.float32), "bias")
        if len(reader.input) > 2:
            reader.input[2] = name
        else:
            reader.input.append(name)
    graph.bypass(node, source)
    return True


def _scalar(graph: Graph, value: float) -> str:
    return graph.constant(np.asarray([value], dtype=np.float32), "scalar")


def _has_scalar(graph: Graph, node: onnx.NodeProto, value: float) -> bool:
    return any(graph.scalar(name) == value for name in node.input)
