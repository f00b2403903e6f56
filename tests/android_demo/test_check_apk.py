"""The checker of an APK's contents: what it lets through, and what it finds."""

from __future__ import annotations

import importlib.util
import struct
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "tests/golden/tiny-int8"


def load() -> ModuleType:
    """A script beside the app, no package."""
    spec = importlib.util.spec_from_file_location("check_apk", ROOT / "android_demo/check_apk.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


check_apk = load()


def elf(*segments: tuple[int, int], wide: bool = True) -> bytes:
    """An ELF file of (type, alignment) segments and nothing else."""
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    size = 56 if wide else 32
    form = "<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH"
    table = 64 if wide else 52
    header = ident + struct.pack(
        form, 3, 183, 1, 0, table, 0, 0, table, size, len(segments), 0, 0, 0
    )
    rows = [
        struct.pack("<IIQQQQQQ", kind, 5, 0, 0, 0, 0, 0, alignment)
        if wide
        else struct.pack("<IIIIIIII", kind, 0, 0, 0, 0, 0, 5, alignment)
        for kind, alignment in segments
    ]
    return header + b"".join(rows) + bytes(64)


def write_apk(path: Path, changes: dict[str, bytes | None] | None = None) -> Path:
    """A sound APK, but for the files that are given; None leaves one out."""
    content: dict[str, bytes | None] = {
        "AndroidManifest.xml": b"m",
        "classes.dex": b"d",
        "resources.arsc": b"r",
        "lib/arm64-v8a/libedgeocr_litert.so": elf((1, 16384), (1, 65536), (2, 8)),
        **{f"assets/bundle/{file.name}": file.read_bytes() for file in BUNDLE.iterdir()},
        **(changes or {}),
    }
    with zipfile.ZipFile(path, "w") as apk:
        for name, data in content.items():
            if data is not None:
                apk.writestr(name, data)
    return path


def test_a_sound_apk_has_no_fault(tmp_path: Path) -> None:
    assert check_apk.apk_faults(write_apk(tmp_path / "a.apk"), most_bytes=100_000) == []
    assert check_apk.main([str(tmp_path / "a.apk")]) == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes.dex": None}, "classes.dex is missing"),
        ({"assets/bundle/bundle.json": None}, "no bundle.json"),
        ({"assets/bundle/bundle.json": b"{}"}, "not a manifest"),
        ({"assets/bundle/rec.tflite": None}, "rec.tflite is missing"),
        ({"assets/bundle/charset.txt": b"a\nb\n"}, "charset.txt has not the sha256"),
        ({"assets/bundle/det.tflite": b""}, "det.tflite has not the sha256"),
        ({"assets/bundle/notes.txt": b""}, "notes.txt is not of the bundle"),
        ({"lib/arm64-v8a/libLiteRt.so": elf((1, 16384), (1, 4096))}, "aligned to 4096"),
        ({"lib/arm64-v8a/libLiteRt.so": elf((1, 24576))}, "aligned to 24576"),
        ({"lib/armeabi-v7a/libx.so": elf((1, 4096), wide=False)}, "aligned to 4096"),
        ({"lib/arm64-v8a/libLiteRt.so": b"text"}, "no little-endian ELF"),
        ({"lib/arm64-v8a/libLiteRt.so": elf((2, 8))}, "no segment to load"),
        ({"lib/arm64-v8a/libLiteRt.so": elf((1, 16384))[:90] + bytes(2)}, "outside of the file"),
        ({"key.p12": b""}, "does not belong"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, changes: dict[str, bytes | None], said: str) -> None:
    (fault,) = check_apk.apk_faults(write_apk(tmp_path / "a.apk", changes), most_bytes=None)
    assert said in fault


def test_a_compressed_table_of_resources_is_found(tmp_path: Path) -> None:
    path = write_apk(tmp_path / "a.apk", {"resources.arsc": None})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as apk:
        apk.writestr("resources.arsc", b"r" * 100)
    (fault,) = check_apk.apk_faults(path, most_bytes=None)
    assert "compressed" in fault


def test_too_large_an_apk_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_apk(tmp_path / "a.apk")
    size = path.stat().st_size
    assert check_apk.main([str(path), "--most-bytes", str(size)]) == 0
    assert check_apk.main([str(path), "--most-bytes", str(size - 1)]) == 1
    assert f"{size} bytes" in capsys.readouterr().err


def test_what_is_no_apk_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.apk").write_bytes(b"no zip")
    for name in ("a.apk", "missing.apk"):
        assert check_apk.main([str(tmp_path / name)]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


@given(
    alignments=st.lists(st.sampled_from([1, 8, 4096, 8192, 16384, 65536]), min_size=1, max_size=6),
    wide=st.booleans(),
)
def test_every_segment_is_looked_at(alignments: list[int], wide: bool) -> None:
    library = elf(*((1, alignment) for alignment in alignments), (6, 8), wide=wide)
    assert check_apk.segment_alignments(library) == alignments
    faults = check_apk.faults_of_library("x.so", library)
    assert len(faults) == sum(alignment < 16384 for alignment in alignments)


@given(library=st.binary(max_size=200))
def test_any_bytes_are_judged(library: bytes) -> None:
    for content in (library, b"\x7fELF\x02\x01" + library):
        assert check_apk.faults_of_library("x.so", content)
