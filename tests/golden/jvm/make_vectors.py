"""Records what the Python SDK makes of the scenes, stage by stage, for the JVM pipeline.

    python tests/golden/jvm/make_vectors.py --bundle bundles/ppocrv4-int8

For every scene a JSON file: what goes into each network and what comes out, and what each stage
makes of it. Models may not be committed, their outputs on our own pictures may. They are stored
compactly: of every CTC step the likeliest few classes, and of the charset what is used; the SDK
decodes the very same reduced outputs, so that both decode alike. Inputs and crops are stored as
SHA-256: the JVM's are equal to the last bit.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr import Bundle, Ocr, OcrOptions
from edgeocr.bundle import RecognitionModel
from edgeocr.detection import TextRegion
from edgeocr.orientation import OrientationClassifier
from edgeocr.pixels import crop_line
from edgeocr.reading_order import reading_order
from edgeocr.recognition import PreparedLine, TextRecogniser
from edgeocr.runtime import Port, Tensor

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
SCENES: Final = HERE / "scenes"
RECORDED: Final = HERE / "recorded"
"""A bundle without models: manifest, charset, and a note in the models' stead."""

KEPT_CLASSES: Final = 4
"""Likeliest classes of a CTC step that are stored; the others get the least integer."""
NOTE: Final = "No model: its outputs on the scenes are in the JSON files beside this folder.\n"


@dataclass(frozen=True, kw_only=True)
class Scene:
    name: str
    image: Path
    options: dict[str, Any] = field(default_factory=dict)


def scenes() -> list[Scene]:
    drawn = [
        Scene(name=path.stem, image=path, options={"characters": True})
        for path in sorted(SCENES.glob("*.png"))
        if "picture_language" not in path.name
    ]
    page = ROOT / "docs/samples/printed_page.png"
    book = Scene(name="printed_page", image=page, options={"score_mode": "slow", "dilation": False})
    return [*drawn, book]


def picture_language_scenes() -> list[Scene]:
    names = ("picture_language", "tilted_picture_language")
    options = {"characters": True, "orientation_threshold": 0.8}
    return [Scene(name=name, image=SCENES / f"{name}.png", options=options) for name in names]


class RecordedClassifier(OrientationClassifier):
    """Keeps what went through the network."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, workers=1)
        self.calls: list[tuple[Tensor, Tensor]] = []

    def infer(self, tensor: Tensor) -> Tensor:
        output = super().infer(tensor)
        self.calls.append((tensor, output))
        return output


class RecordedRecogniser(TextRecogniser):
    """Keeps what went through the network, reduced to ``kept`` classes once they are known."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, workers=1)
        self.calls: list[tuple[PreparedLine, tuple[Tensor, ...]]] = []
        self.kept: NDArray[np.intp] | None = None

    def infer(self, prepared: PreparedLine) -> tuple[Tensor, ...]:
        outputs = tuple(map(self._reduced, super().infer(prepared)))
        self.calls.append((prepared, outputs))
        return outputs

    def _reduced(self, output: Tensor) -> Tensor:
        if output.shape[2] <= 16:
            return output
        likeliest = np.argsort(-output.astype(np.float32), axis=2, kind="stable")[
            ..., :KEPT_CLASSES
        ]
        sparse: NDArray[Any] = np.full_like(output, -128)
        np.put_along_axis(sparse, likeliest, np.take_along_axis(output, likeliest, 2), 2)
        return sparse if self.kept is None else np.ascontiguousarray(sparse[..., self.kept])

    def keep_only(self, kept: NDArray[np.intp]) -> None:
        self.kept = kept
        self.charset = tuple(self.charset[i - 1] for i in kept if i > 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the recorded bundle and a JSON file for every scene."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", required=True, help="ppocrv4-int8, as `make official` makes it")
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)
    bundle = Bundle.open(arguments.bundle)
    ocr, recogniser = recording(bundle)
    for scene in scenes():
        ocr.read(scene.image, OcrOptions(**scene.options))
    recogniser.keep_only(used_classes(recogniser))
    write_recorded_bundle(bundle, recogniser)
    for scene in scenes():
        write(scene, "recorded", ocr)
    for name in ("tiny-int8", "tiny-fp32"):
        tiny, _ = recording(Bundle.open(HERE.parent / name))
        for scene in picture_language_scenes():
            write(scene, name, tiny)
    return 0


def recording(bundle: Bundle) -> tuple[Ocr, RecordedRecogniser]:
    ocr = Ocr(bundle, threads=1)
    ocr.classifier, ocr.recogniser = RecordedClassifier(bundle), RecordedRecogniser(bundle)
    return ocr, ocr.recogniser


def used_classes(recogniser: RecordedRecogniser) -> NDArray[np.intp]:
    """Classes that are kept at any step of any line; the blank is among them."""
    used: set[int] = {0}
    for _, outputs in recogniser.calls:
        for output in outputs:
            used.update(np.flatnonzero((output[0] > -128).any(axis=0)).tolist())
    return np.array(sorted(used))


