"""A folder that holds what an aarch64 Debian has: Python, libraries and the SDK's dependencies.

It is made without being root in it and without a chroot: Debian's packages and the wheels are
only unpacked. Everything is pinned but Debian's own updates, because another LiteRT would count
other instructions.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tqdm import tqdm

from edgeocr_benchmarks.emulation.errors import EmulationError
from edgeocr_benchmarks.emulation.packages import program, run

SUITE: Final = "bookworm"
"""As Raspberry Pi OS; LiteRT's wheel needs glibc 2.34, which this is the first to have."""
PYTHON: Final = "3.11"
DEBIAN_PACKAGES: Final = (
    *("python3-minimal", "python3.11-minimal", "libpython3.11-stdlib", "python3.11-venv"),
    *("libstdc++6", "libgcc-s1", "zlib1g", "libexpat1"),
    *("dash", "coreutils", "findutils", "grep", "gzip", "hostname", "procps", "sed", "tar"),
    "util-linux",
)
REQUIREMENTS: Final = (
    "numpy==2.2.6",
    "ai-edge-litert==2.3.0",
    "opencv-python-headless==5.0.0.93",
    "pyclipper==1.4.0",
)
"""The SDK's dependencies; LiteRT and NumPy as the converter pins them."""

# pip takes a wheel only where its platform is named literally.
_PLATFORMS: Final = (
    "manylinux_2_28_aarch64",
    "manylinux_2_27_aarch64",
    "manylinux_2_24_aarch64",
    "manylinux2014_aarch64",
    "linux_aarch64",
)
# Needs atomic instructions of ARMv8.1: loading it kills CompiledModel on Cortex-A53 and A72,
# which includes the real Raspberry Pi 3 and 4. Nothing of a processor's path uses it.
_ARMV8_1_LIBRARY: Final = "ai_edge_litert/libLiteRtWebGpuAccelerator.so"
_LAYOUT: Final = 1
"""Goes up when this module unpacks something else from the same packages."""


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/edgeocr/emulation``, or ``~/.cache/edgeocr/emulation``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgeocr" / "emulation"


def dist_packages(root: Path) -> Path:
    """Where the wheels are unpacked: Debian's Python looks there even with ``-I``."""
    return root / "usr/local/lib" / f"python{PYTHON}" / "dist-packages"


def root_folder(cache: Path) -> Path:
    """Where :func:`prepare_root` makes the root."""
    return cache / f"root-{_fingerprint()}" / "debian"


def prepare_root(cache: Path) -> Path:
    """Makes the folder, or returns the one that was made before.

    Several processes may ask at the same time: one works, the others wait.

    Args:
        cache: folder for it, made if need be.

    Returns:
        The root: a folder with ``usr``, ``lib`` and what else belongs to a Debian.

    Raises:
        EmulationError: a package is missing on this machine, a download fails, or the folder
            can't be written; nothing half-made is left to be used.
    """
    root = root_folder(cache)
    folder = root.parent
    try:
        if folder.is_dir():
            return root
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / "lock"):
            if folder.is_dir():  # Another process has made it meanwhile.
                return root
            partial = cache / f"{folder.name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            try:
                _make(partial / "debian")
                partial.rename(folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    except OSError as error:
        raise EmulationError(f"can't make an arm64 root in {cache}: {error}") from error
    return root


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lets one process at a time into a ``with`` block."""
    import fcntl  # Windows has none, and can import this module nevertheless.

    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fingerprint() -> str:
    recipe = [SUITE, *DEBIAN_PACKAGES, *REQUIREMENTS, str(_LAYOUT)]
    return hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]


def _make(root: Path) -> None:
    root.mkdir(parents=True)
    with tqdm(total=3, desc="arm64 root", unit="step", disable=None) as steps:
        _unpack_debian(root)
        steps.update()
        _unpack_wheels(root)
        steps.update()
        _finish(root)
        steps.update()


def _unpack_debian(root: Path) -> None:
    # Unpacked and not installed: no program of the other processor has to run, and chrootless
    # needs no rights.
    run(
        [
            program("mmdebstrap"),
            "--quiet",
            "--mode=chrootless",
            "--variant=extract",
            "--architectures=arm64",
            f"--include={','.join(DEBIAN_PACKAGES)}",
            SUITE,
            root,
        ],
        doing=f"unpacking Debian {SUITE} for arm64",
    )


def _unpack_wheels(root: Path) -> None:
    platforms = [part for platform in _PLATFORMS for part in ("--platform", platform)]
    run(
        [
            sys.executable,
            *("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"),
            *("--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"),
            *platforms,
            *("--no-compile", "--no-warn-conflicts", "--target", dist_packages(root)),
            *REQUIREMENTS,
        ],
        doing="unpacking the aarch64 wheels",
    )
    (dist_packages(root) / _ARMV8_1_LIBRARY).unlink()


def _finish(root: Path) -> None:
    """What Debian's packages would have set up by their scripts, as far as it is needed."""
    shell = root / "bin/sh"
    if not shell.exists():
        shell.symlink_to("dash")
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt", ignore_errors=True)
