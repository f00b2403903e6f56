"""The APK that is built without the Android SDK: signed, aligned, whole, and small."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "android_demo"
BUNDLE = ROOT / "tests/golden/tiny-int8"
Build: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]

# Java needs a key to sign with, and making one takes seconds: one for all builds here.
PASSWORD = "for this test"


@pytest.fixture(scope="module")
def build(apk_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Build:
    keystore = tmp_path_factory.mktemp("key") / "key.p12"
    key = ("-storepass", PASSWORD, "-alias", "key", "-dname", "CN=Test", "-keyalg", "RSA")
    subprocess.run(
        ["keytool", "-genkeypair", "-keystore", keystore, "-storetype", "PKCS12", *key],
        check=True,
        capture_output=True,
    )

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(DEMO / "build_offline.sh"), *map(str, arguments), "--keystore", str(keystore)],
            env={**os.environ, "EDGEOCR_STORE_PASSWORD": PASSWORD},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope="module")
def apk(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("apk") / "demo.apk"
    answer = build("--bundle", BUNDLE, "--out", out)
    assert answer.returncode == 0, answer.stderr
    return out


def output(*command: object) -> str:
    answer = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_it_is_signed_for_every_android(apk: Path) -> None:
    told = output("apksigner", "verify", "--verbose", "--min-sdk-version", 23, apk)
    assert "(JAR signing): true" in told, "Android 6 knows no other"
    assert "(APK Signature Scheme v2): true" in told, "apps for Android 11 and later need it"


def test_it_is_aligned(apk: Path) -> None:
    output("zipalign", "-c", 4, apk)


def test_it_holds_the_bundle(apk: Path) -> None:
    with zipfile.ZipFile(apk) as opened:
        for file in BUNDLE.iterdir():
            assert opened.read(f"assets/bundle/{file.name}") == file.read_bytes()
            if file.suffix == ".tflite":  # To be mapped as they are.
                assert opened.getinfo(f"assets/bundle/{file.name}").compress_type == 0


def test_without_models_it_is_small(apk: Path) -> None:
    """8 MB are left for the models: those of PP-OCRv4 have 4.8 MB."""
    assert apk.stat().st_size < 500_000


def test_its_manifest_is_what_the_host_expects(apk: Path) -> None:
    badging = output("aapt", "dump", "badging", apk)
    assert "package: name='io.github.edgeocr.demo'" in badging
    assert "sdkVersion:'23'" in badging
    assert "launchable-activity: name='io.github.edgeocr.demo.MainActivity'" in badging
    permissions = re.findall(r"uses-permission: name='([^']+)'", badging)
    assert permissions == ["android.permission.CAMERA"]
    tree = output("aapt", "dump", "xmltree", apk, "AndroidManifest.xml")
    (activity,) = (part for part in tree.split("E: activity") if ".BenchmarkActivity" in part)
    assert '"android.permission.DUMP"' in activity
    assert "android:exported" in activity


def test_every_class_of_the_manifest_is_there(apk: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(apk) as opened:
        opened.extract("classes.dex", tmp_path)
    classes = set(
        re.findall(r"Class descriptor  : 'L([^;']+);'", output("dexdump", tmp_path / "classes.dex"))
    )
    tree = output("aapt", "dump", "xmltree", apk, "AndroidManifest.xml")
    named = re.findall(r'android:name\(0x01010003\)="(\.\w+|io\.github\.[\w.]+)"', tree)
    assert len(named) == 3
    for name in named:
        full = f"io.github.edgeocr.demo{name}" if name.startswith(".") else name
        assert full.replace(".", "/") in classes
    assert "io/github/edgeocr/Ocr" in classes
    assert "io/github/edgeocr/litert/LiteRtRunner" in classes


def test_the_adapter_asks_android_for_what_it_has(apk: Path, tmp_path: Path) -> None:
    name = "lib/arm64-v8a/libedgeocr_litert.so"
    with zipfile.ZipFile(apk) as opened:
        opened.extract(name, tmp_path)
    library = tmp_path / name
    dynamic = output("readelf", "-d", library)
    assert sorted(re.findall(r"NEEDED.*\[(.+)\]", dynamic)) == ["libc.so", "libdl.so"]
    symbols = output("readelf", "--dyn-syms", "-W", library)
    wanted = set(re.findall(r" UND (\w+)", symbols))
    declared = "".join(path.read_text() for path in (DEMO / "litert/src/main/c/bionic").glob("*.c"))
    assert wanted <= set(re.findall(r"void (\w+)\(void\)", declared))
    assert {"dlopen", "malloc"} <= wanted
    native = set(re.findall(r"Java_io_github_edgeocr_litert_LiteRtRunner_(\w+)", symbols))
    java = (DEMO / "litert/src/main/java/io/github/edgeocr/litert/LiteRtRunner.java").read_text()
    assert native == set(re.findall(r"static native [\w\[\]]+ (\w+)\(", java))


@pytest.fixture
def aar(tmp_path: Path) -> Callable[[int], Path]:
    """An archive as LiteRT's, whose library is built for pages of some bytes."""

    def make(page: int) -> Path:
        (tmp_path / "lite.c").write_text("int lite(void) { return 0; }")
        target = ("--target=aarch64-linux-android23", "-fPIC", "-nostdlib", "-shared")
        linked = ("-fuse-ld=lld", f"-Wl,-z,max-page-size={page}", "-o", tmp_path / "lite.so")
        subprocess.run(["clang", *target, *linked, tmp_path / "lite.c"], check=True)
        path = tmp_path / "litert.aar"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tmp_path / "lite.so", "jni/arm64-v8a/libLiteRt.so")
        return path

    return make


