"""The second of two steps to integers: a prepared network becomes the operators of a device.

Three things happen to scales here:

* a hard-swish is computed as ``x relu6(x + 3)``, six times its value; the sixth goes into the
  weights that read it, as the converter does. Where it is added to something, what is added
  is made six times as large, too;
* a branch that is dead beside its partner gets the smallest scale that XNNPACK adds;
* products and means get scales with which all processors round alike (:mod:`.portable_scales`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from edgeocr_training.compression.quantization.affine import (
    UNIT,
    UP_TO_6,
    AffineQuantization,
)
from edgeocr_training.compression.quantization.deployed import Deployed, LayerTracer
from edgeocr_training.compression.quantization.device_graph import (
    ADD_RATIOS,
    LAYER_RATIOS,
    Add,
    Concatenation,
    Convolution,
    DepthToSpace,
    DeviceGraph,
    Image,
    Layout,
    Maximum,
    Mean,
    Multiply,
    OpenGate,
    Operation,
    Recurrence,
    Repeat,
    Sigmoid,
    check_scales,
)
from edgeocr_training.compression.quantization.fake_quantization import (
    row_scales,
)
from edgeocr_training.compression.quantization.layers import (
    QuantizedAdd,
    QuantizedImage,
    QuantizedLayer,
    QuantizedMean,
    QuantizedMultiply,
    QuantizedRecurrence,
    QuantizedSigmoid,
    QuantizedWeights,
)
from edgeocr_training.compression.quantization.portable_graph import with_portable_scales
from edgeocr_training.compression.quantization.preparation import is_prepared
from edgeocr_training.errors import QuantizationError
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.models.text_line import LINE_HEIGHT, RowPool

PROBABILITY: Final = "probability"
LOGITS: Final = "logits"


@torch.no_grad()
def convert(student: nn.Module) -> DeviceGraph:
    """The integer form of a prepared student that has all of its ranges.

    Args:
        student: as :func:`~edgeocr_training.compression.quantization.preparation.prepare` gives
            it, trained or calibrated since; left as it is.

    Raises:
        QuantizationError: it is not prepared, a tensor has no range, or XNNPACK would not take
            an operator.
    """
    if not is_prepared(student):
        raise QuantizationError(
            f"this {type(student).__name__} is not prepared: train it by a recipe for integers, "
            "or calibrate it (edgeocr-train quantize)"
        )
    output, layout = _form_of(student)
    network = Deployed(student)
    graph = LayerTracer().trace(network)
    lowering = _Lowering(
        dict(network.named_modules()), pooled_rows=_rows_that_are_pooled(student, network)
    )
    lowering.run(graph)
    size = (student.height, student.width) if isinstance(student, Classifier) else None
    operations = with_portable_scales(lowering.needed(), size)
    device = DeviceGraph(operations=operations, layout=layout, output_name=output)
    check_scales(device)
    return device


def _form_of(student: nn.Module) -> tuple[str, Layout]:
    match student:
        case Detector():
            return PROBABILITY, "map"
        case Recogniser():
            return LOGITS, "sequence"
        case _:
            return LOGITS, "vector"


def _rows_that_are_pooled(student: nn.Module, network: Deployed) -> int:
    """Of the map before a RowPool; 2 where there is none."""
    rows = 2

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal rows
        rows = inputs[0].shape[2]

    pools = [module for module in network.modules() if isinstance(module, RowPool)]
    if not pools:
        return rows
    if isinstance(student, Classifier):
        height, width = student.height, student.width
    else:
        height, width = LINE_HEIGHT, 2 * LINE_HEIGHT
    hook = pools[0].register_forward_pre_hook(note)
    try:
        network.eval()(torch.zeros(1, 3, height, width, device=next(network.parameters()).device))
    finally:
        hook.remove()
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    """A tensor of the traced network."""

    name: str
    """Of the operation that makes it."""
    factor: float = 1.0
    """The operation's tensor is so many times the value."""


