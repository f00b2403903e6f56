"""Runs on emulated Raspberry Pis: aarch64 programs and wheels, nothing of this machine's Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.emulation import BOARDS, EmulatedBoard, can_enter_namespace, prepare_board
from edgeocr_benchmarks.results import read_result
from edgeocr_benchmarks.targets.commands import RunningCommands
from edgeocr_benchmarks.targets.named_target import TargetOptions, named_target
from edgeocr_benchmarks.targets.target import measure_on

if TYPE_CHECKING:
    from tests.benchmarks.targets.conftest import RunSshd

Programs = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def board(programs: Programs) -> Callable[[str], EmulatedBoard]:
    """Makes a board, or finds the one that was made before."""
    programs("qemu-aarch64", "mmdebstrap", packages="benchmarks/emulation_packages.sh")
    return prepare_board


def measured(path: Path) -> DeviceResult:
    result = read_result(path)
    assert isinstance(result, DeviceResult)
    return result


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_an_emulated_board_reads_the_page(
    name: str, board: Callable[[str], EmulatedBoard], payload: Path, tmp_path: Path
) -> None:
    board(name)
    parent = tmp_path / "on the target"
    parent.mkdir()
    options = TargetOptions(parent=str(parent))
    target = named_target(f"qemu:{name}", options, RunningCommands())
    raw = tmp_path / "result.json"
    assert measure_on(target, payload, raw, on_row=lambda _: None) is None
    result = measured(raw)
    assert [line.text for reading in result.readings for line in reading.lines] == ["abcd"]
    assert result.environment["architecture"] == "aarch64"
    assert result.environment["emulated"] == "qemu-user"
    assert BOARDS[name].title in result.environment["board"]
    assert list(parent.iterdir()) == []


def test_an_emulated_board_passes_the_doctor(board: Callable[[str], EmulatedBoard]) -> None:
    board("pi5")
    target = named_target("qemu:pi5", TargetOptions(), RunningCommands())
    findings = target.check()
    assert target.clean() is None
    assert [finding.subject for finding in findings] == ["packages", "board"]
    assert all(finding.passed for finding in findings), findings


def test_a_board_behind_ssh_that_has_only_python_gets_all_it_needs(
    board: Callable[[str], EmulatedBoard],
    run_sshd: RunSshd,
    payload: Path,
    tmp_path: Path,
    cannot: Callable[[str], NoReturn],
) -> None:
    """Wheels for its processor, and the pip that installs them there."""
    if not can_enter_namespace():
        cannot("this kernel lets no user make a namespace with a binfmt of its own")
    parent = tmp_path / "on the target"
    parent.mkdir()
    shell = f"ForceCommand env EDGEOCR_BOARD_FOLDERS='{parent}' {board('pi4').shell}"
    with run_sshd(shell) as sshd:
        options = TargetOptions(
            parent=str(parent), identity=sshd.identity, ssh_option=sshd.options()
        )
        name = f"ssh:{sshd.user}@127.0.0.1:{sshd.port}"
        doctor = named_target(name, options, RunningCommands())
        findings = doctor.check()
        doctor.clean()
        assert all(finding.passed for finding in findings), findings
        assert any("aarch64" in finding.detail for finding in findings)

        raw = tmp_path / "result.json"
        target = named_target(name, options, RunningCommands())
        assert measure_on(target, payload, raw, on_row=lambda _: None) is None
    result = measured(raw)
    assert [line.text for reading in result.readings for line in reading.lines] == ["abcd"]
    assert result.environment["architecture"] == "aarch64"
    assert list(parent.iterdir()) == []
