"""TFLite interpreters. The only file that imports LiteRT.

One :class:`Network` is one interpreter over one model file; its signatures, the shapes that
the model was built for, share the weights. An interpreter serves one thread at a time, so a
:class:`NetworkPool` lends them out. :class:`LeanNetwork` is the same in less memory, where the
runtime has LiteRT's ``CompiledModel``.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import math
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import LifoQueue
from threading import Lock
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from edgeocr.bundle import Bundle, ModelFile, Signature
from edgeocr.errors import BundleError, RuntimeUnavailableError
from edgeocr.pixels import InputTable, input_table

Tensor = NDArray[np.int8] | NDArray[np.float32]

_CANDIDATES: Final = (
    ("ai_edge_litert", "ai_edge_litert.interpreter"),
    ("tflite_runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow.lite.python.interpreter"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The TFLite runtime that this process uses."""

    package: Literal["ai_edge_litert", "tflite_runtime", "tensorflow"]
    version: str
    interpreter: Any
    """Its class ``Interpreter``."""


@cache
def runtime() -> Runtime:
    """Imports the first that is there of ai_edge_litert, tflite_runtime and tensorflow.

    Raises:
        RuntimeUnavailableError: none of them can be imported.
    """
    problems = []
    for package, module in _CANDIDATES:
        try:
            interpreter = importlib.import_module(module).Interpreter
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != package:
                problems.append(f"{package} is installed but lacks {error.name}")
            continue
        except (ImportError, AttributeError, OSError) as error:
            problems.append(f"{package} is installed but does not load: {error}")
            continue
        return Runtime(
            package=package,  # type: ignore[arg-type]
            version=_version(package),
            interpreter=interpreter,
        )
    raise RuntimeUnavailableError(_advice(problems))


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package.replace("_", "-"))
    except PackageNotFoundError:  # Debian and others install without metadata.
        return str(getattr(sys.modules[package], "__version__", "unknown"))


def _advice(problems: Sequence[str]) -> str:
    advice = "no TFLite runtime was found; install one with `pip install ai-edge-litert`"
    if sys.maxsize < 2**32:
        advice = (
            f"no TFLite runtime was found, and LiteRT has none for 32-bit systems such as this "
            f"({platform.machine()}): install a 64-bit system, or try `pip install "
            "tflite-runtime` on Python up to 3.11 with numpy below 2"
        )
    return "; ".join([advice, *problems])


# Of XNNPACK's delegate. The first three are what an interpreter sets too.
_QS8: Final = 0x01
_QU8: Final = 0x02
_DYNAMIC_FULLY_CONNECTED: Final = 0x08
_TRANSIENT_INDIRECTION_BUFFER: Final = 0x20
"""Pointers to the pixels under a kernel are made anew by every run instead of being kept."""
_LEAN: Final = _QS8 | _QU8 | _DYNAMIC_FULLY_CONNECTED | _TRANSIENT_INDIRECTION_BUFFER


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiler:
    """What makes a ``CompiledModel``."""

    compiled_model: Any
    environment: Any
    options: Any
    cpu_options: Any
    accelerators: Any


@cache
def _compiler() -> _Compiler:
    """Imports LiteRT's ``CompiledModel``, which not every version has.

    Raises:
        ImportError, AttributeError, TypeError, RuntimeError: it is absent or of another form.
    """
    if runtime().package != "ai_edge_litert":
        raise ImportError(f"{runtime().package} has no CompiledModel")
    environment = importlib.import_module("ai_edge_litert.environment").Environment
    options = importlib.import_module("ai_edge_litert.options")
    atexit.register(_drop_notices_for_good)
    # Accelerators and plugins are looked for in folders; processors need none of them.
    nowhere = str(Path(__file__) / "none")
    return _Compiler(
        compiled_model=importlib.import_module("ai_edge_litert.compiled_model").CompiledModel,
        environment=environment.create(
            runtime_path=nowhere, compiler_plugin_path=nowhere, dispatch_library_path=nowhere
        ),
        options=options.Options,
        cpu_options=options.CpuOptions,
        accelerators=importlib.import_module(
            "ai_edge_litert.hardware_accelerator"
        ).HardwareAccelerator.CPU,
    )


_silencing = Lock()


