"""The model bundle: a folder whose ``bundle.json`` says everything about its models.

    bundle.json  det.tflite  cls.tflite  rec.tflite  charset.txt

The schema lives here and only here: the conversion writes these dataclasses, the SDK, the
benchmarks and the Android app read what they wrote. Charset, line height and normalisation
travel with the weights and are checked by SHA-256, so a model never meets a wrong one.

A bundle may also be packed into one file: a ZIP archive, stored without compression, that
holds the same files at its root.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from edgeocr.errors import BundleError
from edgeocr.whole_files import write_whole

SCHEMA: Final = 1
MANIFEST: Final = "bundle.json"
DEFAULT_BUNDLE_VARIABLE: Final = "EDGEOCR_BUNDLE"
"""Environment variable that names the bundle to take where the caller names none."""

EMBEDDED_BUNDLES: Final = Path(__file__).parent / "bundles"
_MAX_MANIFEST_BYTES: Final = 4_000_000
_MAX_FILE_BYTES: Final = 1_000_000_000
_PACKED_SIGNATURE: Final = b"PK\x03\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One fixed input shape of a stage's model, by the name of its TFLite signature."""

    name: str
    height: int
    """Of the input in pixels."""
    width: int
    """Of the input in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """What every stage's model states. Input: (1, height, width, 3), NHWC.

    A pixel enters the network as ``(pixel / 255 - mean) / std``, per channel in
    ``channel_order``; quantized inputs are quantized after that, by the model's own scale.
    """

    file: str
    bytes: int
    sha256: str
    channel_order: Literal["BGR", "RGB"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    signatures: tuple[Signature, ...]
    height_multiple: int | None = None
    """Not None: the graph holds no height, so the input may be resized before allocation to
    any multiple of this many pixels, with ``resize_tensor_input``, and XNNPACK still takes it
    whole. None: only the heights of the signatures."""
    width_multiple: int | None = None
    """The same for the width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionModel(ModelFile):
    """DB detector. Output (1, height, width, 1): text probability."""

    limit_side: int
    limit_type: Literal["min", "max"]
    max_side: int
    """Images are shrunk to this longer side whatever ``limit_type`` wants, in pixels."""
    threshold: float
    box_threshold: float
    unclip_ratio: float
    max_candidates: int
    dilation: bool
    score_mode: Literal["fast", "slow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrientationModel(ModelFile):
    """0/180 classifier. Output (1, 2): logits or probabilities of 0 and 180 degrees."""

    threshold: float
    outputs: Literal["logits", "probabilities"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionModel(ModelFile):
    """CTC recogniser. Output (1, steps, classes): class 0 is the blank, class i + 1 is
    character i of the charset.
    """

    outputs: Literal["logits", "probabilities"]
    charset_file: str
    """UTF-8, one character (or cluster) a line, the space as a line that holds one space."""
    charset_sha256: str
    classes: int
    """Characters + 1."""
    min_score: float
    min_width: int | None = None
    """Where the width can be resized: what shorter lines are padded to, in pixels. Recognisers
    trained on lines of one width read a short word worse without room behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    det: DetectionModel
    cls: OrientationModel
    rec: RecognitionModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What ``bundle.json`` states; :meth:`open` gives one whose files were verified."""

    name: str
    version: str
    licence: str
    precision: Literal["fp32", "fp16", "int8"]
    stages: Stages
    origin: Mapping[str, Any]
    """Where the weights come from: package, version, file and SHA-256 per stage."""
    tools: Mapping[str, str]
    """Version of every tool that took part in the conversion."""
    quantization: Mapping[str, Any]
    """Scheme per stage and the calibration set; empty for float bundles."""
    parity: Mapping[str, Any] = field(default_factory=dict)
    """Per stage, against ONNX Runtime on the same inputs, measured when it was made."""
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
    location: Path | None = field(default=None, compare=False)
    """Folder or packed file that it was opened from; not part of ``bundle.json``."""

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Bundle:
        """Opens and verifies a bundle: a folder, or a file made by :func:`pack`.

        Every file must exist with the size and SHA-256 that the manifest states; the charset
        must have the length that the recogniser expects.

        Raises:
            BundleError: naming the file, and the key where a value is wrong.
        """
        location = Path(path)
        files = _open_files(location)
        manifest = files.read(MANIFEST, limit=_MAX_MANIFEST_BYTES)
        bundle = dataclasses.replace(cls.from_json(manifest, source=files), location=location)
        for model in (bundle.stages.det, bundle.stages.cls, bundle.stages.rec):
            _verify_file(files, model)
        charset = files.read(bundle.stages.rec.charset_file, limit=_MAX_MANIFEST_BYTES)
        _verify_charset(files, bundle.stages.rec, charset)
        return bundle

    @classmethod
    def default(cls) -> Bundle:
        """The bundle that ``EDGEOCR_BUNDLE`` names, else the one embedded in the package.

        Raises:
            BundleError: there is neither, or it does not verify.
        """
        named = os.environ.get(DEFAULT_BUNDLE_VARIABLE)
        if named:
            return cls.open(named)
        embedded = sorted(EMBEDDED_BUNDLES.glob(f"*/{MANIFEST}"))
        if embedded:
            return cls.open(embedded[0].parent)
        raise BundleError(
            "no model bundle is embedded in this edgeocr and none was named: make one with "
            "`edgeocr-convert official ppocrv4 --out DIR`, then name it by Ocr.load(DIR), "
            f"--bundle DIR or the environment variable {DEFAULT_BUNDLE_VARIABLE}"
        )

    @classmethod
    def from_json(cls, manifest: bytes | str, *, source: object = MANIFEST) -> Bundle:
        """Parses the text of a ``bundle.json`` strictly; ``source`` names it in errors.

        Raises:
            BundleError: not JSON, another schema, an unknown or missing key, a wrong type, or
                a value that no model can have.
        """
        where = f"{source}: {MANIFEST}" if str(source) != MANIFEST else MANIFEST
        try:
            document = json.loads(manifest)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{where} is not valid JSON: {error}") from error
        if not isinstance(document, dict):
            raise BundleError(f"{where} must hold a JSON object")
        schema = document.get("schema")
        if schema != SCHEMA or isinstance(schema, bool):
            raise BundleError(
                f"{where}: schema is {schema!r}, this edgeocr reads schema {SCHEMA}; "
                "convert the bundle again, or install the edgeocr that made it"
            )
        try:
            bundle: Bundle = _parse(cls, document, "")
            _check_values(bundle)
        except _InvalidManifestError as error:
            raise BundleError(f"{where}: {error}") from None
        return bundle

    def to_json(self) -> str:
        """The text of this bundle's ``bundle.json``."""
        document = dataclasses.asdict(self)
        del document["location"]
        return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"

    def write_manifest(self, folder: str | os.PathLike[str]) -> Path:
        """Writes ``bundle.json`` into ``folder``, whole or not at all.

        Raises:
            BundleError: a value is not allowed, or the folder cannot be written.
        """
        text = self.to_json()
        Bundle.from_json(text, source=folder)  # What is written must be readable.
        target = Path(folder) / MANIFEST
        _write(target, text.encode())
        return target

    def read_model(self, model: ModelFile) -> bytes | Path:
        """What the runtime opens: the file's path, or its bytes where the bundle is packed."""
        files = self._files()
        return files.path(model.file) or files.read(model.file, limit=model.bytes)

    def charset(self) -> tuple[str, ...]:
        """The recogniser's characters; class i + 1 of the network is ``charset()[i]``."""
        return read_charset(
            self._files().read(self.stages.rec.charset_file, limit=_MAX_MANIFEST_BYTES)
        )

    def _files(self) -> _Files:
        if self.location is None:
            raise BundleError(f"bundle {self.name!r} has no files: it was not made by Bundle.open")
        return _open_files(self.location)


def read_charset(content: bytes) -> tuple[str, ...]:
    """The entries of a charset file: UTF-8, one a line, a line with one space is the space.

    Only U+000A ends a line: other separators, such as U+2028, can be entries themselves.

    Raises:
        BundleError: not UTF-8, or an empty line.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"the charset is not UTF-8: {error}") from error
    entries = tuple(text.removesuffix("\n").split("\n"))
    if "" in entries:
        raise BundleError(
            f"line {entries.index('') + 1} of the charset is empty; write the space as one space"
        )
    return entries


def pack(bundle: Bundle, target: str | os.PathLike[str]) -> Path:
    """Writes an opened bundle as one file; equal bundles give equal files.

    Raises:
        BundleError: a file of the bundle cannot be read, or ``target`` cannot be written.
    """
    import io
    import zipfile

    files = bundle._files()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in _file_names(bundle):
            # A fixed date: the archive must not depend on when it was made.
            archive.writestr(zipfile.ZipInfo(name), files.read(name, limit=_MAX_FILE_BYTES))
    path = Path(target)
    _write(path, buffer.getvalue())
    return path


def unpack(bundle: Bundle, folder: str | os.PathLike[str]) -> Path:
    """Writes the files of an opened bundle into a folder that is new or empty.

    Raises:
        BundleError: the folder holds something, or cannot be written.
    """
    files = bundle._files()
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        occupied = any(path.iterdir())
    except OSError as error:
        raise BundleError(f"cannot unpack into {path}: {error.strerror}") from error
    if occupied:
        raise BundleError(f"cannot unpack into {path}: it is not empty")
    for name in _file_names(bundle):
        _write(path / name, files.read(name, limit=_MAX_FILE_BYTES))
    return path


def _file_names(bundle: Bundle) -> list[str]:
    """The manifest last: a folder without one is not taken for a bundle."""
    stages = bundle.stages
    models = (stages.det.file, stages.cls.file, stages.rec.file)
    return [*models, stages.rec.charset_file, MANIFEST]


# Folder or archive behind the same two questions. -------------------------------------------


class _Folder:
    def __init__(self, location: Path) -> None:
        self._location = location

    def __str__(self) -> str:
        return str(self._location)

    def path(self, name: str) -> Path | None:
        return self._location / name

    def read(self, name: str, *, limit: int) -> bytes:
        path = self._location / name
        try:
            with path.open("rb") as file:
                content = file.read(limit + 1)
        except FileNotFoundError:
            raise BundleError(f"{self}: {name} is missing") from None
        except OSError as error:
            raise BundleError(f"{self}: cannot read {name}: {error.strerror}") from error
        if len(content) > limit:
            raise BundleError(f"{self}: {name} is larger than the {limit} bytes expected")
        return content


class _Archive:
    def __init__(self, location: Path) -> None:
        self._location = location

    def __str__(self) -> str:
        return str(self._location)

    def path(self, name: str) -> Path | None:
        return None

    def read(self, name: str, *, limit: int) -> bytes:
        import zipfile

        try:
            with zipfile.ZipFile(self._location) as archive, archive.open(name) as file:
                content = file.read(limit + 1)  # The size stated in the archive may be a lie.
        except KeyError:
            raise BundleError(f"{self}: {name} is missing") from None
        except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
            raise BundleError(f"{self}: cannot read {name}: {error}") from error
        except Exception as error:
            # zlib.error, when a packed file was compressed by another tool and is corrupt.
            if type(error).__module__ != "zlib":
                raise
            raise BundleError(f"{self}: cannot read {name}: {error}") from error
        if len(content) > limit:
            raise BundleError(f"{self}: {name} is larger than the {limit} bytes expected")
        return content


_Files = _Folder | _Archive


def _open_files(location: Path) -> _Files:
    try:
        if location.is_dir():
            return _Folder(location)
        with location.open("rb") as file:
            beginning = file.read(len(_PACKED_SIGNATURE))
    except FileNotFoundError:
        raise BundleError(f"{location}: there is no such bundle") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{location}: cannot read the bundle: {error}") from error
    if beginning != _PACKED_SIGNATURE:
        raise BundleError(
            f"{location}: neither a bundle folder nor a packed bundle (`edgeocr bundle pack`)"
        )
    return _Archive(location)


def _write(target: Path, content: bytes) -> None:
    try:
        write_whole(target, content)
    except OSError as error:
        raise BundleError(f"cannot write {target}: {error.strerror}") from error


# Verification. ------------------------------------------------------------------------------


def _verify_file(files: _Files, model: ModelFile) -> None:
    content = files.read(model.file, limit=model.bytes)
    if len(content) != model.bytes:
        raise BundleError(
            f"{files}: {model.file} has {len(content)} bytes, {MANIFEST} states {model.bytes}; "
            "the bundle is incomplete, fetch or convert it again"
        )
    _verify_sha256(files, model.file, content, model.sha256)


def _verify_charset(files: _Files, model: RecognitionModel, content: bytes) -> None:
    _verify_sha256(files, model.charset_file, content, model.charset_sha256)
    try:
        entries = read_charset(content)
    except BundleError as error:
        raise BundleError(f"{files}: {model.charset_file}: {error}") from error
    if len(entries) + 1 != model.classes:
        raise BundleError(
            f"{files}: {model.charset_file} has {len(entries)} entries; the recogniser's "
            f"{model.classes} classes (stages.rec.classes) need {model.classes - 1}"
        )


def _verify_sha256(files: _Files, name: str, content: bytes, expected: str) -> None:
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise BundleError(
            f"{files}: {name} has SHA-256 {actual}, {MANIFEST} states {expected}; "
            "the file was changed or damaged, fetch or convert the bundle again"
        )


# Strict parsing. ----------------------------------------------------------------------------


class _InvalidManifestError(Exception):
    """Carries "key: what is wrong" up to where the file's name is known."""


def _parse(expected: Any, value: Any, key: str) -> Any:
    """``value`` as the annotated type ``expected``; nothing is converted but lists and ints."""
    if dataclasses.is_dataclass(expected):
        return _parse_dataclass(typing.cast(type, expected), value, key)
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin is Literal:
        if value in arguments and not isinstance(value, bool):
            return value
        choices = ", ".join(map(repr, arguments))
        raise _InvalidManifestError(f"{key} is {value!r}, it must be one of {choices}")
    if origin is tuple:
        item, rest = arguments[0], arguments[1:]
        length = None if rest == (...,) else len(arguments)
        if not isinstance(value, list) or (length is not None and len(value) != length):
            wanted = "a list" if length is None else f"a list of {length}"
            raise _InvalidManifestError(f"{key} is {value!r}, it must be {wanted}")
        return tuple(_parse(item, element, f"{key}[{i}]") for i, element in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise _InvalidManifestError(f"{key} is {value!r}, it must be an object")
        member = arguments[1]
        if member is not Any:
            value = {name: _parse(member, item, f"{key}.{name}") for name, item in value.items()}
        return value
    if origin is types.UnionType:
        (item,) = (argument for argument in arguments if argument is not types.NoneType)
        return None if value is None else _parse(item, value, key)
    if expected is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if expected is not float and type(value) is expected:
        return value
    raise _InvalidManifestError(f"{key} is {value!r}, it must be a {_NAMES[expected]}")


_NAMES: Final = {str: "string", int: "whole number", float: "finite number", bool: "true or false"}


def _parse_dataclass(expected: type, value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise _InvalidManifestError(f"{key} is {value!r}, it must be an object")
    prefix = f"{key}." if key else ""
    types_by_name = typing.get_type_hints(expected)
    fields = {f.name: f for f in dataclasses.fields(expected) if f.name != "location"}
    for name in value:
        if name not in fields:
            raise _InvalidManifestError(f"unknown key {prefix}{name}")
    for name, spec in fields.items():
        required = (
            spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        )
        if name not in value and required:
            raise _InvalidManifestError(f"key {prefix}{name} is missing")
    return expected(
        **{
            name: _parse(types_by_name[name], item, f"{prefix}{name}")
            for name, item in value.items()
        }
    )


def _check_values(bundle: Bundle) -> None:
    """What the types alone do not say."""
    stages = bundle.stages
    for stage, model in (("det", stages.det), ("cls", stages.cls), ("rec", stages.rec)):
        key = f"stages.{stage}"
        _check_file_name(f"{key}.file", model.file)
        _check_range(f"{key}.bytes", model.bytes, 1, _MAX_FILE_BYTES)
        for side, multiple in (("height", model.height_multiple), ("width", model.width_multiple)):
            if multiple is not None:
                _check_range(f"{key}.{side}_multiple", multiple, 1, 1024)
        if 0.0 in model.std:
            raise _InvalidManifestError(f"{key}.std is {list(model.std)}, no part may be 0")
        if not model.signatures:
            raise _InvalidManifestError(f"{key}.signatures is empty")
        names = [signature.name for signature in model.signatures]
        if len(set(names)) != len(names):
            raise _InvalidManifestError(f"{key}.signatures names one signature twice: {names}")
        for i, signature in enumerate(model.signatures):
            _check_range(f"{key}.signatures[{i}].height", signature.height, 1, 16384)
            _check_range(f"{key}.signatures[{i}].width", signature.width, 1, 16384)
    det, rec = stages.det, stages.rec
    _check_range("stages.det.limit_side", det.limit_side, 32, 16384)
    _check_range("stages.det.max_side", det.max_side, 32, 16384)
    _check_range("stages.det.threshold", det.threshold, 0.0, 1.0)
    _check_range("stages.det.box_threshold", det.box_threshold, 0.0, 1.0)
    _check_range("stages.det.unclip_ratio", det.unclip_ratio, 0.01, 10.0)
    _check_range("stages.det.max_candidates", det.max_candidates, 1, 100_000)
    _check_range("stages.cls.threshold", stages.cls.threshold, 0.0, 1.0)
    _check_range("stages.rec.min_score", rec.min_score, 0.0, 1.0)
    _check_range("stages.rec.classes", rec.classes, 2, 1_000_000)
    _check_file_name("stages.rec.charset_file", rec.charset_file)
    heights = {signature.height for signature in rec.signatures}
    if len(heights) != 1:
        raise _InvalidManifestError(
            f"stages.rec.signatures have several heights: {sorted(heights)}"
        )


def _check_file_name(key: str, name: str) -> None:
    """Bundles are flat: no file may lie outside of them."""
    if name in ("", ".", "..", MANIFEST) or PurePosixPath(name).name != name or "\\" in name:
        raise _InvalidManifestError(f"{key} is {name!r}, it must be the name of a file beside it")


def _check_range(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise _InvalidManifestError(f"{key} is {value}, it must be in [{low}, {high}]")
