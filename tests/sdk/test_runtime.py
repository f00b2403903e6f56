"""Interpreters: what they refuse, and that they do not get into each other's way."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeocr import Bundle, BundleError, RuntimeUnavailableError
from edgeocr.bundle import Signature
from edgeocr.runtime import LeanNetwork, Network, NetworkPool, Tensor, runtime


def network(tiny: Path, *, live_signatures: int = 3) -> Network:
    return Network(
        tiny / "det.tflite", source="det.tflite", threads=1, live_signatures=live_signatures
    )


def lean_network(tiny: Path) -> LeanNetwork:
    return LeanNetwork(tiny / "det.tflite", source="det.tflite", threads=1)


def pool(bundle: Bundle, *, size: int = 1, output_rank: int = 4, lean: bool = False) -> NetworkPool:
    return NetworkPool(
        bundle,
        bundle.stages.det,
        size=size,
        threads=1,
        live_signatures=1,
        output_rank=output_rank,
        lean=lean,
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


def noise(network: Network, signature: str, *, seed: int) -> Tensor:
    given, _ = network.ports(signature)
    random = np.random.default_rng(seed)
    if given.dtype == "int8":
        return random.integers(-128, 128, given.shape, dtype=np.int8)
    return random.standard_normal(given.shape, dtype=np.float32)


def test_less_memory_changes_no_byte_of_the_output(tiny: Path) -> None:
    lean, interpreter = lean_network(tiny), network(tiny)
    taken = []
    for seed, name in enumerate(("h96w128", "h128w96", "h96w128", "h192w256", "h96w128")):
        assert lean.ports(name) == interpreter.ports(name)
        tensor = noise(interpreter, name, seed=seed)
        expected = interpreter.run(name, tensor)
        taken.append((lean.run(name, tensor), expected))
    # Compared in the end: outputs must outlive the runs after them.
    for output, expected in taken:
        assert output.dtype == expected.dtype
        np.testing.assert_array_equal(output, expected)
    assert lean.uses_delegate()


def test_a_lean_network_is_resized_and_back(tiny: Path) -> None:
    lean, interpreter = lean_network(tiny), network(tiny)
    tensor = noise(interpreter, "h192w256", seed=0)
    for height, width in ((192, 256), (64, 96), (96, 64), (192, 256), (64, 96)):
        part: Tensor = tensor[:, :height, :width].copy()
        expected = interpreter.run("h192w256", part)
        assert expected.shape == (1, height, width, 1)
        np.testing.assert_array_equal(lean.run("h192w256", part), expected)


def test_a_lean_network_refuses_what_an_interpreter_refuses(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.tflite"
    path.write_text("not a model at all")
    with pytest.raises(RuntimeUnavailableError, match=r"text\.tflite: .* refuses the model"):
        LeanNetwork(path, source="text.tflite", threads=1)
    lean = lean_network(tiny)
    with pytest.raises(BundleError, match="no signature 'h1w1'"):
        lean.run("h1w1", np.zeros((1, 1, 1, 3), dtype=np.int8))
    for wrong in (np.zeros((1, 96, 128, 3), np.int16), np.zeros((96, 128, 3), np.int8)):
        with pytest.raises(RuntimeUnavailableError, match=r"det\.tflite: .* refuses the model"):
            lean.run("h96w128", wrong)  # type: ignore[arg-type]


def test_only_a_model_with_one_shape_runs_lean(tiny: Path) -> None:
    bundle = Bundle.open(tiny)
    assert pool(bundle, lean=True).way() == "Interpreter"
    one = with_detector(bundle, signatures=bundle.stages.det.signatures[:1])
    assert pool(one, lean=True).way() == "CompiledModel"
    assert pool(one).way() == "Interpreter"


def test_threads_share_a_lean_network(tiny: Path) -> None:
    bundle = Bundle.open(tiny)
    (signature, *_) = bundle.stages.det.signatures
    shared = pool(with_detector(bundle, signatures=(signature,)), lean=True)
    interpreter = network(tiny)
    tensors = [noise(interpreter, signature.name, seed=seed) for seed in range(8)]
    expected = [interpreter.run(signature.name, tensor) for tensor in tensors]
    with ThreadPoolExecutor(4) as threads:
        outputs = list(threads.map(lambda tensor: shared.run(signature.name, tensor), tensors))
    np.testing.assert_array_equal(outputs, expected)


LEAN = """
import sys
from pathlib import Path
{before}
import numpy as np
from edgeocr import Bundle
from edgeocr.runtime import NetworkPool
import dataclasses
bundle = Bundle.open(sys.argv[1])
(signature, *_) = bundle.stages.det.signatures
model = dataclasses.replace(bundle.stages.det, signatures=(signature,))
pool = NetworkPool(
    bundle, model, size=1, threads=1, live_signatures=1, output_rank=4, lean=True
)
pool.warm_up([signature.name])
print(pool.way())
"""


def run_lean(tiny: Path, before: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LEAN.format(before=before), tiny],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "before",
    [
        'sys.modules["ai_edge_litert.compiled_model"] = None',
        "import ai_edge_litert.environment\ndel ai_edge_litert.environment.Environment.create",
        "import ai_edge_litert.options as options\noptions.CpuOptions = lambda num_threads: None",
    ],
)
def test_an_interpreter_runs_what_an_older_runtime_cannot_run_lean(tiny: Path, before: str) -> None:
    assert run_lean(tiny, before).stdout == "Interpreter\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_no_warning_is_printed_of_accelerators_that_nobody_asked_for(tiny: Path) -> None:
    printed = "sys.stderr.write('kept\\n')"
    done = run_lean(tiny, printed)
    assert done.stdout == "CompiledModel\n"
    assert done.stderr.startswith("kept\n")
    assert "WARNING" not in done.stderr
    assert "ERROR" not in done.stderr


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
