"""The first of two steps to integers: a float network becomes one that is trained as integers.

``prepare`` traces the parts of a student and puts a quantizer behind every operator that XNNPACK
will run, with batch normalisation and the function behind a layer folded into it, as the
converter folds them. What moves values without changing them (pooling by the maximum, upsampling,
reshaping) keeps the scale of its input. The second step is
:func:`~edgeocr_training.compression.quantization.lowering.convert`.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from edgeocr_training.compression.quantization.activation_quantizer import (
    ActivationQuantizer,
    QuantizationConfig,
    quantizers,
)
from edgeocr_training.compression.quantization.affine import (
    HIGHEST,
    LOWEST,
    AffineQuantization,
)
from edgeocr_training.compression.quantization.deployed import Deployed, LayerTracer
from edgeocr_training.compression.quantization.fake_quantization import (
    affine_parameters,
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
from edgeocr_training.errors import QuantizationError
from edgeocr_training.models.activations import HardSigmoid
from edgeocr_training.models.bilstm_neck import BiLstm
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.normalisation import Channels3
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.models.text_line import RowPool

Student = TypeVar("Student", bound=nn.Module)

_FUNCTIONS: Final = (nn.ReLU, nn.Hardswish, HardSigmoid)
_NOTHING: Final = (nn.Identity, nn.Dropout)
_MOVING_FUNCTIONS: Final = (F.interpolate, F.max_pool2d, torch.cat, torch.flatten, operator.getitem)
_MOVING_METHODS: Final = ("squeeze", "transpose", "flatten", "float")


def is_prepared(student: nn.Module) -> bool:
    """Whether a network has gone through :func:`prepare`."""
    return any(isinstance(module, QuantizedLayer) for module in student.modules())


def prepare(student: Student, config: QuantizationConfig) -> Student:
    """Makes a network compute as its integer form will; changed in place, weights and all.

    A detector's threshold branch, which no device computes, stays float; so do LSTM layers, which
    no device computes in integers as well.

    Args:
        student: a detector, recogniser or classifier.
        config: of the activations.

    Returns:
        The student. Its normalisation may be moved by less than half a grey level, so that every
        pixel is an integer exactly.

    Raises:
        QuantizationError: it is prepared already, or has an operator without an integer form.
    """
    if is_prepared(student):
        raise QuantizationError(f"this {type(student).__name__} is prepared already")
    if not isinstance(student, Detector | Recogniser | Classifier):
        raise QuantizationError(
            f"a {type(student).__name__} is no detector, recogniser or classifier: what a device "
            "computes of it isn't known"
        )
    image = _exact_pixels(student)
    student.backbone = _prepared(  # type: ignore[assignment]
        student.backbone, config, prefix="backbone.", image=image
    )
    match student:
        case Detector():
            student.neck = _prepared_neck(student.neck, config)  # type: ignore[assignment]
            student.head.probability_branch = _prepared(
                student.head.probability_branch, config, prefix="head."
            )
        case Recogniser():
            neck: nn.Module
            if isinstance(student.neck, BiLstm):
                neck = _named(QuantizedRecurrence(student.neck, config), "neck")
            else:
                neck = _prepared(student.neck, config, prefix="neck.")
            student.neck = neck  # type: ignore[assignment]
            student.head = _prepared(student.head, config, prefix="head.")  # type: ignore[assignment]
        case Classifier():
            student.pool = _prepared(student.pool, config, prefix="pool.")  # type: ignore[assignment]
            student.classes = _named(  # type: ignore[assignment]
                QuantizedWeights(student.classes, config), "classes"
            )
    _tell_sources(student)
    return student


def _tell_sources(student: nn.Module) -> None:
    """Each layer with weights learns what rounds its input."""
    network = Deployed(student)
    layers = dict(network.named_modules())
    for node in LayerTracer().trace(network).nodes:
        layer = layers.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, QuantizedWeights):
            source: Any = node.args[0]
            while source.op != "call_module" or not hasattr(layers[str(source.target)], "output"):
                # Everything that is concatenated has one scale.
                source = source.args[0][0] if source.target is torch.cat else source.args[0]
            layer.reads(layers[str(source.target)].output)


def input_quantization(mean: Channels3, std: Channels3) -> AffineQuantization:
    """Of normalised pixels. Where the channels are alike, each grey level is an integer."""
    if len({*mean}) == 1 and len({*std}) == 1:
        zero_point = round(255 * mean[0]) + LOWEST
        return AffineQuantization(
            scale=float(torch.tensor(1 / (255 * std[0]), dtype=torch.float32)),
            zero_point=max(LOWEST, min(HIGHEST, zero_point)),
        )
    low = min(-m / s for m, s in zip(mean, std, strict=True))
    high = max((1 - m) / s for m, s in zip(mean, std, strict=True))
    scale, zero_point_0 = affine_parameters(torch.tensor(low), torch.tensor(high), symmetric=False)
    return AffineQuantization(scale=float(scale), zero_point=int(zero_point_0))


def _exact_pixels(student: Detector | Recogniser | Classifier) -> AffineQuantization:
    """(x / 255 - 0.5) / 0.5 lies between two integers for every x, as ties that any rounding
    error decides: the mean becomes the nearest grey level.
    """
    if len({*student.mean}) == 1 and len({*student.std}) == 1:
        grey = round(255 * student.mean[0] + 1e-6)
        student.mean = (grey / 255,) * 3
    return input_quantization(student.mean, student.std)


class _Levels(nn.Module):
    """A neck that takes its four maps one by one: a list can't be traced."""

    def __init__(self, neck: nn.Module) -> None:
        super().__init__()
        self.neck = neck

    def forward(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        fused: Tensor = self.neck([a, b, c, d])
        return fused


def _prepared_neck(neck: nn.Module, config: QuantizationConfig) -> fx.GraphModule:
    single = _prepared(_Levels(neck), config, prefix="")
    graph = single.graph
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    with graph.inserting_before(inputs[0]):
        features = graph.placeholder("features")
    for index, node in enumerate(inputs):
        with graph.inserting_before(node):
            node.replace_all_uses_with(graph.call_function(operator.getitem, (features, index)))
        graph.erase_node(node)
    single.recompile()
    return single


def _prepared(
    part: nn.Module,
    config: QuantizationConfig,
    *,
    prefix: str,
    image: AffineQuantization | None = None,
) -> fx.GraphModule:
    """A part with quantized layers in place of its own."""
    graph = LayerTracer().trace(part)
    rewriting = _Rewriting(graph, dict(part.named_modules()), config, prefix)
    rewriting.run(image)
    graph.lint()
    return fx.GraphModule(rewriting.layers, graph, class_name=type(part).__name__)


class _Rewriting:
    """Replaces the nodes of a traced graph one by one."""

    def __init__(
        self,
        graph: fx.Graph,
        modules: Mapping[str, nn.Module],
        config: QuantizationConfig,
        prefix: str,
    ) -> None:
        self.graph = graph
        self.layers: dict[str, nn.Module] = {}
        self._modules = modules
        self._config = config
        self._prefix = prefix
        self._absorbed: set[fx.Node] = set()

    def run(self, image: AffineQuantization | None) -> None:
        self._drop_nothing()
        if image is not None:
            self._quantize_image(image)
        for node in list(self.graph.nodes):
            if node in self._absorbed:
                continue
            match node.op:
                case "call_module":
                    self._module(node)
                case "call_function":
                    self._function(node)
                case "call_method":
                    self._method(node)
                case "get_attr":
                    raise self._unsupported(node, f"the tensor {node.target}")
        for node in self.graph.nodes:
            if node.target is torch.cat:
                self._share_range(node)

    def _module(self, node: fx.Node) -> None:
        if node.target in self.layers:
            return  # made here
        module = self._module_of(node)
        match module:
            case nn.Conv2d() | nn.ConvTranspose2d() | nn.Linear():
                self._weights(node, module)
            case nn.AdaptiveAvgPool2d():
                if module.output_size not in (1, (1, 1)):
                    raise self._unsupported(node, f"pooling to {module.output_size}")
                self._put(node, QuantizedMean(self._config), node.args[:1])
            case nn.MaxPool2d() | nn.Flatten() | RowPool():
                self.layers[str(node.target)] = module
            case _:
                raise self._unsupported(node, type(module).__name__)

    def _weights(self, node: fx.Node, layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> None:
        self._check_geometry(node, layer)
        absorbed: list[fx.Node] = []
        norm: nn.Module | None = None
        function: nn.Module | None = None
        following = self._sole_module(node)
        if following is not None and isinstance(self._module_of(following), nn.BatchNorm2d):
            norm = self._module_of(following)
            absorbed.append(following)
            following = self._sole_module(following)
        if following is not None and isinstance(self._module_of(following), _FUNCTIONS):
            function = self._module_of(following)
            absorbed.append(following)
        assert norm is None or isinstance(norm, nn.BatchNorm2d)
        quantized = QuantizedWeights(layer, self._config, norm=norm, function=function)
        self._put(node, quantized, node.args[:1])
        for other in reversed(absorbed):
            self._absorb(other, node)

    def _check_geometry(self, node: fx.Node, layer: nn.Module) -> None:
        if isinstance(layer, nn.ConvTranspose2d):
            fits = (
                layer.kernel_size == (2, 2)
                and layer.stride == (2, 2)
                and layer.padding == (0, 0)
                and layer.groups == 1
            )
            if not fits:
                raise self._unsupported(node, "a transposed convolution other than 2x2, stride 2")
        elif isinstance(layer, nn.Conv2d):
            depthwise = layer.groups == layer.in_channels == layer.out_channels
            if not (depthwise or layer.groups == 1) or layer.dilation != (1, 1):
                raise self._unsupported(node, "a dilated or grouped convolution")

    def _function(self, node: fx.Node) -> None:
        if node.target in (operator.add, torch.add):
            relu = self._sole_module(node)
            joins = relu is not None and isinstance(self._module_of(relu), nn.ReLU)
            self._check_operands(node)
            self._put(node, QuantizedAdd(self._config, relu=joins), node.args)
            if joins and relu is not None:
                self._absorb(relu, node)
        elif node.target in (operator.mul, torch.mul):
            self._check_operands(node)
            self._put(node, QuantizedMultiply(self._config), node.args)
        elif node.target is torch.sigmoid:
            self._put(node, QuantizedSigmoid(), node.args)
        elif node.target not in _MOVING_FUNCTIONS:
            raise self._unsupported(node, getattr(node.target, "__name__", str(node.target)))

    def _method(self, node: fx.Node) -> None:
        if node.target == "mean":
            axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
            if tuple(axes) not in ((2, 3), (-2, -1)) or not node.kwargs.get("keepdim"):  # type: ignore[arg-type]
                raise self._unsupported(node, "a mean over something else than a map")
            self._put(node, QuantizedMean(self._config), node.args[:1])
        elif node.target not in _MOVING_METHODS:
            raise self._unsupported(node, f"Tensor.{node.target}")

    def _share_range(self, concatenation: fx.Node) -> None:
        """Everything that is concatenated has one scale: the integers are only put together."""
        makers = [self._maker(term) for term in concatenation.args[0]]  # type: ignore[union-attr]
        shared = makers[0].output
        assert isinstance(shared, ActivationQuantizer)
        for maker in makers[1:]:
            maker.output = shared
        shared.shared_by = len(makers)

    def _maker(self, argument: Any) -> nn.Module:
        """The layer that made a tensor, before it was moved."""
        node: Any = argument
        while node.op != "call_module" or not isinstance(
            self.layers[str(node.target)], QuantizedLayer
        ):
            if node.op == "placeholder" or node.target in (operator.getitem, torch.cat):
                raise self._unsupported(node, "what is concatenated from elsewhere")
            node = node.args[0]
        maker = self.layers[str(node.target)]
        if not isinstance(getattr(maker, "output", None), ActivationQuantizer):
            raise self._unsupported(node, "a sigmoid or a gate that is concatenated")
        return maker

    def _check_operands(self, node: fx.Node) -> None:
        if not all(isinstance(argument, fx.Node) for argument in node.args):
            raise self._unsupported(node, f"{node.target} with a number")

    def _put(self, node: fx.Node, layer: QuantizedLayer, arguments: Sequence[Any]) -> None:
        """Makes the node call a layer, under its own name."""
        target = str(node.target) if node.op == "call_module" else node.name
        self.layers[target] = _named(layer, self._prefix + target)
        node.op, node.target = "call_module", target
        node.args, node.kwargs = tuple(arguments), {}

    def _absorb(self, node: fx.Node, into: fx.Node) -> None:
        node.replace_all_uses_with(into)
        self.graph.erase_node(node)
        self._absorbed.add(node)

    def _sole_module(self, node: fx.Node) -> fx.Node | None:
        """The module that reads a node, if nothing else does."""
        if len(node.users) != 1:
            return None
        (user,) = node.users
        return user if user.op == "call_module" and user.target in self._modules else None

    def _module_of(self, node: fx.Node) -> nn.Module:
        return self._modules[str(node.target)]

    def _drop_nothing(self) -> None:
        for node in list(self.graph.nodes):
            if node.op == "call_module" and isinstance(self._module_of(node), _NOTHING):
                node.replace_all_uses_with(node.args[0])
                self.graph.erase_node(node)

    def _quantize_image(self, quantization: AffineQuantization) -> None:
        first = next(node for node in self.graph.nodes if node.op == "placeholder")
        readers = list(first.users)
        self.layers["image"] = _named(QuantizedImage(quantization), self._prefix + "image")
        with self.graph.inserting_after(first):
            image = self.graph.call_module("image", (first,))
        for reader in readers:
            reader.replace_input_with(first, image)

    def _unsupported(self, node: fx.Node, what: str) -> QuantizationError:
        return QuantizationError(
            f"{self._prefix}{node.target if node.op == 'call_module' else node.name}: {what} has "
            "no integer form here; use another network, or leave it float"
        )


def _named(layer: QuantizedLayer, name: str) -> QuantizedLayer:
    """Tells a layer and its quantizers what they are called in errors."""
    layer.name = name
    for part, quantizer in quantizers(layer):
        quantizer.name = f"{name}.{part}"
    return layer