class _Lowering:
    """Follows a traced graph and makes the operations."""

    def __init__(self, modules: dict[str, nn.Module], *, pooled_rows: int) -> None:
        self._modules = modules
        self._pooled_rows = pooled_rows
        self._operations: dict[str, Operation] = {}
        self._values: dict[fx.Node, _Value] = {}
        self._output: _Value | None = None

    def run(self, graph: fx.Graph) -> None:
        for node in graph.nodes:
            match node.op:
                case "placeholder":
                    continue  # QuantizedImage follows
                case "output":
                    self._output = self._values[node.args[0]]
                case "call_module":
                    self._values[node] = self._module(node, self._modules[str(node.target)])
                case _:
                    self._values[node] = self._moved(node)

    def needed(self) -> tuple[Operation, ...]:
        """All operations that the output needs, that of the output last."""
        assert self._output is not None
        if self._output.factor != 1.0:
            raise QuantizationError(
                f"{self._output.name}: a hard-swish at the output has no weights behind it that "
                "take its sixth"
            )
        names = {self._output.name}
        kept = []
        for operation in reversed(self._operations.values()):
            if operation.name in names:
                names.update(operation.sources)
                kept.append(operation)
        assert kept[0].name == self._output.name
        return tuple(reversed(kept))

    def _add(self, operation: Operation, *, factor: float = 1.0) -> _Value:
        self._operations[operation.name] = operation
        return _Value(name=operation.name, factor=factor)

    def _value(self, argument: Any) -> _Value:
        return self._values[argument]

    def _quantization(self, value: _Value) -> AffineQuantization:
        return self._operations[value.name].quantization

    def _module(self, node: fx.Node, module: nn.Module) -> _Value:
        if isinstance(module, QuantizedImage):
            return self._add(Image(name="x", sources=(), quantization=module.output.quantization))
        arguments = [self._value(argument) for argument in node.args]
        match module:
            case QuantizedWeights():
                return self._weights(module, arguments[0], self._addend_factor(node))
            case QuantizedAdd():
                return self._sum(module, *arguments)
            case QuantizedMultiply():
                first, second = arguments
                factor = first.factor * second.factor
                return self._add(
                    Multiply(
                        name=module.name,
                        sources=(first.name, second.name),
                        quantization=module.output.quantization.times(factor),
                    ),
                    factor=factor,
                )
            case QuantizedMean():
                return self._add(
                    Mean(
                        name=module.name,
                        sources=(arguments[0].name,),
                        quantization=module.output.quantization.times(arguments[0].factor),
                    ),
                    factor=arguments[0].factor,
                )
            case QuantizedSigmoid():
                return self._sigmoid(module, arguments[0])
            case QuantizedRecurrence():
                return self._recurrence(module, arguments[0])
            case RowPool():
                return self._move(arguments[0], Maximum, kernel=(min(2, self._pooled_rows), 2))
            case nn.MaxPool2d():
                return self._move(arguments[0], Maximum, kernel=_pair(module.kernel_size))
            case nn.Flatten():
                return arguments[0]
        assert not isinstance(module, QuantizedLayer), "a layer without a lowering"
        raise QuantizationError(f"{node.target}: {type(module).__name__} has no integer form")

    def _weights(self, module: QuantizedWeights, source: _Value, factor: float) -> _Value:
        """A layer whose result is made ``factor`` times as large."""
        name = module.name
        behind = module.steepness if module.function == "hard_sigmoid" else 1.0
        weights_RT, bias_R = module.folded()
        scales_R = row_scales(weights_RT).double().cpu().numpy()
        out = factor * behind
        layer = module.layer
        rows = weights_RT.shape[0]
        if isinstance(layer, nn.Conv2d):
            kernel = (int(layer.kernel_size[0]), int(layer.kernel_size[1]))
        else:
            kernel = (1, 1)
        weights = weights_RT.double().cpu().numpy().reshape(rows, -1, *kernel)
        inner = module.argument if module.function in ("hard_swish", "hard_sigmoid") else None
        quantizer = module.output if inner is None else inner
        quantization = quantizer.quantization
        if inner is None:
            quantization = quantization.times(factor)
        source_scale = self._quantization(source).scale
        # A dead output: the step is so small that XNNPACK could not multiply by it.
        least = LAYER_RATIOS[0] * 2 * quantization.scale / source_scale
        convolution = Convolution(
            name=name
            if inner is None and not isinstance(layer, nn.ConvTranspose2d)
            else f"{name}.argument"
            if inner is not None
            else f"{name}.subpixel",
            sources=(source.name,),
            quantization=quantization,
            weights_OIHW=(weights * (out / source.factor)).astype(np.float32),
            bias_O=(bias_R.double().cpu().numpy() * out).astype(np.float32),
            weight_scales_O=np.maximum(scales_R * (out / source.factor), least).astype(np.float32),
            stride=_pair(layer.stride) if isinstance(layer, nn.Conv2d) else (1, 1),
            padding=_pair(layer.padding) if isinstance(layer, nn.Conv2d) else (0, 0),
            depthwise=isinstance(layer, nn.Conv2d) and layer.groups > 1,
            relu=module.function == "relu",
        )
        value = self._add(convolution, factor=factor if inner is None else 1.0)
        if isinstance(layer, nn.ConvTranspose2d):
            if inner is not None:
                raise QuantizationError(
                    f"{name}: a transposed convolution before a {module.function} has no integer "
                    "form"
                )
            return self._move(value, DepthToSpace, name=name)
        if inner is None:
            return value
        gate = self._add(
            OpenGate(name=f"{name}.gate", sources=(value.name,), quantization=UP_TO_6), factor=6.0
        )
        if module.function == "hard_sigmoid":
            return gate
        return self._add(
            Multiply(
                name=name,
                sources=(value.name, gate.name),
                quantization=module.output.quantization.times(6.0),
            ),
            factor=6.0,
        )

    def _addend_factor(self, node: fx.Node) -> float:
        """How much larger a layer's result has to be: as the other term of the sum that reads it.

        The terms of a sum are made in order, so that the other one, where it is a hard-swish, is
        there already.
        """
        module = self._modules[str(node.target)]
        assert isinstance(module, QuantizedWeights)
        if len(node.users) != 1 or module.function not in (None, "relu"):
            return 1.0
        (reader,) = node.users
        if reader.op != "call_module" or not isinstance(
            self._modules[str(reader.target)], QuantizedAdd
        ):
            return 1.0
        others = [self._values[a] for a in reader.args if a in self._values]  # type: ignore[index]
        return others[0].factor if others else 1.0

    def _sum(self, module: QuantizedAdd, first: _Value, second: _Value) -> _Value:
        if first.factor != second.factor:
            raise QuantizationError(
                f"{module.name}: a hard-swish is added to what is no convolution's result, so that "
                "nothing takes its sixth"
            )
        quantization = module.output.quantization.times(first.factor)
        for term in (first, second):
            self._widen(term, quantization.scale * ADD_RATIOS[0] * 1.01)
        return self._add(
            Add(
                name=module.name,
                sources=(first.name, second.name),
                quantization=quantization,
                relu=module.relu,
            ),
            factor=first.factor,
        )

    def _widen(self, value: _Value, least: float) -> None:
        """Raises a scale that is too small to be added to another one."""
        operation = self._operations[value.name]
        if operation.quantization.scale >= least:
            return
        if not isinstance(operation, Convolution) or operation.relu:
            raise QuantizationError(
                f"{value.name} is dead beside what it is added to: its scale is "
                f"{operation.quantization.scale:.3g}, XNNPACK adds from {least:.3g} on"
            )
        self._operations[value.name] = replace(
            operation,
            quantization=AffineQuantization(scale=float(np.float32(least)), zero_point=0),
        )

    def _recurrence(self, module: QuantizedRecurrence, source: _Value) -> _Value:
        lstm = copy.deepcopy(module.neck.lstm).cpu().eval()
        for suffix in ("", "_reverse") if lstm.bidirectional else ("",):
            getattr(lstm, f"weight_ih_l0{suffix}").div_(source.factor)
        # A device keeps the matrices as float16, and what is exact from here on is so with them.
        for name, matrix in lstm.named_parameters():
            if name.startswith("weight"):
                matrix.copy_(matrix.half())
        return self._add(
            Recurrence(
                name=module.name,
                sources=(source.name,),
                quantization=module.output.quantization,
                lstm=lstm,
                input_factor=source.factor,
            )
        )

    def _sigmoid(self, module: QuantizedSigmoid, source: _Value) -> _Value:
        """Before a shuffle of pixels, where the converter has it, not behind it."""
        before = self._operations[source.name]
        if source.factor != 1.0:
            raise QuantizationError(f"{module.name}: a hard-swish before a sigmoid")
        if isinstance(before, DepthToSpace):
            del self._operations[before.name]
            inner = self._add(
                Sigmoid(name=f"{module.name}.subpixel", sources=before.sources, quantization=UNIT)
            )
            return self._move(inner, DepthToSpace, name=module.name)
        return self._add(Sigmoid(name=module.name, sources=(source.name,), quantization=UNIT))

    def _moved(self, node: fx.Node) -> _Value:
        """Functions and methods that change no value."""
        if node.op == "call_method":
            return self._value(node.args[0])  # views, and .float()
        if node.target is F.interpolate:
            factor = node.kwargs.get("scale_factor")
            if node.kwargs.get("mode") != "nearest" or factor not in (2, 4, 8):
                raise QuantizationError(f"{node.name}: no resizing but by repeating pixels")
            return self._move(
                self._value(node.args[0]),
                Repeat,
                name=node.name,
                factor=int(factor),  # type: ignore[arg-type]
            )
        if node.target is torch.cat:
            return self._concatenation(node)
        if node.target is torch.flatten:
            return self._value(node.args[0])
        raise QuantizationError(f"{node.name}: {node.target} has no integer form")

    def _concatenation(self, node: fx.Node) -> _Value:
        terms = [self._value(term) for term in node.args[0]]  # type: ignore[union-attr]
        if len({term.factor for term in terms}) != 1:
            raise QuantizationError(f"{node.name} joins a hard-swish and something else")
        return self._add(
            Concatenation(
                name=node.name,
                sources=tuple(term.name for term in terms),
                quantization=self._quantization(terms[0]),
            ),
            factor=terms[0].factor,
        )

    def _move(
        self,
        source: _Value,
        kind: Callable[..., Operation],
        *,
        name: str | None = None,
        **details: Any,
    ) -> _Value:
        return self._add(
            kind(
                name=name or f"{source.name}.moved",
                sources=(source.name,),
                quantization=self._quantization(source),
                **details,
            ),
            factor=source.factor,
        )


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        raise QuantizationError(f"padding {value!r} has no integer form; give it in pixels")
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
