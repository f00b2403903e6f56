"""What a board tells of itself, and what is said where none can be emulated."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import tomllib

import edgeocr_benchmarks.emulation.board
from edgeocr_benchmarks.__main__ import main
from edgeocr_benchmarks.emulation import BOARDS, EmulationError, missing_packages, prepare_board
from edgeocr_benchmarks.emulation.boards import system_files
from edgeocr_benchmarks.emulation.root import REQUIREMENTS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", BOARDS)
def test_every_core_is_described_as_the_processor_that_is_emulated(name: str) -> None:
    model = BOARDS[name]
    files = system_files(model)
    described = files[Path("proc/cpuinfo")]
    assert described.count(f"CPU part\t: {model.part:#x}\n") == model.cores == 4
    # Only the Cortex-A76 has dot products and atomics: told of them, LiteRT would use them.
    newer = {"asimddp", "atomics", "asimdhp"} & set(model.features.split())
    assert (newer == {"asimddp", "atomics", "asimdhp"}) is (model.processor == "cortex-a76")
    assert files[Path("sys/devices/system/cpu/possible")] == "0-3\n"


@pytest.mark.parametrize("name", BOARDS)
def test_no_board_can_be_taken_for_a_real_one(name: str) -> None:
    title = system_files(BOARDS[name])[Path("proc/device-tree/model")]
    assert title == f"{BOARDS[name].title} (emulated by QEMU)\0"


def test_the_root_has_what_the_sdk_depends_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {row.partition(">=")[0] for row in project["dependencies"]}
    assert wanted == {row.partition("==")[0] for row in REQUIREMENTS}
    converter = set(project["optional-dependencies"]["convert"])
    assert {row for row in REQUIREMENTS if row.startswith(("numpy", "ai-edge"))} <= converter


def test_unknown_boards_are_refused_with_those_that_are_known() -> None:
    with pytest.raises(EmulationError, match="no board 'pi6'; known are pi3, pi4, pi5"):
        prepare_board("pi6")


def test_missing_packages_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert missing_packages() == ("qemu-user", "mmdebstrap", "gcc")
    assert main(["emulate", "setup", "pi4"]) == 2
    said = capsys.readouterr().err
    assert "apt-get install --no-install-recommends qemu-user" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "cache").exists()


def fake_program(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="ascii")
    path.chmod(0o755)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of programs that comes first on the PATH, with an emulator that is never run."""
    folder = tmp_path / "programs"
    folder.mkdir()
    fake_program(folder, "qemu-aarch64", "exit 9")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_nothing_half_made_is_left_where_debian_cannot_be_reached(
    programs: Path, tmp_path: Path
) -> None:
    fake_program(programs, "mmdebstrap", 'echo "E: no route to the mirror" >&2; exit 25')
    cache = tmp_path / "cache"
    with pytest.raises(EmulationError, match=r"unpacking Debian bookworm.*no route to the mirror"):
        prepare_board("pi4", cache=cache)
    assert [path.name for path in cache.iterdir()] == ["lock"]


def test_nothing_half_made_is_left_where_the_wheels_cannot_be_had(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_program(programs, "mmdebstrap", 'for last; do :; done; mkdir -p "$last/bin"')
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(programs))
    cache = tmp_path / "cache"
    with pytest.raises(EmulationError, match="unpacking the aarch64 wheels failed"):
        prepare_board("pi4", cache=cache)
    assert [path.name for path in cache.iterdir()] == ["lock"]


@pytest.mark.usefixtures("programs")
def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(EmulationError, match=f"can't make an arm64 root in {tmp_path}/cache"):
        prepare_board("pi4", cache=tmp_path / "cache")


def test_the_shell_scripts_are_well_formed() -> None:
    home = Path(edgeocr_benchmarks.emulation.board.__file__).parent
    for shell, script in (
        ("sh", home / "machine.sh"),
        ("bash", ROOT / "benchmarks/emulation_packages.sh"),
    ):
        done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), script
