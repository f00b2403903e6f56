"""Interpreters: what they refuse, and that they do not get into each other's way."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from edgeocr import Bundle, BundleError, RuntimeUnavailableError
from edgeocr.bundle import Signature
from edgeocr.runtime import Network, NetworkPool, runtime


def network(tiny: Path, *, live_signatures: int = 3) -> Network:
    return Network(
        tiny / "det.tflite", source="det.tflite", threads=1, live_signatures=live_signatures
    )


def pool(bundle: Bundle, *, size: int = 1, output_rank: int = 4) -> NetworkPool:
    return NetworkPool(
        bundle,
        bundle.stages.det,
        size=size,
        threads=1,
        live_signatures=1,
        output_rank=output_rank,
    )


def with_detector(bundle: Bundle, **changes: object) -> Bundle:
    det = dataclasses.replace(bundle.stages.det, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(bundle, stages=dataclasses.replace(bundle.stages, det=det))


def test_ports_say_how_numbers_are_meant(tiny: Path) -> None:
    given, made = network(tiny).ports("h96w128")
    assert given.shape == (1, 96, 128, 3)
    assert made.shape == (1, 96, 128, 1)
    if tiny.name == "tiny-int8":
        assert (given.dtype, given.scale, given.zero_point) == ("int8", 1 / 128, 0)
        assert (made.dtype, made.scale, made.zero_point) == ("int8", 1 / 256, -128)
    else:
        assert (given.dtype, given.scale, given.zero_point) == ("float32", None, 0)


def test_an_output_outlives_the_next_run(tiny: Path) -> None:
    detector = network(tiny)
    given, _ = detector.ports("h96w128")
    dark = np.zeros(given.shape, dtype=given.dtype)
    red = dark.copy()
    red[..., 2] = 100 if given.dtype == "int8" else 1
    first = detector.run("h96w128", red)
    before = first.copy()
    detector.run("h96w128", dark)
    np.testing.assert_array_equal(first, before)
    assert first.max() > detector.run("h96w128", dark).max()


@pytest.mark.parametrize("live_signatures", [1, 2, 3])
def test_signatures_may_come_in_any_order(tiny: Path, live_signatures: int) -> None:
    detector = network(tiny, live_signatures=live_signatures)
    for name in ("h96w128", "h128w96", "h192w256", "h96w128", "h96w128", "h128w96"):
        given, made = detector.ports(name)
        assert detector.run(name, np.zeros(given.shape, dtype=given.dtype)).shape == made.shape


def test_an_unknown_signature_is_named_with_the_known_ones(tiny: Path) -> None:
    with pytest.raises(BundleError, match="no signature 'h1w1'; it has: h96w128, h128w96"):
        network(tiny).ports("h1w1")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.tflite"
    path.write_text("not a model at all")
    for model in (path, path.read_bytes(), tmp_path / "missing.tflite"):
        with pytest.raises(RuntimeUnavailableError, match=r"text\.tflite: .* refuses the model"):
            Network(model, source="text.tflite", threads=1, live_signatures=1)


def test_a_model_must_have_the_shapes_that_the_manifest_states(tiny: Path) -> None:
    bundle = Bundle.open(tiny)
    wrong = Signature(name="h96w128", height=96, width=160)
    with pytest.raises(BundleError, match=r"input of signature 'h96w128' is \(1, 96, 128, 3\)"):
        pool(with_detector(bundle, signatures=(wrong,)))
    with pytest.raises(BundleError, match="it must have 3 dimensions"):
        pool(bundle, output_rank=3)


def test_a_pool_lends_every_interpreter_once(tiny: Path) -> None:
    networks = pool(Bundle.open(tiny), size=3)
    with networks.borrow() as a, networks.borrow() as b, networks.borrow() as c:
        assert len({id(a), id(b), id(c)}) == 3
        waiting = threading.Event()
        lent = threading.Event()

        def wait() -> None:
            waiting.set()
            with networks.borrow():
                lent.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(timeout=60)
        assert not lent.is_set()
    assert lent.wait(timeout=60)
    thread.join(timeout=60)


def test_an_error_gives_the_interpreter_back(tiny: Path) -> None:
    networks = pool(Bundle.open(tiny))
    for _ in range(3):
        with pytest.raises(BundleError):
            networks.run("unknown", np.zeros((1, 1, 1, 3), dtype=np.int8))
    given, _ = networks.ports["h96w128"]
    networks.run("h96w128", np.zeros(given.shape, dtype=given.dtype))


def test_this_runtime_has_xnnpack(tiny: Path) -> None:
    assert runtime().package == "ai_edge_litert"
    assert network(tiny).uses_delegate()


# What the import does can only be seen in a process of its own.
WITHOUT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
{program}
"""


def run_without(absent: set[str], program: str) -> str:
    code = WITHOUT.format(absent=absent, program=program)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout + done.stderr


def test_without_a_runtime_the_command_that_installs_one_is_told() -> None:
    program = "from edgeocr.__main__ import main\nprint(main(['doctor', '--bundle', '.']))"
    said = run_without({"ai_edge_litert", "tflite_runtime", "tensorflow"}, program)
    assert "FAIL  runtime" in said
    assert "pip install ai-edge-litert" in said
    assert "Traceback" not in said


def test_on_a_32_bit_system_the_advice_is_another() -> None:
    program = (
        "sys.maxsize = 2**31 - 1\n"
        "from edgeocr import RuntimeUnavailableError\n"
        "from edgeocr.runtime import runtime\n"
        "try:\n    runtime()\nexcept RuntimeUnavailableError as error:\n    print(error)"
    )
    said = run_without({"ai_edge_litert", "tflite_runtime", "tensorflow"}, program)
    assert "LiteRT has none for 32-bit systems" in said
    assert "pip install tflite-runtime" in said


def test_the_next_runtime_is_taken_where_the_first_is_absent(tmp_path: Path) -> None:
    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '9.9'")
    (package / "interpreter.py").write_text("class Interpreter: pass")
    program = (
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from edgeocr.runtime import runtime\n"
        "print(runtime().package, runtime().version)"
    )
    assert run_without({"ai_edge_litert", "tensorflow"}, program) == "tflite_runtime 9.9\n"


def test_a_runtime_that_does_not_load_is_named(tmp_path: Path) -> None:
    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "interpreter.py").write_text("raise ImportError('numpy 1 was expected')")
    program = (
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from edgeocr import RuntimeUnavailableError\n"
        "from edgeocr.runtime import runtime\n"
        "try:\n    runtime()\nexcept RuntimeUnavailableError as error:\n    print(error)"
    )
    said = run_without({"ai_edge_litert", "tensorflow"}, program)
    assert "tflite_runtime is installed but does not load: numpy 1 was expected" in said
