"""LiteRT as the converter needs it: with every intermediate tensor, or for a single run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import interpreter as litert  # type: ignore[import-untyped]
from numpy.typing import NDArray


def plain_interpreter(model: Path | bytes, *, threads: int = 2) -> Any:
    """An interpreter with builtin kernels only that keeps all tensors after an invocation."""
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    with warnings.catch_warnings():
        # It warns of the memory that keeping all tensors takes; that is what is wanted here.
        warnings.simplefilter("ignore", UserWarning)
        return litert.Interpreter(
            **source,
            num_threads=threads,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )


def as_input(sample: NDArray[np.float32], entry: Mapping[str, Any]) -> NDArray[Any]:
    """Real values as a model's input takes them: in its integers where it has some.

    Args:
        sample: real values.
        entry: what ``get_input_details`` says of the input.
    """
    if entry["dtype"] != np.int8:
        return sample
    scale, zero_point = entry["quantization"]
    steps: NDArray[np.float32] = np.clip(np.round(sample / scale) + zero_point, -128, 127)
    return steps.astype(np.int8)


def run_once(model: bytes, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """The one output of a float model for one input, resized to it, as a device computes it.

    Raises:
        RuntimeError: the model can't be resized to the input.
        ValueError: likewise.
    """
    interpreter = litert.Interpreter(model_content=model, num_threads=1)
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, tensor.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, tensor)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
