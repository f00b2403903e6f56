"""Finds the lines of text in an image: a DB detector over a few fixed shapes, or over any.

Most static graphs run only the shapes that they were built for, so the model has a handful of
them ("buckets") and an image goes into the cheapest that shows it large enough:

1. The wanted scale follows ``limit_side`` and ``limit_type`` as in PP-OCR; ``max_side``
   bounds the longer side. The image is never shown larger than that.
2. The best scale is the wanted one, or the largest that any bucket has room for: an image
   larger than all buckets is shrunk.
3. Of the buckets that show the image at the best scale, or smaller by no more than
   ``TOLERATED_SHRINK``, the one with the smallest area wins: time is proportional to area.

Where the bundle says that one side can be resized, a bucket has room for any image along it
and is made as long as the image needs, in steps of the bundle's multiple. Where both can, there
is nothing to choose: each side is rounded to the nearest multiple and the image stretched to
that, by less than half a multiple, as PP-OCR does. Padding would put an edge beside the text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.bundle import Bundle, DetectionModel, Signature
from edgeocr.db_boxes import DbParameters, decode_boxes
from edgeocr.geometry import polygon_area, quad_size
from edgeocr.options import OcrOptions
from edgeocr.pixels import RESIZING, fit, stretch
from edgeocr.runtime import NetworkPool, Tensor

TOLERATED_SHRINK: Final = 1.1
"""An image may be shown this much smaller than wanted to fit a cheaper bucket."""

_SMALLEST_SIDE: Final = 3
"""Boxes are dropped whose width or height is not larger, in image pixels (PP-OCR)."""
_FLAT_HEIGHT: Final = 30
_FLAT_RATIO: Final = 8
"""Images lower than this, or wider against their height, are single lines cut closely."""
_PADDING: Final = 0
"""Pixel value around the image: black, as in the training of PP-OCR's detectors."""