def write_recorded_bundle(bundle: Bundle, recogniser: RecordedRecogniser) -> None:
    RECORDED.mkdir(exist_ok=True)
    charset = "".join(f"{entry}\n" for entry in recogniser.charset).encode()
    (RECORDED / "charset.txt").write_bytes(charset)
    note = NOTE.encode()
    (RECORDED / "models.txt").write_bytes(note)
    models: dict[str, Any] = {}
    for stage in ("det", "cls", "rec"):
        models[stage] = replace(
            getattr(bundle.stages, stage),
            file="models.txt",
            bytes=len(note),
            sha256=hashlib.sha256(note).hexdigest(),
        )
    rec: RecognitionModel = models["rec"]
    models["rec"] = replace(
        rec,
        charset_sha256=hashlib.sha256(charset).hexdigest(),
        classes=len(recogniser.charset) + 1,
    )
    stages = replace(bundle.stages, **models)
    origin = {"outputs of": bundle.name, "version": bundle.version}
    recorded = replace(
        bundle, name="recorded", stages=stages, origin=origin, tools={}, quantization={},
        parity={}, accuracy={}, location=None,
    )  # fmt: skip
    recorded.write_manifest(RECORDED)


def write(scene: Scene, bundle_name: str, ocr: Ocr) -> None:
    path = HERE / f"{scene.name}.{bundle_name}.json"
    document = {
        "scene": scene.name,
        "image": str(scene.image.relative_to(ROOT)),
        "bundle": bundle_name,
        "options": scene.options,
        **record(scene, ocr),
    }
    path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
    print(f"{path.name}: {path.stat().st_size // 1024} KiB, {len(document['lines'])} lines")


def record(scene: Scene, ocr: Ocr) -> dict[str, Any]:
    options = OcrOptions(**scene.options)
    image = np.asarray(cv2.imread(str(scene.image), cv2.IMREAD_COLOR), np.uint8)
    prepared = ocr.detector.prepare(image, options)
    output = ocr.detector.infer(prepared)
    regions = ocr.detector.decode(output, prepared, options)
    order = reading_order(np.array([region.quad for region in regions]).reshape(-1, 4, 2))

    classifier, recogniser = ocr.classifier, ocr.recogniser
    assert isinstance(classifier, RecordedClassifier)
    assert isinstance(recogniser, RecordedRecogniser)
    result = ocr.read(image, options)
    classifier.calls.clear()
    recogniser.calls.clear()
    for i in order:  # `read` takes the longest line first
        ocr._read_region(image, options, regions[i])
    judgements = [classifier.decode(made, options) for _, made in classifier.calls]
    readings = [recogniser.decode(outputs, given) for given, outputs in recogniser.calls]
    return {
        "sha256": digest(image),
        "ports": ports(ocr),
        "detection": {
            "signature": prepared.signature,
            "input": fingerprint(prepared.tensor),
            "output": packed(output),
            "regions": [
                {"quad": region.quad.tolist(), "score": region.score} for region in regions
            ],
            "order": order,
        },
        "crops": crops(image, [regions[i] for i in order]),
        "orientation": [
            {
                "input": fingerprint(given),
                "output": packed(made),
                "upside_down": judgement.upside_down,
                "score": judgement.score,
            }
            for (given, made), judgement in zip(classifier.calls, judgements, strict=True)
        ],
        "recognition": [
            {
                "pieces": [
                    {
                        "signature": piece.signature,
                        "span": [
                            piece.span.begin, piece.span.end, piece.span.own_begin,
                            piece.span.own_end,
                        ],
                        "input": fingerprint(piece.tensor),
                        "output": packed(made),
                    }
                    for piece, made in zip(given.pieces, outputs, strict=True)
                ],
                "text": reading.text,
                "score": reading.score,
                "scores": rounded(reading.scores),
                "starts": reading.starts.tolist(),
                "ends": reading.ends.tolist(),
                "step_width": reading.step_width,
            }
            for (given, outputs), reading in zip(recogniser.calls, readings, strict=True)
        ],
        "lines": [line.to_dict() for line in result],
    }  # fmt: skip


def crops(image: NDArray[np.uint8], regions: Sequence[TextRegion]) -> list[dict[str, Any]]:
    """In reading order."""
    pixels = [crop_line(image, region.quad).pixels for region in regions]
    return [
        {"width": crop.shape[1], "height": crop.shape[0], "sha256": digest(crop)} for crop in pixels
    ]


def ports(ocr: Ocr) -> dict[str, Any]:
    stages = {"det": ocr.detector, "cls": ocr.classifier, "rec": ocr.recogniser}
    kept = getattr(ocr.recogniser, "kept", None)
    described: dict[str, Any] = {}
    for stage, owner in stages.items():
        networks = owner._networks  # type: ignore[attr-defined]
        described[stage] = {}
        for signature, (given, made) in networks.ports.items():
            if stage == "rec" and kept is not None:
                made = replace(made, shape=(*made.shape[:2], len(kept)))
            described[stage][signature] = {"input": port(given), "output": port(made)}
    return described


def port(described: Port) -> dict[str, Any]:
    return {
        "name": described.name,
        "type": described.dtype,
        "shape": described.shape,
        "scale": described.scale,
        "zero_point": described.zero_point,
    }


def fingerprint(tensor: Tensor) -> dict[str, Any]:
    return {"shape": tensor.shape, "sha256": digest(tensor)}


def digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def packed(array: NDArray[Any]) -> dict[str, Any]:
    """Little-endian values, deflated."""
    content = zlib.compress(np.ascontiguousarray(array).tobytes(), 9)
    text = base64.b64encode(content).decode()
    return {"type": array.dtype.name, "shape": array.shape, "deflated": text}


def rounded(values: NDArray[Any]) -> list[float]:
    return [round(float(value), 6) for value in values]


if __name__ == "__main__":
    sys.exit(main())
