"""LiteRT as the converter needs it: every intermediate tensor, without a delegate."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ai_edge_litert import interpreter as litert  # type: ignore[import-untyped]


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