@contextmanager
def _without_notices() -> Iterator[None]:
    """Drops what C code prints to ``stderr``, where the C library is glibc.

    LiteRT lists the accelerators that it looks for when a ``CompiledModel`` is made, and has
    no setting for that. glibc lets a program assign its variable ``stderr``: file descriptor 2,
    Python's ``sys.stderr`` and processes started meanwhile are left alone.
    """
    process = _glibc()
    if process is None:
        yield
        return
    stderr = ctypes.c_void_p.in_dll(process, "stderr")
    with _silencing:
        kept, stderr.value = stderr.value, _null_stream(process)
        try:
            yield
        finally:
            stderr.value = kept


def _drop_notices_for_good() -> None:
    """At the end of the process LiteRT lists the accelerators again, one by one."""
    process = _glibc()
    if process is not None:
        ctypes.c_void_p.in_dll(process, "stderr").value = _null_stream(process)


def _glibc() -> ctypes.CDLL | None:
    process = ctypes.CDLL(None) if os.name == "posix" else None
    return process if process is not None and hasattr(process, "gnu_get_libc_version") else None


@cache
def _null_stream(process: ctypes.CDLL) -> int | None:
    """Never closed: a thread that prints may still hold it."""
    process.fopen.restype = ctypes.c_void_p
    stream: int | None = process.fopen(os.devnull.encode(), b"w")
    return stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Input or output of one signature."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["int8", "float32"]
    scale: float | None
    """Real value = (integer - zero_point) * scale; None for float32."""
    zero_point: int


class Network:
    """One interpreter over one model; not for two threads at a time.

    The interpreter packs the weights once for all of its signatures. Working memory belongs to
    a signature and is kept after its first run, so at most ``live_signatures`` keep theirs:
    before one more runs, the interpreter is built anew.
    """

    def __init__(
        self, model: Path | bytes, *, source: str, threads: int, live_signatures: int
    ) -> None:
        """Opens a model.

        Args:
            model: path, or content, of a .tflite file.
            source: names the model in errors.
            threads: of the interpreter.
            live_signatures: how many signatures may keep their working memory, at least 1.

        Raises:
            RuntimeUnavailableError: the runtime refuses the model.
        """
        self._model = model
        self._source = source
        self._threads = threads
        self._live_signatures = live_signatures
        self._runners: dict[str, Any] = {}
        self._live: set[str] = set()
        self._ports: dict[str, tuple[Port, Port]] = {}
        self._interpreter = self._open()

    def _open(self) -> Any:
        # By path the file is mapped, and its pages are shared by all interpreters over it.
        opened = (
            {"model_path": str(self._model)}
            if isinstance(self._model, Path)
            else {"model_content": self._model}
        )
        try:
            return runtime().interpreter(num_threads=self._threads, **opened)
        except (ValueError, RuntimeError) as error:
            raise RuntimeUnavailableError(self._refusal(error)) from error

    def _refusal(self, error: Exception) -> str:
        taken = runtime()
        return f"{self._source}: {taken.package} {taken.version} refuses the model: {error}"

    def ports(self, signature: str) -> tuple[Port, Port]:
        """The one input and the one output of a signature.

        Raises:
            BundleError: there is no such signature, or it is not of this form.
        """
        if signature not in self._ports:
            runner = self._runner(signature)
            inputs, outputs = runner.get_input_details(), runner.get_output_details()
            if len(inputs) != 1 or len(outputs) != 1:
                raise BundleError(
                    f"{self._source}: signature {signature!r} has {len(inputs)} inputs and "
                    f"{len(outputs)} outputs, it must have one each"
                )
            self._ports[signature] = self._port(inputs), self._port(outputs)
        return self._ports[signature]

    def run(self, signature: str, tensor: Tensor) -> Tensor:
        """Runs a signature; the output is a copy that the next run leaves alone.

        Raises:
            BundleError: there is no such signature.
            RuntimeUnavailableError: the runtime cannot run the model.
        """
        given, _ = self.ports(signature)
        if signature not in self._live and len(self._live) == self._live_signatures:
            self._reopen()
        elif self._live:
            self._forget()
        try:
            self._live.add(signature)
            outputs = self._runner(signature)(**{given.name: tensor})
        except (ValueError, RuntimeError) as error:
            raise RuntimeUnavailableError(self._refusal(error)) from error
        output: Tensor
        (output,) = outputs.values()
        return output

    def _reopen(self) -> None:
        self._runners.clear()
        self._live.clear()
        self._interpreter = self._open()

    def _forget(self) -> None:
        """TFLite's LSTM keeps its state from run to run: a line would begin where the last ended.

        Variables can't be reset while a signature that has some was never run.
        """
        try:
            self._interpreter.reset_all_variables()
        except (ValueError, RuntimeError):
            self._reopen()

    def uses_delegate(self) -> bool:
        """Whether a delegate, which is XNNPACK on processors, computes part of the model.

        Only the operators of the first signature are looked at: a runtime that has XNNPACK
        offers it to all of them.
        """
        interpreter = self._open()  # One in use must not be allocated anew.
        try:
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RuntimeUnavailableError(self._refusal(error)) from error
        operators = interpreter._get_ops_details()
        return any(operator["op_name"] == "DELEGATE" for operator in operators)

    @property
    def way(self) -> str:
        """LiteRT's name of what runs the model."""
        return "Interpreter"

    def _runner(self, signature: str) -> Any:
        if signature not in self._runners:
            try:
                self._runners[signature] = self._interpreter.get_signature_runner(signature)
            except ValueError as error:
                known = ", ".join(self._interpreter.get_signature_list())
                raise BundleError(
                    f"{self._source} has no signature {signature!r}; it has: {known}"
                ) from error
        return self._runners[signature]

    def _port(self, details: dict[str, Any]) -> Port:
        ((name, detail),) = details.items()
        dtype = np.dtype(detail["dtype"]).name
        if dtype not in ("int8", "float32"):
            raise BundleError(f"{self._source}: {name} is {dtype}, it must be int8 or float32")
        scale, zero_point = detail["quantization"]
        return Port(
            name=name,
            shape=tuple(int(side) for side in detail["shape"]),
            dtype=dtype,
            scale=float(scale) if dtype == "int8" else None,
            zero_point=int(zero_point) if dtype == "int8" else 0,
        )


