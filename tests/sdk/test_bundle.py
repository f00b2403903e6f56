"""Contract: what a bundle must be, and what is said where it is not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeocr import Bundle, BundleError, Ocr
from edgeocr.bundle import Signature, pack, read_charset, unpack

ChangeManifest: TypeAlias = Callable[[Path, dict[str, Any]], None]


def test_an_opened_bundle_says_what_its_manifest_says(tiny: Path) -> None:
    bundle = Bundle.open(tiny)
    assert bundle.name == "tiny"
    assert bundle.location == tiny
    assert bundle.stages.rec.signatures[0] == Signature(name="h16w32", height=16, width=32)
    assert bundle.stages.det.mean == (0.5, 0.5, 0.5)
    assert bundle.charset() == ("a", "b", "c", "d", " ")


def test_what_is_written_is_what_is_read(tiny: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(tiny)
    path = bundle.write_manifest(tmp_path)
    assert Bundle.from_json(path.read_bytes()) == bundle
    assert bundle.to_json() == path.read_text("utf-8") == (tiny / "bundle.json").read_text("utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle.json"]


def test_nothing_unreadable_is_written(tiny: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(tiny)
    det = dataclasses.replace(bundle.stages.det, std=(0.5, 0.0, 0.5))
    broken = dataclasses.replace(bundle, stages=dataclasses.replace(bundle.stages, det=det))
    with pytest.raises(BundleError, match=r"stages\.det\.std"):
        broken.write_manifest(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["bundle.json", "det.tflite", "rec.tflite", "charset.txt"])
def test_a_missing_file_is_named(writable_bundle: Path, file: str) -> None:
    (writable_bundle / file).unlink()
    with pytest.raises(BundleError, match=f"{file} is missing"):
        Bundle.open(writable_bundle)


@pytest.mark.parametrize("file", ["det.tflite", "cls.tflite", "rec.tflite", "charset.txt"])
def test_a_flipped_bit_is_noticed(writable_bundle: Path, file: str) -> None:
    path = writable_bundle / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=f"{file} has SHA-256"):
        Bundle.open(writable_bundle)


def test_a_model_that_was_cut_off_or_grew_is_noticed(writable_bundle: Path) -> None:
    path = writable_bundle / "rec.tflite"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(BundleError, match=r"rec\.tflite has \d+ bytes"):
        Bundle.open(writable_bundle)
    path.write_bytes(content + b"\0")
    with pytest.raises(BundleError, match=r"rec\.tflite is larger"):
        Bundle.open(writable_bundle)


@pytest.mark.parametrize("charset", ["a\nb\nc\nd\n", "a\nb\nc\nd\n \ne\n"])
def test_a_charset_of_the_wrong_length_is_refused(
    writable_bundle: Path, change_manifest: ChangeManifest, charset: str
) -> None:
    content = charset.encode()
    (writable_bundle / "charset.txt").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    change_manifest(writable_bundle, {"stages.rec.charset_sha256": digest})
    with pytest.raises(BundleError, match=r"charset\.txt has \d entries.*need 5"):
        Bundle.open(writable_bundle)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "schema is 2, this edgeocr reads schema 1"),
        ({"schema": True}, "schema is True"),
        ({"schema": ...}, "schema is None"),
        ({"colour": "red"}, "unknown key colour"),
        ({"stages.det.colour": "red"}, r"unknown key stages\.det\.colour"),
        ({"location": "/"}, "unknown key location"),
        ({"name": ...}, "key name is missing"),
        ({"stages.cls.threshold": ...}, r"key stages\.cls\.threshold is missing"),
        ({"name": 7}, "name is 7, it must be a string"),
        ({"stages.det.limit_side": 736.5}, r"stages\.det\.limit_side is 736\.5.*whole number"),
        ({"stages.det.limit_side": True}, r"stages\.det\.limit_side is True"),
        ({"stages.det.dilation": 1}, r"stages\.det\.dilation is 1.*true or false"),
        ({"stages.det.limit_type": "mid"}, r"limit_type is 'mid', it must be one of 'min', 'max'"),
        ({"stages.det.mean": [0.5, 0.5]}, r"stages\.det\.mean is .* a list of 3"),
        ({"stages.det.mean": [0.5, 0.5, "x"]}, r"stages\.det\.mean\[2\] is 'x'"),
        ({"stages.det.mean": [0.5, 0.5, float("nan")]}, r"stages\.det\.mean\[2\] is nan"),
        ({"stages.rec.std": [float("inf"), 1, 1]}, r"stages\.rec\.std\[0\] is inf"),
        ({"stages.rec.std": [1, 0, 1]}, r"stages\.rec\.std is .*may be 0"),
        ({"stages.rec.signatures": []}, r"stages\.rec\.signatures is empty"),
        ({"stages.rec.signatures": {}}, r"stages\.rec\.signatures is \{\}, it must be a list"),
        (
            {"stages.cls.signatures": [{"name": "x", "height": 0, "width": 1}]},
            r"stages\.cls\.signatures\[0\]\.height is 0",
        ),
        (
            {"stages.cls.signatures": [{"name": "x", "height": 1, "width": 1}] * 2},
            "names one signature twice",
        ),
        (
            {
                "stages.rec.signatures": [
                    {"name": "x", "height": 16, "width": 64},
                    {"name": "y", "height": 32, "width": 64},
                ]
            },
            "several heights",
        ),
        ({"stages.det.file": "../det.tflite"}, r"stages\.det\.file is '\.\./det\.tflite'"),
        ({"stages.det.file": "/etc/passwd"}, r"stages\.det\.file"),
        ({"stages.rec.charset_file": "a\\b"}, r"stages\.rec\.charset_file"),
        ({"stages.rec.classes": 1}, r"stages\.rec\.classes is 1"),
        ({"stages.cls.threshold": 1.5}, r"stages\.cls\.threshold is 1\.5"),
        ({"stages.det.height_multiple": 0}, r"stages\.det\.height_multiple is 0"),
        ({"stages.det.height_multiple": "32"}, r"stages\.det\.height_multiple is '32'"),
        ({"stages": []}, r"stages is \[\], it must be an object"),
        ({"tools": {"onnx": 1}}, r"tools\.onnx is 1"),
    ],
)
def test_a_wrong_manifest_is_refused_by_the_name_of_its_key(
    writable_bundle: Path, change_manifest: ChangeManifest, changes: dict[str, Any], said: str
) -> None:
    change_manifest(writable_bundle, changes)
    with pytest.raises(BundleError, match=said) as caught:
        Bundle.open(writable_bundle)
    assert "bundle.json" in str(caught.value)
    assert str(writable_bundle) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"null"])
def test_a_manifest_that_is_no_json_object_is_refused(
    writable_bundle: Path, content: bytes
) -> None:
    (writable_bundle / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        Bundle.open(writable_bundle)


def test_optional_keys_may_be_left_out(
    writable_bundle: Path, change_manifest: ChangeManifest
) -> None:
    change_manifest(writable_bundle, {"parity": ..., "accuracy": ...})
    assert Bundle.open(writable_bundle).parity == {}


def test_a_path_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no such bundle"):
        Bundle.open(tmp_path / "nowhere")
    other = tmp_path / "other.zip"
    other.write_bytes(b"something else")
    with pytest.raises(BundleError, match="neither a bundle folder nor a packed bundle"):
        Bundle.open(other)
    with pytest.raises(BundleError, match="cannot read the bundle"):
        Bundle.open("a\0b")


def test_without_any_bundle_the_way_to_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEOCR_BUNDLE", raising=False)
    monkeypatch.setattr("edgeocr.bundle.EMBEDDED_BUNDLES", Path("/nonexistent"))
    with pytest.raises(BundleError, match="edgeocr-convert official ppocrv4 --out DIR"):
        Bundle.default()


def test_an_embedded_bundle_is_the_default(
    monkeypatch: pytest.MonkeyPatch, writable_bundle: Path
) -> None:
    monkeypatch.delenv("EDGEOCR_BUNDLE", raising=False)
    monkeypatch.setattr("edgeocr.bundle.EMBEDDED_BUNDLES", writable_bundle.parent)
    assert Bundle.default().location == writable_bundle


# Packed bundles. ----------------------------------------------------------------------------


def test_a_packed_bundle_reads_the_same(
    tiny: Path, tmp_path: Path, paint_page: Callable[..., Any]
) -> None:
    packed = pack(Bundle.open(tiny), tmp_path / "tiny.edgeocr")
    assert Bundle.open(packed) == Bundle.open(tiny)
    assert Ocr.load(packed, threads=2).read(paint_page("abc", "dd")).text == "abc\ndd"


def test_packing_is_reproducible_and_unpacking_undoes_it(tiny: Path, tmp_path: Path) -> None:
    first = pack(Bundle.open(tiny), tmp_path / "first")
    folder = unpack(Bundle.open(first), tmp_path / "folder")
    second = pack(Bundle.open(folder), tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_unpacking_touches_no_folder_that_is_in_use(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BundleError, match="not empty"):
        unpack(Bundle.open(tiny), tmp_path)
    with pytest.raises(BundleError, match="cannot unpack"):
        unpack(Bundle.open(tiny), tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_packing_where_nothing_can_be_written_says_so(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot write"):
        pack(Bundle.open(tiny), tmp_path / "nowhere" / "tiny")


def test_every_damage_to_a_packed_bundle_is_noticed(tiny: Path, tmp_path: Path) -> None:
    packed = pack(Bundle.open(tiny), tmp_path / "tiny")
    content = packed.read_bytes()
    unchanged = Bundle.open(packed)
    for cut in range(0, len(content), 997):
        packed.write_bytes(content[:cut])
        with pytest.raises(BundleError):
            Bundle.open(packed)
    for place in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        packed.write_bytes(damaged)
        try:
            survivor = Bundle.open(packed)
        except BundleError:
            continue
        # What the archive says beside its content (dates, attributes) does not matter.
        assert survivor == unchanged


def test_a_packed_file_may_not_be_larger_than_stated(tiny: Path, tmp_path: Path) -> None:
    """A few kilobytes that would become gigabytes are never unpacked."""
    bomb = tmp_path / "bomb"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tiny / "bundle.json", "bundle.json")
        archive.writestr("det.tflite", bytes(50_000_000))
    with pytest.raises(BundleError, match=r"det\.tflite is larger"):
        Bundle.open(bomb)


# Charset. -----------------------------------------------------------------------------------

# Anything but the line break itself, and surrogates, which UTF-8 has not.
ENTRIES = st.lists(
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\n"), min_size=1),
    min_size=1,
)


@given(ENTRIES)
def test_every_entry_of_a_charset_survives(entries: list[str]) -> None:
    """Also separators that str.splitlines would split at, and characters not normalised."""
    content = "".join(f"{entry}\n" for entry in entries).encode()
    assert read_charset(content) == tuple(entries)
    assert read_charset(content[:-1]) == tuple(entries)


def test_line_separators_and_spaces_are_entries() -> None:
    content = "a\n\u2028\n\u3000\n \n\x0c\n\r\n\u0065\u0301\n".encode()
    assert read_charset(content) == ("a", "\u2028", "\u3000", " ", "\x0c", "\r", "e\u0301")


@pytest.mark.parametrize("content", [b"a\n\nb\n", b"", b"\xff\n"])
def test_a_charset_with_an_empty_line_or_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="charset"):
        read_charset(content)


def test_manifest_floats_may_be_written_as_whole_numbers(tiny: Path) -> None:
    document = json.loads((tiny / "bundle.json").read_text("utf-8"))
    document["stages"]["det"]["mean"] = [0, 0, 0]
    mean = Bundle.from_json(json.dumps(document)).stages.det.mean
    assert mean == (0.0, 0.0, 0.0)
    assert all(type(value) is float for value in mean)
