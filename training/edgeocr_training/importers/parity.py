"""That an imported network computes what its file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgeocr_training.errors import CheckpointError


def check_parity(
    path: Path,
    *,
    image_shape: tuple[int, int, int, int],
    compute: Callable[[Tensor], Tensor],
    tolerance: float,
) -> None:
    """Compares with ONNX Runtime on noise.

    Layers are matched by their order, and some have the same shape: only this proves it.

    Args:
        path: an ONNX file of one input.
        image_shape: (B, C, H, W).
        compute: the imported network, in evaluation mode.
        tolerance: largest difference.

    Raises:
        CheckpointError: ONNX Runtime doesn't run the file, or computes something else.
    """
    import onnxruntime  # type: ignore[import-untyped]

    image_BCHW = np.random.default_rng(0).normal(size=image_shape).astype(np.float32)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (expected,) = session.run(None, {session.get_inputs()[0].name: image_BCHW})
    except Exception as error:  # ONNX Runtime's errors share no base class but this
        raise CheckpointError(f"ONNX Runtime doesn't run {path}: {error}") from error
    with torch.inference_mode():
        actual = compute(torch.from_numpy(image_BCHW)).numpy()
    difference = float(np.abs(actual - np.asarray(expected)).max())
    if not difference <= tolerance:
        raise CheckpointError(
            f"{path} is another network: it has the shapes of this one, but its output differs "
            f"by {difference:.2g} from what those weights give"
        )
