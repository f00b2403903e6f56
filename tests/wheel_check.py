"""Builds the wheel, installs it on every supported Python that is here, and reads an image.

    python tests/wheel_check.py

Each Python gets a fresh environment, and the installed commands run in an empty folder, so that
nothing of the checkout can stand in for what the wheel forgot.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
BUNDLE = ROOT / "tests/golden/tiny-int8"
TEXT = "abcd"
PAINT = """
import cv2, numpy
page = numpy.full((180, 250, 3), 255, numpy.uint8)
line = page[10:42, 20:164]
line[:] = 0, 0, 255
for row in range(4):
    line[8 * row : 8 * row + 8, 32 * row + 16 : 32 * row + 32] = 0, 255, 255
line[-4:, :, 2] = 160
cv2.imwrite("page.png", page)
"""
"""TEXT in the picture language of tests/golden/make_tiny_bundle.py."""
IN_THE_WHEEL = (
    "edgeocr/py.typed",
    "edgeocr/self_test.png",
    "edgeocr/bundles/ppocrv2-int8/bundle.json",
    "edgeocr/bundles/ppocrv2-int8/rec.tflite",
    "edgeocr_conversion/py.typed",
    "edgeocr_benchmarks/py.typed",
    "licenses/LICENSE",
    "licenses/MODEL_LICENSES.md",
)


class CheckError(Exception):
    """What is wrong with the wheel, in a line or with the output that shows it."""


def run(*command: str | Path, cwd: Path) -> str:
    """The standard output of a command that has to end well."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode != 0:
        shown = " ".join(str(part) for part in command)
        raise CheckError(f"{shown}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def candidates(version: str) -> Iterator[Path]:
    """Where an interpreter of this version may be; pyenv's are often not on the PATH."""
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)


def interpreter(version: str) -> Path | None:
    """The first that really runs: a shim of pyenv may not, a Debian Python may lack venv."""
    probe = f"import ensurepip, venv, sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for python in candidates(version):
        if subprocess.run([python, "-c", probe], capture_output=True).returncode == 0:
            return python
    return None


def build(folder: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    run(*pip, "wheel", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("edgeocr-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in IN_THE_WHEEL:
        if not any(name.endswith(wanted) for name in names):
            raise CheckError(f"{wheel.name} lacks {wanted}")
    strangers = {name.split("/")[0] for name in names if not name.startswith("edgeocr")}
    if strangers:
        raise CheckError(f"{wheel.name} would put {sorted(strangers)} into site-packages")
    return wheel


def check(python: Path, wheel: Path, folder: Path) -> str:
    """Installs the wheel for one interpreter and reads an image; returns what was seen."""
    environment, empty = folder / "venv", folder / "empty"
    empty.mkdir(parents=True)
    run(python, "-m", "venv", environment, cwd=empty)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    pip = (scripts / "python", "-m", "pip", "--disable-pip-version-check", "-q")
    run(*pip, "install", "--no-compile", wheel, cwd=empty)

    home = run(scripts / "python", "-c", "import edgeocr; print(edgeocr.__file__)", cwd=empty)
    if not Path(home.strip()).is_relative_to(environment):
        raise CheckError(f"imported {home.strip()} instead of the installed package")
    run(scripts / "edgeocr", "--help", cwd=empty)
    for command, extra in (("edgeocr-convert", "convert"), ("edgeocr-bench", "bench")):
        # Either help, or a line that names what is missing: the extra is not installed here.
        told = subprocess.run([scripts / command, "--help"], capture_output=True, text=True)
        if told.returncode != 0 and f"edgeocr[{extra}]" not in told.stderr:
            raise CheckError(f"{command} without its extra says: {told.stderr}")
    run(scripts / "python", "-c", PAINT, cwd=empty)
    read = (scripts / "edgeocr", "read", "page.png", "--bundle", BUNDLE, "--json")
    result = json.loads(run(*read, "--draw", "drawn.png", cwd=empty))
    text = "\n".join(line["text"] for line in result["lines"])
    if text != TEXT:
        raise CheckError(f"read {text!r} where {TEXT!r} stands")
    run(scripts / "edgeocr", "doctor", cwd=empty)  # with the embedded bundle
    if not (empty / "drawn.png").is_file():
        raise CheckError("edgeocr read --draw wrote no picture")
    return repr(text)


def main() -> int:
    checked, absent = [], []
    with tempfile.TemporaryDirectory(prefix="edgeocr-wheel-") as scratch:
        wheel = build(Path(scratch))
        print(f"{wheel.name}, {wheel.stat().st_size / 1024:.0f} KiB", flush=True)
        for version in VERSIONS:
            python = interpreter(version)
            if python is None:
                absent.append(version)
                continue
            started = time.monotonic()
            seen = check(python, wheel, Path(scratch) / version)
            shutil.rmtree(Path(scratch) / version)
            checked.append(version)
            took = time.monotonic() - started
            print(f"Python {version}: installed, read {seen} ({took:.0f} s in all)", flush=True)
    print(f"checked: {', '.join(checked) or 'none'}; absent: {', '.join(absent) or 'none'}")
    return 0 if checked else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CheckError as fault:
        print(fault, file=sys.stderr)
        sys.exit(1)
