"""JUnit tests of the pipeline in plain Java, android_demo/core, with the golden vectors."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "android_demo/core/src"
# A run that finds its classes but none of the scenes must not pass.
LEAST_TESTS = 250


def sources(kind: str) -> list[Path]:
    found = sorted((SOURCES / kind / "java").rglob("*.java"))
    assert found
    return found


def compile_java(paths: list[Path], target: Path, *options: str) -> None:
    javac = ["javac", "-encoding", "UTF-8", "-Xlint:all,-options", "-Werror", *options]
    done = subprocess.run(
        [*javac, "-d", str(target), *map(str, paths)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def classes(junit_jars: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the compiled pipeline and its tests."""
    folder = tmp_path_factory.mktemp("core")
    compile_java(sources("main"), folder, "--release", "8")
    path = os.pathsep.join(map(str, [folder, *junit_jars]))
    compile_java(sources("test"), folder, "--release", "8", "-cp", path)
    return folder


def test_junit_is_green(classes: Path, junit_jars: tuple[Path, ...]) -> None:
    tests = [
        ".".join(path.relative_to(SOURCES / "test/java").with_suffix("").parts)
        for path in sources("test")
        if path.name.endswith("Test.java")
    ]
    path = os.pathsep.join(map(str, [classes, *junit_jars]))
    golden = f"-Dedgeocr.golden={ROOT / 'tests/golden'}"
    done = subprocess.run(
        ["java", "-Xmx1g", golden, "-cp", path, "org.junit.runner.JUnitCore", *tests],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    summary = re.search(r"^OK \((\d+) tests\)$", done.stdout, re.MULTILINE)
    assert summary is not None, done.stdout[-2000:]
    assert int(summary[1]) >= LEAST_TESTS


def test_the_pipeline_needs_no_more_than_android_6(android_jar: Path, tmp_path: Path) -> None:
    """Nothing that API 23 lacks, and neither Android's own classes nor the desktop's."""
    options = ("-source", "8", "-target", "8", "-bootclasspath", str(android_jar))
    compile_java(sources("main"), tmp_path, *options)
    for path in sources("main"):
        imports = re.findall(r"^import (?:static )?([\w.]+);", path.read_text("utf-8"), re.M)
        strangers = [
            name for name in imports if not re.match(r"java\.(io|nio|security|util)\.", name)
        ]
        assert strangers == [], path
