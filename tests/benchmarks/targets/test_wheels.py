"""What is carried is what is imported here, and what the target's pip takes."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

from edgeocr.version import __version__
from edgeocr_benchmarks.targets.facts import ASSUMED_BOARD
from edgeocr_benchmarks.targets.wheels import (
    PIP,
    download_command,
    requirements,
    unpacked_bytes,
    write_edgeocr_wheel,
)


def content_of(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_packages_as_they_are_imported(tmp_path: Path) -> None:
    import edgeocr
    import edgeocr_benchmarks

    content = content_of(write_edgeocr_wheel(tmp_path))
    for package in (edgeocr, edgeocr_benchmarks):
        (root,) = map(Path, package.__path__)
        modules = [path for path in root.rglob("*.py") if "__pycache__" not in path.parts]
        assert len(modules) > 10
        for path in modules:
            assert content[path.relative_to(root.parent).as_posix()] == path.read_bytes()
    assert content["edgeocr/self_test.png"]
    assert unpacked_bytes(tmp_path) == sum(map(len, content.values()))


def test_the_record_of_the_wheel_is_right(tmp_path: Path) -> None:
    content = content_of(write_edgeocr_wheel(tmp_path))
    record = f"edgeocr-{__version__}.dist-info/RECORD"
    rows = {path: rest for path, *rest in csv.reader(content[record].decode().splitlines())}
    assert set(rows) == set(content)
    assert rows.pop(record) == ["", ""]
    for path, (digest, size) in rows.items():
        expected = base64.urlsafe_b64encode(hashlib.sha256(content[path]).digest()).decode()
        assert (digest, int(size)) == (f"sha256={expected.rstrip('=')}", len(content[path]))


def test_equal_packages_give_equal_wheels(tmp_path: Path) -> None:
    first, second = (write_edgeocr_wheel(tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_pip_installs_the_wheel(tmp_path: Path) -> None:
    wheel = write_edgeocr_wheel(tmp_path)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    site = tmp_path / "site"
    subprocess.run(
        (*pip, "--no-deps", "--no-index", "--no-compile", "--target", site, wheel), check=True
    )
    program = "import edgeocr_benchmarks.probe as probe; print(probe.__file__)"
    done = subprocess.run(
        (sys.executable, "-c", program),
        env={"PYTHONPATH": str(site)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(site), done.stderr


def test_the_requirements_are_those_of_running() -> None:
    names = {row.partition(">")[0].partition("=")[0] for row in requirements()}
    assert names == {"numpy", "ai-edge-litert", "opencv-python-headless", "pyclipper"}


def test_wheels_are_asked_for_the_board_and_not_for_this_machine(tmp_path: Path) -> None:
    facts = dataclasses.replace(ASSUMED_BOARD, python="3.13.1", libc="glibc 2.35")
    argv = download_command(facts, tmp_path, source=None).argv
    assert "--python-version=3.13" in argv
    assert "--abi=cp313" in argv
    platforms = [word for word in argv if word.startswith("--platform=")]
    assert platforms[0] == "--platform=manylinux_2_35_aarch64"
    assert "--platform=manylinux_2_27_aarch64" in platforms
    assert "--platform=manylinux_2_36_aarch64" not in platforms
    assert f"pip=={PIP.split('-')[1]}" in argv


def test_wheels_of_a_folder_need_no_network(tmp_path: Path) -> None:
    argv = download_command(ASSUMED_BOARD, tmp_path, source=tmp_path / "mine").argv
    assert "--no-index" in argv
    assert argv[argv.index("--find-links") + 1] == str(tmp_path / "mine")
