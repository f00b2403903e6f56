"""What a converted bundle computes, beside ONNX Runtime with the original models.

Every stage sees the same images through the SDK's own preprocessing. Numbers are of two kinds:
how far the outputs differ, and what that costs in the end. The costs are losses of a metric
against a reference: the known lines of rendered images, or what ONNX Runtime reads where
nobody knows the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr import Bundle, Ocr, OcrOptions
from edgeocr.bundle import ModelFile
from edgeocr.runtime import Tensor
from edgeocr_conversion.calibration import Progress, lines_of, no_progress
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import parse_model, read_model, split_signatures, type_name
from edgeocr_conversion.rendered_text import TextImage
from edgeocr_conversion.sources import Stage

MATCH_IOU: Final = 0.5
"""Overlap from which two boxes are the same line, as in the ICDAR evaluations."""

_OPTIONS: Final = OcrOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionParity:
    """A detector beside ONNX Runtime."""

    images: int
    max_error: float
    """Largest difference of a text probability."""
    mask_iou: float
    """Intersection over union of the pixels above the threshold, over all images."""
    hmean_onnx: float
    """Harmonic mean of precision and recall at IoU 0.5, of ONNX Runtime's boxes."""
    hmean: float
    """The same of the converted model's boxes."""

    @property
    def loss(self) -> float:
        """In points, 0 to 100."""
        return max(0.0, 100 * (self.hmean_onnx - self.hmean))

    @property
    def loss_text(self) -> str:
        return f"the detector loses {self.loss:.2f} points of H-mean"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, rounded to six digits."""
        return _to_dict(self)

    def to_text(self) -> str:
        return (
            f"det on {self.images} images: max error {self.max_error:.4f}, mask IoU "
            f"{self.mask_iou:.4f}, H-mean {self.hmean:.4f} (ONNX Runtime {self.hmean_onnx:.4f})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrientationParity:
    """A classifier beside ONNX Runtime."""

    lines: int
    max_error: float
    """Largest difference of a probability."""
    agreement: float
    """Share of the lines that both call upright, or both turned."""

    @property
    def loss(self) -> float:
        """In points, 0 to 100."""
        return 100 * (1 - self.agreement)

    @property
    def loss_text(self) -> str:
        return f"the classifier judges {self.loss:.2f} % of the lines differently"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, rounded to six digits."""
        return _to_dict(self)

    def to_text(self) -> str:
        return (
            f"cls on {self.lines} lines: max error {self.max_error:.4f}, same label "
            f"{self.agreement:.2%}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionParity:
    """A recogniser beside ONNX Runtime."""

    lines: int
    max_error: float
    """Largest difference of a class's probability."""
    argmax_agreement: float
    """Share of the CTC steps with the same best class."""
    cer_onnx: float
    """Edits per character of the reference, of ONNX Runtime's texts."""
    cer: float
    """The same of the converted model's texts."""

    @property
    def loss(self) -> float:
        """In points, 0 to 100."""
        return max(0.0, 100 * (self.cer - self.cer_onnx))

    @property
    def loss_text(self) -> str:
        return f"the recogniser loses {self.loss:.2f} points of character error rate"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, rounded to six digits."""
        return _to_dict(self)

    def to_text(self) -> str:
        return (
            f"rec on {self.lines} lines: max error {self.max_error:.4f}, same best class "
            f"{self.argmax_agreement:.2%}, CER {self.cer:.4f} (ONNX Runtime {self.cer_onnx:.4f})"
        )


def _to_dict(figures: Any) -> dict[str, Any]:
    return {key: round(value, 6) for key, value in asdict(figures).items()}


StageParity: TypeAlias = DetectionParity | OrientationParity | RecognitionParity


def check_losses(parities: Mapping[Stage, StageParity], max_loss: float) -> None:
    """Hold the losses against a limit in points.

    Raises:
        ConversionError: naming every stage that loses more.
    """
    excess = [parity.loss_text for parity in parities.values() if parity.loss > max_loss]
    if excess:
        raise ConversionError(
            f"nothing was written: {' and '.join(excess)} against the original, and --max-loss "
            f"allows {max_loss:g}. Calibrate with images like those to be read (--calibration), "
            "take --precision fp16, or allow more"
        )


class OnnxStage:
    """An original model in ONNX Runtime, fed with the SDK's float inputs."""

    def __init__(self, model: Path, *, threads: int = 2) -> None:
        """Opens ``model``.

        Raises:
            ConversionError: ONNX Runtime refuses it.
        """
        import onnxruntime  # type: ignore[import-untyped]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors share no base class but this
            raise ConversionError(f"ONNX Runtime refuses {model}: {error}") from error
        self._input = self._session.get_inputs()[0].name

    def run(self, tensor_BHWC: Tensor) -> NDArray[np.float32]:
        """The model's output as it is, for a (1, height, width, 3) float32 input."""
        image_BCHW = np.ascontiguousarray(tensor_BHWC.transpose(0, 3, 1, 2))
        (output, *_) = self._session.run(None, {self._input: image_BCHW})
        return np.asarray(output, np.float32)


def measure_parity(
    stage: Stage,
    original: Ocr,
    converted: Ocr,
    *,
    onnx_model: Path,
    images: Sequence[TextImage],
    threads: int = 2,
    progress: Progress = no_progress,
) -> StageParity:
    """Run a stage of ``converted`` and its ONNX file on the same images.

    Args:
        stage: which.
        original: a bundle with this stage in float: it prepares the ONNX model's inputs.
        converted: the bundle to be judged, of any precision.
        onnx_model: the original of the stage.
        images: with their lines.
        threads: of ONNX Runtime.
        progress: told of every image or line.

    Raises:
        ConversionError: the two have outputs of different shapes, or no line was found that
            they could be compared on.
    """
    if not any(len(image.quads) for image in images):
        raise ConversionError(
            "there is no line of text in the images held out: calibrate with images with text"
        )
    onnx = OnnxStage(onnx_model, threads=threads)
    if stage == "det":
        return _detection(original, converted, onnx, images, progress)
    if stage == "cls":
        return _orientation(original, converted, onnx, images, progress)
    return _recognition(original, converted, onnx, images, progress)


def _detection(
    original: Ocr,
    converted: Ocr,
    onnx: OnnxStage,
    images: Sequence[TextImage],
    progress: Progress,
) -> DetectionParity:
    threshold = converted.bundle.stages.det.threshold
    scales = _OutputScales(converted.bundle, converted.bundle.stages.det)
    worst = 0.0
    both = either = 0
    matches_onnx = _Matches()
    matches = _Matches()
    for done, image in enumerate(images, 1):
        given = original.detector.prepare(image.pixels, _OPTIONS)
        expected = np.ascontiguousarray(onnx.run(given.tensor).transpose(0, 2, 3, 1))
        prepared = converted.detector.prepare(image.pixels, _OPTIONS)
        output = converted.detector.infer(prepared)
        actual = scales.real(prepared.signature, output)
        if actual.shape != expected.shape:
            raise ConversionError(
                f"the detector's output is {actual.shape}, the ONNX model's {expected.shape}"
            )
        worst = max(worst, float(np.abs(actual - expected).max()))
        both += int(((actual > threshold) & (expected > threshold)).sum())
        either += int(((actual > threshold) | (expected > threshold)).sum())
        boxes_onnx = [r.quad for r in original.detector.decode(expected, given, _OPTIONS)]
        boxes = [r.quad for r in converted.detector.decode(output, prepared, _OPTIONS)]
        truth = boxes_onnx if image.texts is None else list(image.quads)
        matches_onnx.add(truth, boxes_onnx)
        matches.add(truth, boxes)
        progress("Comparing detectors", done, len(images))
    return DetectionParity(
        images=len(images),
        max_error=worst,
        mask_iou=both / either if either else 1.0,
        hmean_onnx=matches_onnx.hmean,
        hmean=matches.hmean,
    )


def _orientation(
    original: Ocr,
    converted: Ocr,
    onnx: OnnxStage,
    images: Sequence[TextImage],
    progress: Progress,
) -> OrientationParity:
    model = converted.bundle.stages.cls
    scales = _OutputScales(converted.bundle, model)
    signature = model.signatures[0].name
    lines = lines_of(images)
    worst = 0.0
    same = 0
    for done, (line, _) in enumerate(lines, 1):
        if done % 2:
            line = np.ascontiguousarray(line[::-1, ::-1])
        expected = _probabilities(onnx.run(original.classifier.prepare(line)))
        output = converted.classifier.infer(converted.classifier.prepare(line))
        actual = _probabilities(scales.real(signature, output))
        worst = max(worst, float(np.abs(actual - expected).max()))
        same += int(actual.argmax() == expected.argmax())
        progress("Comparing classifiers", done, len(lines))
    return OrientationParity(lines=len(lines), max_error=worst, agreement=same / len(lines))


def _recognition(
    original: Ocr,
    converted: Ocr,
    onnx: OnnxStage,
    images: Sequence[TextImage],
    progress: Progress,
) -> RecognitionParity:
    scales = _OutputScales(converted.bundle, converted.bundle.stages.rec)
    lines = lines_of(images)
    worst = 0.0
    steps = same = 0
    edits_onnx = edits = characters = 0
    for done, (line, text) in enumerate(lines, 1):
        given = original.recogniser.prepare(line)
        expected = [_probabilities(onnx.run(piece.tensor)) for piece in given.pieces]
        # The float bundle's decoder takes what its model emits: for logits, any logarithm of
        # the probabilities up to a constant.
        as_emitted = (
            [np.log(np.maximum(output, 1e-30)) for output in expected]
            if original.bundle.stages.rec.outputs == "logits"
            else expected
        )
        text_onnx = original.recogniser.decode(as_emitted, given).text
        prepared = converted.recogniser.prepare(line)
        outputs = converted.recogniser.infer(prepared)
        for piece, output, wanted in zip(prepared.pieces, outputs, expected, strict=True):
            actual = _probabilities(scales.real(piece.signature, output))
            if actual.shape != wanted.shape:
                raise ConversionError(
                    f"the recogniser's output is {actual.shape}, the ONNX model's {wanted.shape}"
                )
            worst = max(worst, float(np.abs(actual - wanted).max()))
            same += int((actual.argmax(2) == wanted.argmax(2)).sum())
            steps += actual.shape[1]
        reference = text_onnx if text is None else text
        characters += len(reference)
        edits_onnx += edit_distance(text_onnx, reference)
        edits += edit_distance(converted.recogniser.decode(outputs, prepared).text, reference)
        progress("Comparing recognisers", done, len(lines))
    return RecognitionParity(
        lines=len(lines),
        max_error=worst,
        argmax_agreement=same / steps,
        cer_onnx=edits_onnx / max(characters, 1),
        cer=edits / max(characters, 1),
    )


class _OutputScales:
    """Quantization of a model's outputs, by signature."""

    def __init__(self, bundle: Bundle, model: ModelFile) -> None:
        content = bundle.read_model(model)
        parts = split_signatures(
            parse_model(content) if isinstance(content, bytes) else read_model(content)
        )
        self._tensors = {
            name: part.subgraphs[0].tensors[part.subgraphs[0].outputs[0]]
            for name, part in parts.items()
        }

    def real(self, signature: str, output: Tensor) -> NDArray[np.float32]:
        """The output in real values."""
        tensor = self._tensors[signature]
        if type_name(tensor) == "FLOAT32":
            return np.asarray(output, np.float32)
        scale, zero_point = tensor.quantization.scale[0], tensor.quantization.zeroPoint[0]
        return (output.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def _probabilities(output: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the last axis, unless the values are probabilities already."""
    if output.min() >= 0 and np.abs(output.sum(-1) - 1).max() < 1e-2:
        return output
    powers = np.exp(output - output.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


class _Matches:
    """Boxes matched one to one with the lines they stand for, over many images."""

    def __init__(self) -> None:
        self._matched = self._wanted = self._found = 0

    def add(
        self, wanted: Sequence[NDArray[np.float32]], found: Sequence[NDArray[np.float32]]
    ) -> None:
        self._wanted += len(wanted)
        self._found += len(found)
        pairs = sorted(
            (
                (overlap, i, j)
                for i, one in enumerate(wanted)
                for j, other in enumerate(found)
                if (overlap := quad_iou(one, other)) >= MATCH_IOU
            ),
            reverse=True,
        )
        rows: set[int] = set()
        columns: set[int] = set()
        for _, i, j in pairs:
            if i not in rows and j not in columns:
                rows.add(i)
                columns.add(j)
        self._matched += len(rows)

    @property
    def hmean(self) -> float:
        """2 PR / (P + R) = 2 matched / (wanted + found); 1 where there is nothing to find."""
        total = self._wanted + self._found
        return 2 * self._matched / total if total else 1.0


def quad_iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two convex quads."""
    if (one.min(0) > other.max(0)).any() or (other.min(0) > one.max(0)).any():
        return 0.0
    first, second = (cv2.convexHull(np.asarray(quad, np.float32)) for quad in (one, other))
    intersection = float(cv2.intersectConvexConvex(first, second)[0])
    union = float(cv2.contourArea(first)) + float(cv2.contourArea(second)) - intersection
    return intersection / union if union > 0 else 0.0


def edit_distance(one: str, other: str) -> int:
    """Levenshtein: fewest insertions, deletions and substitutions between two texts."""
    row = list(range(len(other) + 1))
    for i, character in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, wanted in enumerate(other, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (character != wanted)),
            )
    return row[-1]
