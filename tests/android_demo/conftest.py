"""Tools of android_demo/install_tools.sh, and the Java pipeline built once for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "android_demo"
JUNIT = tuple(Path("/usr/share/java") / name for name in ("junit4.jar", "hamcrest-core.jar"))
ANDROID = Path(
    os.environ.get(
        "EDGEOCR_ANDROID",
        Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edgeocr/android-23",
    )
)

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


def need(tools: Sequence[str], files: Sequence[Path], install: str) -> None:
    """Skips a test whose tools are missing, or fails it where all tools must be there."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    missing += [str(file) for file in files if not file.is_file()]
    if not missing:
        return
    reason = f"{', '.join(missing)} missing; run {install}"
    if os.environ.get("EDGEOCR_ALL_TOOLS"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def java_tools() -> None:
    need(("javac", "java", "gcc"), JUNIT, "android_demo/install_tools.sh")


@pytest.fixture(scope="session")
def junit_jars(java_tools: None) -> tuple[Path, ...]:
    return JUNIT


@pytest.fixture(scope="session")
def apk_tools() -> None:
    need(
        ("aapt", "apksigner", "clang", "dexdump", "javac", "keytool", "ld.lld", "zipalign"),
        (ANDROID / "android.jar", ANDROID / "dx.jar"),
        "android_demo/install_tools.sh --apk",
    )


@pytest.fixture(scope="session")
def android_jar(apk_tools: None) -> Path:
    return ANDROID / "android.jar"


@pytest.fixture(scope="session")
def desktop(java_tools: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """Runs android_demo/desktop.sh with this Python's LiteRT; and the folder of its build."""
    build = tmp_path_factory.mktemp("desktop") / "build"
    environment = {**os.environ, "PYTHON": sys.executable, "EDGEOCR_DESKTOP_BUILD": str(build)}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(DEMO / "desktop.sh"), *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
        )

    return run, build
