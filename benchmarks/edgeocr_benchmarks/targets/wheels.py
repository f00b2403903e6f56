"""What a target needs that has Python and nothing else: wheels, carried over from here.

edgeocr's own wheel is written from the packages that are imported here, so that a target runs
what stands here, whether it was installed from a wheel or from a checkout. Its dependencies,
and pip itself, are downloaded for the target's machine, C library and Python.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

import edgeocr
import edgeocr_benchmarks
from edgeocr.version import __version__
from edgeocr_benchmarks.errors import TargetError
from edgeocr_benchmarks.targets.commands import Command
from edgeocr_benchmarks.targets.facts import TargetFacts

PIP: Final = "pip-26.3-py3-none-any.whl"
"""Carried, since Debian splits pip from Python; it runs out of its wheel."""
_OLDEST_GLIBC_OF_WHEELS: Final = 17
"""manylinux_2_17 is manylinux2014, the oldest that any dependency comes for."""


def write_edgeocr_wheel(folder: Path) -> Path:
    """Packs ``edgeocr`` and ``edgeocr_benchmarks`` as they are imported here.

    Equal packages give equal wheels.

    Raises:
        TargetError: edgeocr is not installed here, or the folder can't be written.
    """
    name = f"edgeocr-{__version__}"
    wheel = folder / f"{name}-py3-none-any.whl"
    information = f"{name}.dist-info"
    rows = [f"{information}/RECORD,,"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in _content(information):
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
                rows.append(f"{path},sha256={digest.decode().rstrip('=')},{len(content)}")
                # A fixed date: the wheel must not depend on when it was made.
                archive.writestr(_entry(path), content)
            archive.writestr(_entry(f"{information}/RECORD"), "\n".join((*rows, "")))
    except OSError as error:
        raise TargetError(f"can't write {wheel}: {error.strerror}") from error
    return wheel


def requirements() -> tuple[str, ...]:
    """What edgeocr needs to run, as pip takes it: no extras.

    Raises:
        TargetError: edgeocr is not installed here.
    """
    try:
        required = metadata.requires("edgeocr") or []
    except metadata.PackageNotFoundError:
        raise TargetError(
            "edgeocr is imported here but not installed, so its dependencies are unknown: "
            "pip install -e '.[bench]' in the checkout"
        ) from None
    return tuple(row for row in required if "extra ==" not in row)


def download_command(facts: TargetFacts, folder: Path, *, source: Path | None) -> Command:
    """Downloads edgeocr's dependencies and pip for a target.

    Args:
        facts: of the target.
        folder: where the wheels go.
        source: folder of wheels to take them from; None for the package index.

    Raises:
        TargetError: edgeocr is not installed here.
    """
    return _pip_command("download", facts, ("download", "--dest", str(folder)), source)


def find_command(facts: TargetFacts, folder: Path, *, source: Path | None) -> Command:
    """Looks whether there are such wheels, and downloads none.

    Args:
        facts: of the target.
        folder: an empty one, which stays empty.
        source: folder of wheels to look in; None for the package index.

    Raises:
        TargetError: edgeocr is not installed here.
    """
    verb = ("install", "--dry-run", "--ignore-installed", "--target", str(folder))
    return _pip_command("find", facts, verb, source)


def _pip_command(
    purpose: str, facts: TargetFacts, verb: tuple[str, ...], source: Path | None
) -> Command:
    platforms = [
        f"--platform=manylinux_2_{minor}_{facts.machine}"
        for minor in range(facts.glibc[1], _OLDEST_GLIBC_OF_WHEELS - 1, -1)
    ]
    name, version, *_ = PIP.split("-")
    return Command(
        purpose=f"{purpose} the wheels for {facts.machine}, Python {facts.python}",
        argv=(
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"),
            *(*verb, "--quiet", "--only-binary=:all:"),
            *(() if source is None else ("--no-index", "--find-links", str(source))),
            *("--implementation=cp", f"--python-version={facts.python_minor}"),
            f"--abi=cp{facts.python_minor.replace('.', '')}{facts.abiflags}",
            *("--abi=abi3", "--abi=none"),
            *platforms,
            f"--platform=manylinux2014_{facts.machine}",
            f"{name}=={version}",
            *requirements(),
        ),
        timeout_s=1800,
    )


def unpacked_bytes(wheels: Path) -> int:
    """What all wheels of a folder take when they are installed."""
    total = 0
    for wheel in wheels.glob("*.whl"):
        if wheel.name != PIP:
            with zipfile.ZipFile(wheel) as archive:
                total += sum(entry.file_size for entry in archive.infolist())
    return total


def _content(information: str) -> Iterator[tuple[str, bytes]]:
    for package in (edgeocr, edgeocr_benchmarks):
        (root,) = map(Path, package.__path__)
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root.parent).as_posix(), path.read_bytes()
    needs = "".join(f"Requires-Dist: {row}\n" for row in requirements())
    yield (
        f"{information}/METADATA",
        f"Metadata-Version: 2.1\nName: edgeocr\nVersion: {__version__}\n{needs}".encode(),
    )
    yield (
        f"{information}/WHEEL",
        b"Wheel-Version: 1.0\nGenerator: edgeocr\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    )


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
