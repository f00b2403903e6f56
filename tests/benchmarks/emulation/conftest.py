"""Emulated boards, made once and kept in the user's cache folder between runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache

import pytest

from edgeocr_benchmarks.emulation import (
    EmulatedBoard,
    EmulationError,
    can_enter_namespace,
    missing_packages,
    prepare_board,
)

PrepareBoard = Callable[[str], EmulatedBoard]


def lacking(what: str) -> None:
    """Skips a test, unless all tools are said to be here: then it fails."""
    if os.environ.get("EDGEOCR_ALL_TOOLS") == "1":
        pytest.fail(f"EDGEOCR_ALL_TOOLS=1, but {what}")
    pytest.skip(f"{what}; benchmarks/emulation_packages.sh installs what Debian has")


@pytest.fixture(scope="session")
def board() -> PrepareBoard:
    """Prepares a board by its name. The first time takes a minute and the network."""
    missing = missing_packages()
    if missing:
        lacking(f"there is no {', '.join(missing)}")

    @cache
    def prepare(name: str) -> EmulatedBoard:
        try:
            return prepare_board(name)
        except EmulationError as error:
            lacking(str(error))
            raise

    return prepare


@pytest.fixture
def machine_board(board: PrepareBoard) -> EmulatedBoard:
    """A board whose shell works too."""
    if not can_enter_namespace():
        lacking("this kernel lets no user register binfmt_misc in a namespace")
    return board("pi4")


@pytest.fixture(scope="session")
def native_compiler() -> str:
    return _compiler("cc")


@pytest.fixture(scope="session")
def cross_compiler() -> str:
    return _compiler("aarch64-linux-gnu-gcc")


def _compiler(name: str) -> str:
    compiler = shutil.which(name)
    if compiler is None or shutil.which("make") is None:
        lacking(f"there is no {name}, or no make")
    assert compiler is not None
    return compiler
