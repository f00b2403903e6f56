"""Who may import whom, what ``import edgeocr`` may load, and which names a module may not have.

The arrows: ``edgeocr`` stands alone; all others may use it. Training measures with the labels and
metrics of the benchmarks; conversion may use training.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FOLDERS = {
    "edgeocr": "sdk",
    "edgeocr_conversion": "conversion",
    "edgeocr_training": "training",
    "edgeocr_benchmarks": "benchmarks",
}
ARROWS: dict[str, set[str]] = {
    "edgeocr": set(),
    "edgeocr_conversion": {"edgeocr", "edgeocr_training"},
    "edgeocr_training": {"edgeocr", "edgeocr_benchmarks"},
    "edgeocr_benchmarks": {"edgeocr"},
}
SDK_DEPENDENCIES = {"numpy", "cv2", "pyclipper"}
SDK_OPTIONS = {"PIL"}
"""Used where installed, so never at import: only inside of a function."""
INTERPRETERS = {"ai_edge_litert", "tflite_runtime", "tensorflow"}
RUNTIME = Path("sdk/edgeocr/runtime.py")
TOO_HEAVY_TO_CONVERT_WITH = {"torch", "tensorflow", "paddle"}
EMPTY_NAMES = {"utils", "util", "helper", "helpers", "common", "misc", "manager"}


@dataclass(frozen=True, kw_only=True)
class Import:
    module: str
    """Dotted, absolute."""
    line: int
    types_only: bool
    """Under ``if TYPE_CHECKING:``: the interpreter never sees it."""
    deferred: bool
    """Inside of a function: not loaded with the module."""

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def imports_of(path: Path, package: str) -> Iterator[Import]:
    """Every import statement of a file, wherever it stands, and every named dynamic import."""

    def visit(node: ast.AST, types_only: bool, deferred: bool) -> Iterator[Import]:
        names: list[str] = []
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                for guarded in node.body:
                    yield from visit(guarded, True, deferred)
                for other in node.orelse:
                    yield from visit(other, types_only, deferred)
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                deferred = True
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(level=0, module=str(module)):
                names = [f"{module}.{alias.name}" for alias in node.names]
            case ast.ImportFrom():
                names = [package]
            case ast.Call(
                func=(
                    ast.Attribute(attr="import_module")
                    | ast.Name(id="import_module" | "__import__")
                ),
                args=[ast.Constant(value=str(module)), *_],
            ):
                names = [module]
        line = getattr(node, "lineno", 0)
        for name in names:
            yield Import(module=name, line=line, types_only=types_only, deferred=deferred)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, types_only, deferred)

    yield from visit(ast.parse(path.read_text("utf-8"), str(path)), False, False)


def faults(root: Path) -> list[str]:
    """What breaks the rules in the packages under ``root``, one line each."""
    found = []
    sdk_may_import = set(FOLDERS) | SDK_DEPENDENCIES | sys.stdlib_module_names
    for package, folder in FOLDERS.items():
        siblings = set(FOLDERS) - {package}
        for path in sorted((root / folder / package).rglob("*.py")):
            where = path.relative_to(root)
            if path.stem in EMPTY_NAMES:
                found.append(f"{where}: the name {path.stem!r} says nothing")
            for name in imports_of(path, package):
                here = f"{where}:{name.line}: imports {name.module}"
                if name.top in siblings - ARROWS[package]:
                    found.append(f"{here}, against the arrows")
                if name.types_only:
                    continue
                if package == "edgeocr" and name.top in INTERPRETERS:
                    if where != RUNTIME:
                        found.append(f"{here}; only {RUNTIME} may")
                elif package == "edgeocr" and name.top in SDK_OPTIONS:
                    if not name.deferred:
                        found.append(f"{here} at import, which is no dependency of the SDK")
                elif package == "edgeocr" and name.top not in sdk_may_import:
                    found.append(f"{here}, which is no dependency of the SDK")
                if package == "edgeocr_conversion" and name.top in TOO_HEAVY_TO_CONVERT_WITH:
                    found.append(f"{here}, which converting ONNX must not need")
    return found


def test_the_packages_keep_the_arrows() -> None:
    assert list((ROOT / "sdk/edgeocr").glob("*.py")), "nothing was checked"
    assert faults(ROOT) == []


@pytest.mark.parametrize(
    ("file", "source", "fault"),
    [
        ("sdk/edgeocr/a.py", "import edgeocr_training", "against the arrows"),
        ("sdk/edgeocr/a.py", "def f():\n from edgeocr_conversion import x", "against the arrows"),
        (
            "sdk/edgeocr/a.py",
            "if TYPE_CHECKING:\n from edgeocr_conversion.parity import Parity",
            "against the arrows",
        ),
        ("training/edgeocr_training/a.py", "import edgeocr_conversion.x", "against the arrows"),
        ("benchmarks/edgeocr_benchmarks/a.py", "import edgeocr_conversion", "against the arrows"),
        ("conversion/edgeocr_conversion/a.py", "import edgeocr_benchmarks", "against the arrows"),
        ("sdk/edgeocr/a.py", "from ai_edge_litert import interpreter", "only"),
        ("sdk/edgeocr/a.py", "importlib.import_module('tflite_runtime.interpreter')", "only"),
        ("sdk/edgeocr/sub/a.py", "from PIL import Image", "no dependency of the SDK"),
        ("sdk/edgeocr/a.py", "def f():\n import shapely", "no dependency of the SDK"),
        ("conversion/edgeocr_conversion/a.py", "import tensorflow as tf", "must not need"),
        ("benchmarks/edgeocr_benchmarks/utils.py", "", "says nothing"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, file: str, source: str, fault: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    (only,) = faults(tmp_path)
    assert only.startswith(file)
    assert fault in only


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("sdk/edgeocr/runtime.py", "import ai_edge_litert.interpreter"),
        ("sdk/edgeocr/a.py", "if TYPE_CHECKING:\n from PIL import Image"),
        ("sdk/edgeocr/a.py", "def draw():\n from PIL import ImageDraw"),
        ("sdk/edgeocr/a.py", "from . import errors\nfrom edgeocr.ctc import x\nimport cv2, json"),
        ("conversion/edgeocr_conversion/a.py", "import edgeocr, edgeocr_training, onnx"),
        ("benchmarks/edgeocr_benchmarks/a.py", "import edgeocr.bundle, psutil"),
    ],
)
def test_what_is_allowed_is_no_fault(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert faults(tmp_path) == []


def test_importing_edgeocr_loads_nothing_heavy() -> None:
    """In a fresh interpreter, since this one has loaded the tests' own tools."""
    program = "import edgeocr, json, sys; print(json.dumps(list(sys.modules)))"
    fresh = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "sdk")},
        capture_output=True,
        text=True,
    )
    assert fresh.returncode == 0, fresh.stderr
    loaded = {module.partition(".")[0] for module in json.loads(fresh.stdout)}
    assert "edgeocr" in loaded
    heavy = {"torch", "tensorflow", "onnx", "onnxruntime", "onnx2tf", "PIL", "scipy"}
    assert loaded & (heavy | set(FOLDERS) - {"edgeocr"}) == set()
