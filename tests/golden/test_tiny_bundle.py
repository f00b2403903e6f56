"""Golden: the committed tiny bundles are what their script makes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

GOLDEN = Path(__file__).parent


@pytest.fixture(scope="module")
def make_tiny_bundle() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_tiny_bundle", GOLDEN / "make_tiny_bundle.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Dataclasses look their module up.
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_script_makes_the_committed_bundle(
    make_tiny_bundle: ModuleType, tmp_path: Path, precision: str
) -> None:
    make_tiny_bundle.make_bundle(tmp_path, precision)
    committed = GOLDEN / f"tiny-{precision}"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in committed.iterdir()
    }
