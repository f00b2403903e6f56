"""Compares the JVM pipeline's own parts, all but the networks, with the Python SDK's on one page.

    python android_demo/core/measure_own_parts.py --bundle bundles/ppocrv4-int8 \
        --image docs/samples/receipt.jpg --out android_demo/results/own_parts.json

Both get the same image and the same network outputs and work on one thread. What counts is the
thread's processor time, so that other work on the machine disturbs little; of the JVM's, the
compiler and the garbage collector, which have threads of their own, are not in it. The JVM runs
without flags. Needs android_demo/install_tools.sh.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

import edgeocr
from edgeocr import Bundle, Ocr, OcrOptions
from edgeocr.pixels import crop_line
from edgeocr.reading_order import reading_order
from edgeocr.runtime import Tensor
from edgeocr.whole_files import write_whole

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = Path(__file__).parent / "src"
JARS: Final = ("/usr/share/java/junit4.jar", "/usr/share/java/hamcrest-core.jar")
PARTS: Final = (
    "det.prepare", "det.decode", "order", "crop", "cls.prepare", "cls.decode", "rec.prepare",
    "rec.decode",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measures both and writes one JSON file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--image", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=20, help="measured (default: 20)")
    parser.add_argument("--warm-ups", type=int, default=40, help="before them (default: 40)")
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)
    recorded = Recorded(arguments.bundle, arguments.image)
    with tempfile.TemporaryDirectory() as folder:
        java = measure_java(recorded, Path(folder), arguments.warm_ups, arguments.rounds)
    python = measure_python(recorded, arguments.warm_ups, arguments.rounds)
    totals = {name: total_ms(parts) for name, parts in (("python", python), ("jvm", java))}
    document = {
        "command": "python android_demo/core/measure_own_parts.py "
        f"--bundle bundles/{Path(arguments.bundle).name} --image {shown(arguments.image)}",
        "image": {"file": shown(arguments.image), "size": list(recorded.image.shape[1::-1])},
        "bundle": {"name": recorded.bundle.name, "version": recorded.bundle.version},
        "lines": len(recorded.vectors["recognition"]),
        "machine": {"processor": processor(), "system": platform.platform()},
        "versions": {
            "edgeocr": edgeocr.__version__,
            "opencv": cv2.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "java": java_version(),
        },
        "unit": "milliseconds of one thread's processor time",
        "warm_ups": arguments.warm_ups,
        "median_ms": {
            part: {
                "python": round(statistics.median(python[part]), 3),
                "jvm": round(statistics.median(java[part]), 3),
            }
            for part in PARTS
        },
        "median_total_ms": totals,
        "jvm_over_python": round(totals["jvm"] / totals["python"], 3),
        "samples_ms": {"python": python, "jvm": java},
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(arguments.out, (json.dumps(document, indent=1) + "\n").encode())
    for part, medians in document["median_ms"].items():
        print(f"{part:12} python {medians['python']:8.3f} ms   jvm {medians['jvm']:8.3f} ms")
    print(f"{'total':12} python {totals['python']:8.3f} ms   jvm {totals['jvm']:8.3f} ms")
    return 0


class Recorded:
    """A page, and everything that goes into and comes out of the networks on it."""

    def __init__(self, bundle: str, image: Path) -> None:
        maker = vector_maker()

        class Recogniser(maker.RecordedRecogniser):  # type: ignore[misc, name-defined]
            """Whole outputs: what a device decodes."""

            def _reduced(self, output: Tensor) -> Tensor:
                return output

        self.bundle = Bundle.open(bundle)
        self.ocr: Ocr = maker.recording(self.bundle)[0]
        self.ocr.recogniser = Recogniser(self.bundle)
        pixels = cv2.imread(str(image), cv2.IMREAD_COLOR)
        if pixels is None:
            raise SystemExit(f"{image}: is no image that OpenCV reads")
        self.image = np.asarray(pixels, np.uint8)
        self.vectors: dict[str, Any] = maker.record(maker.Scene(name="page", image=image), self.ocr)
        self.prepared = self.ocr.detector.prepare(self.image, OcrOptions())
        self.map = self.ocr.detector.infer(self.prepared)


def vector_maker() -> ModuleType:
    path = ROOT / "tests/golden/jvm/make_vectors.py"
    spec = importlib.util.spec_from_file_location("make_vectors", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def measure_python(recorded: Recorded, warm_ups: int, rounds: int) -> dict[str, list[float]]:
    ocr, options = recorded.ocr, OcrOptions()
    calls: Any = ocr.classifier, ocr.recogniser
    judgements = [made for _, made in calls[0].calls]
    outputs = [made for _, made in calls[1].calls]
    samples: dict[str, list[float]] = {part: [] for part in PARTS}

    def timed(part: str, work: Callable[..., Any], *arguments: Any) -> Any:
        started = time.thread_time()
        made = work(*arguments)
        samples[part].append((time.thread_time() - started) * 1e3)
        return made

    def crops_of(quads: NDArray[np.float32], order: Sequence[int]) -> list[Any]:
        return [crop_line(recorded.image, quads[i]) for i in order]

    def prepared_by(stage: Any, lines: Sequence[Any]) -> list[Any]:
        return [stage.prepare(line) for line in lines]

    def directions() -> list[Any]:
        return [ocr.classifier.decode(made, options) for made in judgements]

    def texts(prepared: Sequence[Any]) -> list[Any]:
        return [
            ocr.recogniser.decode(made, line) for made, line in zip(outputs, prepared, strict=False)
        ]

    for _ in range(warm_ups // 4 + rounds):
        timed("det.prepare", ocr.detector.prepare, recorded.image, options)
        regions = timed("det.decode", ocr.detector.decode, recorded.map, recorded.prepared, options)
        quads = np.array([region.quad for region in regions])
        order = timed("order", reading_order, quads)
        crops = timed("crop", crops_of, quads, order)
        lines = [crop.pixels for crop in crops]
        timed("cls.prepare", prepared_by, ocr.classifier, lines)
        timed("cls.decode", directions)
        prepared = timed("rec.prepare", prepared_by, ocr.recogniser, lines)
        timed("rec.decode", texts, prepared)
    return {part: values[-rounds:] for part, values in samples.items()}


def measure_java(
    recorded: Recorded, folder: Path, warm_ups: int, rounds: int
) -> dict[str, list[float]]:
    vectors, image = folder / "vectors.json", folder / "page.png"
    vectors.write_text(json.dumps(recorded.vectors), "utf-8")
    cv2.imwrite(str(image), recorded.image)
    classes = folder / "classes"
    path = os.pathsep.join([str(classes), *JARS])
    sources = [str(source) for source in sorted(SOURCES.rglob("*.java"))]
    compile_java = ["javac", "-encoding", "UTF-8", "--release", "8", "-nowarn", "-cp", path]
    subprocess.run([*compile_java, "-d", str(classes), *sources], check=True)
    timer = ["java", f"-Dedgeocr.golden={folder}", "-cp", path, "io.github.edgeocr.OwnPartsTimer"]
    done = subprocess.run(
        [*timer, vectors.name, image, str(recorded.bundle.location), str(warm_ups), str(rounds)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    measured: dict[str, list[float]] = json.loads(done.stdout)
    return {part: [round(value, 4) for value in measured[part]] for part in PARTS}


def total_ms(parts: dict[str, list[float]]) -> float:
    """Median over the rounds of all parts together."""
    return round(statistics.median(map(sum, zip(*parts.values(), strict=True))), 3)


def shown(path: Path) -> str:
    resolved = path.resolve()
    return str(resolved.relative_to(ROOT)) if resolved.is_relative_to(ROOT) else path.name


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def java_version() -> str:
    done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