# Working memory of a large shape is the largest part of the whole process; two shapes serve
# a folder of upright and lying pages.
_LIVE_SIGNATURES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextRegion:
    """One detected line, in image pixels."""

    quad: NDArray[np.float32]
    """(4, 2) float32, clockwise from the top-left."""
    score: float
    """Mean text probability in [0, 1]."""
    polygon: NDArray[np.float32] | None = None
    """(N, 2) float32 outline, with ``box_type="polygon"``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectorInput:
    """An image as the network takes it."""

    tensor: Tensor
    """(1, height, width, 3) int8 or float32."""
    signature: str
    scale: tuple[float, float]
    """Network pixels per image pixel, along x and y."""
    top: int
    """Rows of padding above the image, in image pixels."""
    height: int
    """Of the image in pixels, without padding."""
    width: int
    """Of the image in pixels."""


class TextDetector:
    """The detector of one bundle: ``decode(infer(prepare(image)))``. Thread-safe."""

    def __init__(self, bundle: Bundle, *, threads: int) -> None:
        """Opens the model.

        Args:
            bundle: with the model.
            threads: of the one interpreter; several callers take turns.

        Raises:
            BundleError: the model is not what the manifest states.
            RuntimeUnavailableError: there is no runtime, or it refuses the model.
        """
        self.model: DetectionModel = bundle.stages.det
        self._networks = NetworkPool(
            bundle,
            self.model,
            size=1,
            threads=threads,
            live_signatures=_LIVE_SIGNATURES,
            output_rank=4,
            lean=True,
        )
        self._tables = self._networks.input_tables()

    def detect(self, image_BGR: NDArray[np.uint8], options: OcrOptions) -> list[TextRegion]:
        """The lines of an (H, W, 3) uint8 BGR image, in no particular order."""
        prepared = self.prepare(image_BGR, options)
        return self.decode(self.infer(prepared), prepared, options)

    def prepare(self, image_BGR: NDArray[np.uint8], options: OcrOptions) -> DetectorInput:
        """Chooses the bucket, resizes, normalises and quantizes."""
        height, width = image_BGR.shape[:2]
        image_BGR, top = with_margins(image_BGR)
        wanted = wanted_scale(
            image_BGR.shape[0],
            width,
            limit_side=_wish(options.limit_side, self.model.limit_side),
            limit_type=_wish(options.limit_type, self.model.limit_type),
            max_side=self.model.max_side,
        )
        shape = choose_shape(image_BGR.shape[0], width, wanted, self.model)
        table = self._tables[shape.name]
        if _is_free(self.model):
            tensor, scale = stretch(image_BGR, height=shape.height, width=shape.width, table=table)
        else:
            tensor, scale = fit(
                image_BGR,
                height=shape.height,
                width=shape.width,
                table=table,
                pad=_PADDING,
                scale=wanted,
            )
        return DetectorInput(
            tensor=tensor,
            signature=shape.name,
            scale=scale,
            top=top,
            height=height,
            width=width,
        )

    def infer(self, prepared: DetectorInput) -> Tensor:
        """Runs the network: (1, height, width, 1) text probabilities as the model emits them."""
        return self._networks.run(prepared.signature, prepared.tensor)

    def decode(
        self, output: Tensor, prepared: DetectorInput, options: OcrOptions
    ) -> list[TextRegion]:
        """Turns the map into regions: in image pixels, within the image, none tiny."""
        _, port = self._networks.ports[prepared.signature]
        return regions_of_map(
            output[0, ..., 0],
            prepared,
            scale=1.0 if port.scale is None else port.scale,
            zero_point=port.zero_point,
            parameters=self._parameters(options),
        )

    def _parameters(self, options: OcrOptions) -> DbParameters:
        model = self.model
        return DbParameters(
            threshold=_wish(options.threshold, model.threshold),
            box_threshold=_wish(options.box_threshold, model.box_threshold),
            unclip_ratio=_wish(options.unclip_ratio, model.unclip_ratio),
            max_candidates=_wish(options.max_candidates, model.max_candidates),
            dilation=_wish(options.dilation, model.dilation),
            score_mode=_wish(options.score_mode, model.score_mode),
            box_type=options.box_type,
        )

    def uses_delegate(self) -> bool:
        """Whether XNNPACK computes part of the model."""
        return self._networks.uses_delegate()

    def way(self) -> str:
        """LiteRT's name of what runs the model: ``CompiledModel`` or ``Interpreter``."""
        return self._networks.way()

    def warm_up(self) -> None:
        """Runs as many shapes as may stay live, so that the first image is fast."""
        self._networks.warm_up([bucket.name for bucket in self.model.signatures[:_LIVE_SIGNATURES]])


