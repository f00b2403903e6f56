"""Where a network is trained and measured."""

from __future__ import annotations

import torch

from edgeocr.errors import OptionError


def device_named(name: str) -> torch.device:
    """The device that an option names: cpu, cuda, cuda:1, or auto for CUDA where there is one.

    Raises:
        OptionError: it is none of these, or not here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise OptionError(f"--device {name}: it is cpu, cuda, cuda:1 or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise OptionError(
            f"--device {name}: there are {torch.cuda.device_count()} CUDA devices here"
        )
    return device