def test_a_litert_archive_is_packed(
    build: Build, aar: Callable[[int], Path], tmp_path: Path
) -> None:
    out = tmp_path / "with.apk"
    answer = build("--bundle", BUNDLE, "--litert", aar(16384), "--out", out)
    assert answer.returncode == 0, answer.stderr
    with zipfile.ZipFile(out) as opened:
        packed = opened.read("lib/arm64-v8a/libLiteRt.so")
    assert packed == (tmp_path / "lite.so").read_bytes()


def test_a_library_for_small_pages_is_refused(
    build: Build, aar: Callable[[int], Path], tmp_path: Path
) -> None:
    answer = build("--bundle", BUNDLE, "--litert", aar(4096), "--out", tmp_path / "with.apk")
    assert answer.returncode != 0
    assert "aligned to 4096" in answer.stderr
    assert not (tmp_path / "with.apk").exists()


def test_a_damaged_bundle_is_refused(build: Build, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))
    (bundle / "rec.tflite").write_bytes(b"no model")
    answer = build("--bundle", bundle, "--out", tmp_path / "bad.apk")
    assert answer.returncode != 0
    assert "rec.tflite has not the sha256" in answer.stderr
    assert not (tmp_path / "bad.apk").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--bundle is missing"),
        (("--bundle", "/nonexistent"), "no bundle.json"),
        (("--bundle", BUNDLE, "--litert", "/nonexistent.aar"), "is no file"),
        (("--wrong", "x"), "unknown option --wrong"),
    ],
)
def test_a_wrong_call_is_one_line(build: Build, arguments: tuple[object, ...], said: str) -> None:
    answer = build(*arguments)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_a_missing_bitmap_is_told(
    android_jar: Path, junit_jars: tuple[Path, ...], tmp_path: Path
) -> None:
    """The one line of the Android code that needs no phone: JUnit with android.jar's outlines."""
    core = sorted((DEMO / "core/src/main/java").rglob("*.java"))
    room = DEMO / "platform/src"
    pictures = [*room.glob("main/java/**/Pictures.java"), *room.glob("test/java/**/*.java")]
    assert len(pictures) == 2
    # android.jar has an outline of JUnit's classes too: the real ones come first.
    class_path = os.pathsep.join(map(str, (tmp_path, *junit_jars, android_jar)))
    javac = ["javac", "-nowarn", "-Xlint:-options", "-source", "8", "-target", "8"]
    output(*javac, "-cp", class_path, "-d", tmp_path, *core, *pictures)
    runner = "org.junit.runner.JUnitCore"
    told = output("java", "-cp", class_path, runner, "io.github.edgeocr.demo.PicturesTest")
    assert "OK (1 test)" in told


def test_the_sample_page_is_the_one_of_the_docs(apk: Path) -> None:
    with zipfile.ZipFile(apk) as opened:
        packed = hashlib.sha256(opened.read("assets/samples/receipt.jpg")).hexdigest()
    sample = (ROOT / "docs/samples/receipt.jpg").read_bytes()
    assert packed == hashlib.sha256(sample).hexdigest()


def test_the_bundle_of_the_apk_is_named(apk: Path) -> None:
    with zipfile.ZipFile(apk) as opened:
        assert json.loads(opened.read("assets/bundle/bundle.json"))["name"] == "tiny"
