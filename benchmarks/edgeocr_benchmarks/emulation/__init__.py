"""Raspberry Pis without the board: QEMU emulates the processor, Debian and wheels are real.

What runs there computes what the board would; how fast is another matter, so nothing here
reports a time. Instructions are counted instead.
"""

from edgeocr_benchmarks.emulation.board import (
    EMULATED,
    EmulatedBoard,
    can_enter_namespace,
    install_wheel,
    planned_board,
    prepare_board,
)
from edgeocr_benchmarks.emulation.boards import BOARDS, BoardModel
from edgeocr_benchmarks.emulation.errors import EmulationError
from edgeocr_benchmarks.emulation.packages import missing_packages

__all__ = [
    "BOARDS",
    "EMULATED",
    "BoardModel",
    "EmulatedBoard",
    "EmulationError",
    "can_enter_namespace",
    "install_wheel",
    "missing_packages",
    "planned_board",
    "prepare_board",
]