class LeanNetwork(Network):
    """The same results in about half of the memory, for some more time.

    For networks whose working memory is large: a detector of pages spares 50 MB for 20 % of
    its time. LiteRT's ``CompiledModel`` holds Python's lock while it runs, so several of them do
    not run at the same time.
    """

    def __init__(self, model: Path | bytes, *, source: str, threads: int) -> None:
        """Opens a model with one signature, or with few small ones: all keep their memory.

        Args:
            model: path, or content, of a .tflite file.
            source: names the model in errors.
            threads: of XNNPACK.

        Raises:
            ImportError, AttributeError, TypeError: the runtime has not what this needs.
            RuntimeError, ValueError: nor does it take the model.
            RuntimeUnavailableError: an interpreter refuses the model.
        """
        super().__init__(model, source=source, threads=threads, live_signatures=1)
        with _without_notices():
            compiler = _compiler()
            made = compiler.compiled_model
            create, content = (
                (made.from_file, str(model))
                if isinstance(model, Path)
                else (made.from_buffer, model)
            )
            self._compiled = create(
                content,
                environment=compiler.environment,
                options=compiler.options(
                    hardware_accelerators=compiler.accelerators,
                    cpu_options=compiler.cpu_options(num_threads=threads, xnnpack_flags=_LEAN),
                ),
            )
        self._shapes: dict[str, tuple[int, ...]] = {}

    def run(self, signature: str, tensor: Tensor) -> Tensor:
        """See :meth:`Network.run`."""
        given, made = self.ports(signature)
        if tensor.dtype.name != given.dtype or tensor.ndim != len(given.shape):
            raise RuntimeUnavailableError(
                self._refusal(
                    ValueError(f"{given.name} is {given.dtype} {given.shape}, not {tensor.dtype}")
                )
            )
        try:
            index = self._compiled.get_signature_index(signature)
            if self._shapes.get(signature) != tensor.shape:
                self._compiled.resize_input_tensor(0, tensor.shape, index, strict=False)
                self._shapes[signature] = tensor.shape
            with _without_notices():
                inputs = self._compiled.create_input_buffers(index)
                outputs = self._compiled.create_output_buffers(index)
                inputs[0].write(tensor)
            self._compiled.run_by_index(index, inputs, outputs)
            (detail,) = self._compiled.get_output_tensor_details(signature).values()
            output: Tensor = outputs[0].read(math.prod(detail["shape"]), np.dtype(made.dtype))
            del inputs, outputs  # Kept, they would hold an image while its lines are read.
        except (ValueError, RuntimeError) as error:
            raise RuntimeUnavailableError(self._refusal(error)) from error
        return output.reshape(detail["shape"])

    def uses_delegate(self) -> bool:
        """See :meth:`Network.uses_delegate`."""
        return self._compiled.is_fully_accelerated() or super().uses_delegate()

    @property
    def way(self) -> str:
        """LiteRT's name of what runs the model."""
        return "CompiledModel"


