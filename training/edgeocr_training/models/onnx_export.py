"""Networks as ONNX files, for the converter and for every other engine."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
import torch
from torch import nn

from edgeocr.whole_files import write_whole
from edgeocr_training.errors import ExportError
from edgeocr_training.models.classifier import CLASSES, Classifier
from edgeocr_training.models.detector import SIZE_MULTIPLE, Detector
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.models.text_line import COLUMNS_PER_STEP, LINE_HEIGHT

OPSET: Final = 18
INPUT: Final = "x"
PROBABILITY: Final = "probability"
"""Output of a detector."""
LOGITS: Final = "logits"
"""Output of recognisers and classifiers."""
CHARACTERS: Final = "character"
"""Metadata of a recogniser, as PaddleOCR's ONNX files have it: its characters, one a line."""

Shape: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""

_PARITY: Final = 1e-4
"""Largest difference between PyTorch and ONNX Runtime, in probability or logits."""
_ROUNDING: Final = 10
"""So many times the difference between float32 and float64 is allowed, where that is more: an
untrained detector's logits reach 1000, and ONNX Runtime sums in another order, with batch
normalisation folded into the weights."""
_LARGEST_SIDE: Final = 8192


def export_onnx(
    student: nn.Module,
    path: Path,
    *,
    shape: Shape | None = None,
    characters: Sequence[str] | None = None,
) -> None:
    """Writes what a student computes at inference.

    The input "x" is (1, 3, H, W) float32, normalised. Batch normalisation is that of inference,
    folded into the convolutions. Output, float32:

    * of a detector "probability" (1, 1, H / map_stride, W / map_stride), without its threshold
      branch; H and W may be any multiples of 32;
    * of a recogniser "logits" (1, W / 4, classes); H is 32, W may be any multiple of 4;
    * of a classifier "logits" (1, 2); H and W are its own.

    Args:
        student: a network on any device, left as it is.
        path: of the file, replaced only by one that ONNX Runtime computes alike.
        shape: height and width of an image that the file is checked with, in pixels; by default
            640x640, 32x320, or the classifier's.
        characters: that a recogniser's classes 1, 2, ... mean, to be named in the file.

    Raises:
        ExportError: the student is of another kind, it takes no images of that shape, it has
            other classes than the characters, the file can't be written, or ONNX Runtime computes
            something else.
    """
    match student:
        case Detector():
            form = _detector_form(student, shape or (640, 640))
        case Recogniser():
            form = _recogniser_form(student, shape or (LINE_HEIGHT, 320))
        case Classifier():
            form = _classifier_form(student, shape or (student.height, student.width))
        case _:
            raise ExportError(
                f"a {type(student).__name__} is no detector, recogniser or classifier: its export "
                "isn't known"
            )
    if characters is not None and form.output_shape[-1] != len(characters) + 1:
        raise ExportError(
            f"the network has {form.output_shape[-1]} classes, and there are {len(characters)} "
            "characters: it must be one more, the blank"
        )
    if not path.parent.is_dir():
        raise ExportError(f"can't write {path}: there is no folder {path.parent}")
    form.network.eval()
    # Kept channels-last, pooling would be traced with the order of its result in memory.
    form.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    model = _traced(form)
    if characters is not None:
        onnx.helper.set_model_props(model, {CHARACTERS: "\n".join(characters)})
    content = model.SerializeToString()
    for checked in form.shapes:
        _check_parity(form, content, checked)
    try:
        write_whole(path, content)
    except OSError as error:
        raise ExportError(f"can't write {path}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Form:
    """What is exported of a student."""

    network: nn.Module
    """A copy, from image to output."""
    output: str
    output_shape: tuple[int | str, ...]
    """A name stands for a size that varies."""
    dimensions: Mapping[int, Any]
    """Of the image's axes those that may vary, and how."""
    shapes: tuple[Shape, ...]
    """Of images that the file is checked with; it is traced with the first. Another proves that
    the first is not written into the graph."""


def _detector_form(detector: Detector, shape: Shape) -> _Form:
    for side in shape:
        if side % SIZE_MULTIPLE or not 2 * SIZE_MULTIPLE <= side <= _LARGEST_SIDE:
            raise ExportError(
                f"{_written(shape)} is no shape to export for: sides are multiples of "
                f"{SIZE_MULTIPLE} from {2 * SIZE_MULTIPLE} to {_LARGEST_SIDE}"
            )
    largest = _LARGEST_SIDE // SIZE_MULTIPLE
    return _Form(
        network=copy.deepcopy(detector).cpu().probability_only(),
        output=PROBABILITY,
        output_shape=(1, 1, "height", "width"),
        dimensions={
            2: SIZE_MULTIPLE * torch.export.Dim("rows", max=largest),
            3: SIZE_MULTIPLE * torch.export.Dim("columns", max=largest),
        },
        shapes=(shape, (shape[0] + SIZE_MULTIPLE, 2 * SIZE_MULTIPLE)),
    )


def _recogniser_form(recogniser: Recogniser, shape: Shape) -> _Form:
    height, width = shape
    narrowest = 2 * COLUMNS_PER_STEP
    if height != LINE_HEIGHT or width % COLUMNS_PER_STEP or not narrowest <= width <= _LARGEST_SIDE:
        raise ExportError(
            f"{_written(shape)} is no shape to export for: a recogniser's height is {LINE_HEIGHT}, "
            f"its width a multiple of {COLUMNS_PER_STEP} from {narrowest} to {_LARGEST_SIDE}"
        )
    steps = torch.export.Dim("steps", max=_LARGEST_SIDE // COLUMNS_PER_STEP)
    return _Form(
        network=copy.deepcopy(recogniser).cpu().logits_only(),
        output=LOGITS,
        output_shape=(1, "steps", recogniser.head.classes.out_features),
        dimensions={3: COLUMNS_PER_STEP * steps},
        shapes=(shape, (height, width + COLUMNS_PER_STEP)),
    )


def _classifier_form(classifier: Classifier, shape: Shape) -> _Form:
    own = (classifier.height, classifier.width)
    if shape != own:
        raise ExportError(
            f"{_written(shape)} is no shape to export for: the classifier's is {_written(own)}"
        )
    return _Form(
        network=copy.deepcopy(classifier).cpu(),
        output=LOGITS,
        output_shape=(1, CLASSES),
        dimensions={},
        shapes=(shape,),
    )


def _written(shape: Shape) -> str:
    return f"{shape[0]}x{shape[1]}"


def _traced(form: _Form) -> onnx.ModelProto:
    with _silent_exporter():
        program = torch.onnx.export(
            form.network,
            (torch.zeros(1, 3, *form.shapes[0]),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[form.output],
            dynamic_shapes=(dict(form.dimensions),),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _name_global_pooling(model.graph)
    # Where in whose source a node comes from is nobody's business, and half of a small file.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    # Behind an LSTM the exporter takes the shapes of the example for those of every image.
    del model.graph.value_info[:]
    model.graph.output[0].CopyFrom(
        onnx.helper.make_tensor_value_info(form.output, onnx.TensorProto.FLOAT, form.output_shape)
    )
    for value in model.graph.input:
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


def _check_parity(form: _Form, content: bytes, shape: Shape) -> None:
    import onnxruntime  # type: ignore[import-untyped]

    image = np.random.default_rng(0).normal(size=(1, 3, *shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (actual,) = session.run(None, {INPUT: image})
    with torch.inference_mode():
        expected = form.network(torch.from_numpy(image)).numpy()
        exact = copy.deepcopy(form.network).double()(torch.from_numpy(image).double()).numpy()
    difference = float(np.abs(expected - actual).max())
    if not difference <= max(_PARITY, _ROUNDING * float(np.abs(expected - exact).max())):
        raise ExportError(
            f"ONNX Runtime computes another {form.output} at {_written(shape)}, different by "
            f"{difference:.2g}; nothing was written"
        )