def with_margins(image_BGR: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Adds rows above and below a flat image, as RapidOCR does: its text has no margins.

    Returns:
        The image, and how many rows were added above it.
    """
    height, width = image_BGR.shape[:2]
    if height > _FLAT_HEIGHT and width <= _FLAT_RATIO * height:
        return image_BGR, 0
    top = max(width // _FLAT_RATIO, _FLAT_HEIGHT) - height // 2
    return np.pad(image_BGR, ((top, top), (0, 0), (0, 0)), constant_values=_PADDING), top


def regions_of_map(
    map_HW: NDArray[np.int8] | NDArray[np.float32],
    prepared: DetectorInput,
    *,
    scale: float = 1.0,
    zero_point: int = 0,
    parameters: DbParameters,
) -> list[TextRegion]:
    """Turns a map into regions: in image pixels, within the image, none tiny.

    Args:
        map_HW: text probabilities ``(q - zero_point) * scale``, int8 or float32; one that is
            smaller than the network's input is enlarged to it.
        prepared: the image that the map is of.
        scale: of the map's quantization.
        zero_point: of the map's quantization.
        parameters: of the decoding.
    """
    map_HW = _enlarged(map_HW, *prepared.tensor.shape[1:3])
    shown = np.array(prepared.scale, dtype=np.float32)
    # What was padded is no text.
    rows = int(np.ceil((prepared.height + 2 * prepared.top) * shown[1]))
    columns = int(np.ceil(prepared.width * shown[0]))
    boxes = decode_boxes(
        map_HW[:rows, :columns], scale=scale, zero_point=zero_point, parameters=parameters
    )
    shift = np.array([0, prepared.top], dtype=np.float32)
    last = np.array([prepared.width - 1, prepared.height - 1], dtype=np.float32)
    regions = []
    for box in boxes:
        # On whole pixels as in PP-OCR: an upright line is then cut as it is, not resampled.
        # Worth half a point of characters on Chinese web images.
        quad = np.clip(np.round(box.quad / shown - shift), 0, last)
        # At the border of the image clipping may leave a sliver.
        if min(quad_size(quad)) <= _SMALLEST_SIDE or polygon_area(quad) < _SMALLEST_SIDE:
            continue
        polygon = None
        if box.polygon is not None:
            polygon = np.clip(box.polygon / shown - shift, 0, last)
        regions.append(TextRegion(quad=quad, score=box.score, polygon=polygon))
    return regions


def _enlarged(
    map_HW: NDArray[np.int8] | NDArray[np.float32], height: int, width: int
) -> NDArray[np.int8] | NDArray[np.float32]:
    """A map of the size of its image.

    Between two coarse pixels lies where the probability crosses the threshold. Decoded as it is,
    a map of half the size loses kernels one or two of its pixels high: with PP-OCRv3's map
    halved, boxes on forms agree with the former ones to an H-mean of 0.86; enlarged, to 0.98.
    """
    if map_HW.shape == (height, width):
        return map_HW
    if map_HW.dtype == np.int8:
        # OpenCV resizes no signed bytes: moved by 128 they are unsigned ones.
        unsigned = cv2.resize(map_HW.view(np.uint8) ^ 0x80, (width, height), interpolation=RESIZING)
        return (np.asarray(unsigned, dtype=np.uint8) ^ 0x80).view(np.int8)
    return np.asarray(cv2.resize(map_HW, (width, height)), dtype=np.float32)


def wanted_scale(
    height: int,
    width: int,
    *,
    limit_side: int,
    limit_type: Literal["min", "max"],
    max_side: int,
) -> float:
    """Network pixels per image pixel at which PP-OCR would show an image."""
    if limit_type == "min":
        scale = max(1.0, limit_side / min(height, width))
    else:
        scale = min(1.0, limit_side / max(height, width))
    return min(scale, max_side / max(height, width))


def choose_shape(height: int, width: int, wanted: float, model: DetectionModel) -> Signature:
    """The bucket for an image by the rule of this module, resized where it can be."""
    if model.height_multiple and model.width_multiple:
        return replace(
            model.signatures[0],
            height=nearest_multiple(height * wanted, model.height_multiple),
            width=nearest_multiple(width * wanted, model.width_multiple),
        )

    def scale(bucket: Signature) -> float:
        rows = math.inf if model.height_multiple else bucket.height / height
        columns = math.inf if model.width_multiple else bucket.width / width
        return min(wanted, rows, columns)

    def shape(bucket: Signature) -> Signature:
        shown = scale(bucket)
        return replace(
            bucket,
            height=_resized(bucket.height, height * shown, model.height_multiple),
            width=_resized(bucket.width, width * shown, model.width_multiple),
        )

    best = max(map(scale, model.signatures))
    large_enough = [b for b in model.signatures if scale(b) * TOLERATED_SHRINK >= best]
    return min(map(shape, large_enough), key=lambda bucket: bucket.height * bucket.width)


def _is_free(model: DetectionModel) -> bool:
    return model.height_multiple is not None and model.width_multiple is not None


def nearest_multiple(side: float, multiple: int) -> int:
    """The positive multiple of ``multiple`` that is nearest to a side, as PP-OCR rounds."""
    return max(round(int(side) / multiple) * multiple, multiple)


def _resized(side: int, needed: float, multiple: int | None) -> int:
    return math.ceil((needed - 1e-6) / multiple) * multiple if multiple else side


_Value = TypeVar("_Value")


def _wish(value: _Value | None, recommended: _Value) -> _Value:
    return recommended if value is None else value