class NetworkPool:
    """Interpreters of one model, lent to one thread each; for any number of threads."""

    def __init__(
        self,
        bundle: Bundle,
        model: ModelFile,
        *,
        size: int,
        threads: int,
        live_signatures: int,
        output_rank: int,
        lean: bool = False,
    ) -> None:
        """Opens the first interpreter and checks every signature against the manifest.

        Args:
            bundle: that the model belongs to.
            model: of one stage.
            size: interpreters at most; the second and later ones are opened when needed.
            threads: of each interpreter.
            live_signatures: see :class:`Network`.
            output_rank: number of dimensions that every output must have.
            lean: whether memory matters more than time, see :class:`LeanNetwork`. It is taken
                where the runtime has it and the model has one signature.

        Raises:
            BundleError: the model has not the signatures that the manifest states.
            RuntimeUnavailableError: there is no runtime, or it refuses the model.
        """
        source = f"{bundle.location}: {model.file}"
        content = bundle.read_model(model)

        def open_network() -> Network:
            # With several signatures, an interpreter holds the memory of fewer.
            if lean and len(model.signatures) == 1:
                with suppress(ImportError, AttributeError, TypeError, ValueError, RuntimeError):
                    return LeanNetwork(content, source=source, threads=threads)
            return Network(content, source=source, threads=threads, live_signatures=live_signatures)

        self._open_network = open_network
        self._model = model
        self._source = source
        self._size = size
        self._warming = Lock()  # Two that collect all interpreters would wait for each other.
        self._idle: LifoQueue[Network | None] = LifoQueue()
        for _ in range(size - 1):
            self._idle.put(None)  # Opened when it is first borrowed.
        first = open_network()
        self.ports = {
            signature.name: self._check(first, signature, output_rank)
            for signature in model.signatures
        }
        self._idle.put(first)

    @contextmanager
    def borrow(self) -> Iterator[Network]:
        """Lends an interpreter for a ``with`` block; waits while all are lent."""
        network = self._idle.get()
        try:
            if network is None:
                network = self._open_network()
            yield network
        finally:
            self._idle.put(network)

    def run(self, signature: str, tensor: Tensor) -> Tensor:
        """Runs a signature on any interpreter that is free."""
        with self.borrow() as network:
            return network.run(signature, tensor)

    def warm_up(self, signatures: Sequence[str]) -> None:
        """Runs the signatures once on every interpreter."""
        with self._warming, ExitStack() as lent:
            networks = [lent.enter_context(self.borrow()) for _ in range(self._size)]
            for network in networks:
                for signature in signatures:
                    given, _ = self.ports[signature]
                    network.run(signature, np.zeros(given.shape, dtype=given.dtype))

    def uses_delegate(self) -> bool:
        """See :meth:`Network.uses_delegate`."""
        with self.borrow() as network:
            return network.uses_delegate()

    def way(self) -> str:
        """See :attr:`Network.way`."""
        with self.borrow() as network:
            return network.way

    def input_tables(self) -> dict[str, InputTable]:
        """By signature: what every pixel value becomes at its input."""
        model = self._model
        return {
            signature: input_table(
                mean=model.mean,
                std=model.std,
                channel_order=model.channel_order,
                scale=given.scale,
                zero_point=given.zero_point,
            )
            for signature, (given, _) in self.ports.items()
        }

    def _check(self, network: Network, signature: Signature, rank: int) -> tuple[Port, Port]:
        given, taken = network.ports(signature.name)
        stated = (1, signature.height, signature.width, 3)
        if given.shape != stated:
            raise BundleError(
                f"{self._source}: the input of signature {signature.name!r} is {given.shape}, "
                f"bundle.json states {stated}"
            )
        if len(taken.shape) != rank or taken.shape[0] != 1:
            raise BundleError(
                f"{self._source}: the output of signature {signature.name!r} is {taken.shape}, "
                f"it must have {rank} dimensions, the first of them 1"
            )
        return given, taken
