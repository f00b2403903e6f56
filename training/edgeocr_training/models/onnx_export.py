"""Networks as ONNX files, for the converter and for every other engine."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from torch import nn

from edgeocr.whole_files import write_whole
from edgeocr_training.errors import ExportError
from edgeocr_training.models.detector import SIZE_MULTIPLE, Detector, ProbabilityDetector

OPSET: Final = 18
INPUT: Final = "x"
OUTPUT: Final = "probability"

_PARITY: Final = 1e-4
"""Largest difference between PyTorch and ONNX Runtime, in probability."""
_ROUNDING: Final = 10
"""So many times the difference between float32 and float64 is allowed, where that is more: an
untrained detector's logits reach 1000, and ONNX Runtime sums in another order, with batch
normalisation folded into the weights."""
_LARGEST_SIDE: Final = 8192


def export_onnx(student: nn.Module, path: Path, *, height: int, width: int) -> None:
    """Writes what a student computes at inference, without its threshold branch.

    The input "x" is (1, 3, H, W) float32, normalised; the output "probability" is
    (1, 1, H / map_stride, W / map_stride) float32. H and W may be any multiples of 32. Batch
    normalisation is that of inference, folded into the convolutions.

    Args:
        student: a detector on any device, left as it is.
        path: of the file, replaced only by one that ONNX Runtime computes alike.
        height: of an image that the file is checked with, in pixels.
        width: likewise.

    Raises:
        ExportError: the student is no detector, the sides are no such multiples, the file can't
            be written, or ONNX Runtime computes something else.
    """
    if not isinstance(student, Detector):
        raise ExportError(f"a {type(student).__name__} is no detector: its export isn't known")
    for side in (height, width):
        if side % SIZE_MULTIPLE or not 2 * SIZE_MULTIPLE <= side <= _LARGEST_SIDE:
            raise ExportError(
                f"{height}x{width} is no shape to export for: sides are multiples of "
                f"{SIZE_MULTIPLE} from {2 * SIZE_MULTIPLE} to {_LARGEST_SIDE}"
            )
    if not path.parent.is_dir():
        raise ExportError(f"can't write {path}: there is no folder {path.parent}")
    network = copy.deepcopy(student).cpu().probability_only().eval()
    # Kept channels-last, pooling would be traced with the order of its result in memory.
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    model = _traced(network, height, width)
    content = model.SerializeToString()
    # The second shape proves that the first is not written into the graph.
    for shape in ((height, width), (height + SIZE_MULTIPLE, 2 * SIZE_MULTIPLE)):
        _check_parity(network, content, *shape)
    try:
        write_whole(path, content)
    except OSError as error:
        raise ExportError(f"can't write {path}: {error}") from error


def _traced(network: ProbabilityDetector, height: int, width: int) -> onnx.ModelProto:
    largest = _LARGEST_SIDE // SIZE_MULTIPLE
    rows = torch.export.Dim("rows", max=largest)
    columns = torch.export.Dim("columns", max=largest)
    with _silent_exporter():
        program = torch.onnx.export(
            network,
            (torch.zeros(1, 3, height, width),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({2: SIZE_MULTIPLE * rows, 3: SIZE_MULTIPLE * columns},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _name_global_pooling(model.graph)
    # Where in whose source a node comes from is nobody's business, and half of a small file.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model


def _name_global_pooling(graph: onnx.GraphProto) -> None:
    """The mean over a whole map, as which the exporter writes pooling, becomes that again.

    Engines know it by that name; the converter makes a transpose of the general mean.
    """
    axes = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    for node in graph.node:
        if node.op_type != "ReduceMean" or len(node.input) < 2 or node.input[1] not in axes:
            continue
        keeps = all(a.i == 1 for a in node.attribute if a.name == "keepdims")
        if keeps and sorted(axes[node.input[1]].tolist()) in ([2, 3], [-2, -1]):
            pooling = onnx.helper.make_node("GlobalAveragePool", node.input[:1], node.output)
            node.CopyFrom(pooling)
    read = {name for node in graph.node for name in node.input}
    for item in [item for item in graph.initializer if item.name not in read]:
        graph.initializer.remove(item)


@contextmanager
def _silent_exporter() -> Iterator[None]:
    """The exporter warns of torchvision, which nobody needs here, and of PyTorch's own future."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check_parity(network: ProbabilityDetector, content: bytes, height: int, width: int) -> None:
    import onnxruntime  # type: ignore[import-untyped]

    image = np.random.default_rng(0).normal(size=(1, 3, height, width)).astype(np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (actual,) = session.run(None, {INPUT: image})
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).numpy()
        exact = copy.deepcopy(network).double()(torch.from_numpy(image).double()).numpy()
    difference = float(np.abs(expected - actual).max())
    if not difference <= max(_PARITY, _ROUNDING * float(np.abs(expected - exact).max())):
        raise ExportError(
            f"ONNX Runtime computes another map at {height}x{width}, different by "
            f"{difference:.2g}; nothing was written"
        )
