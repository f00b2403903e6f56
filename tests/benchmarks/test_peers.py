import json
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from edgeocr_benchmarks import peers
from edgeocr_benchmarks.errors import EngineError
from edgeocr_benchmarks.peers import (
    PEERS,
    Loan,
    Peer,
    install_peer,
    is_installed,
    peer_engine,
)


def write_models(folder: Path, content: Any) -> Path:
    path = folder / "models.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def wheel(folder: Path, **more: str) -> Path:
    """A wheel that pip takes without a registry; ``more`` files of it, by name of the module."""
    path = folder / "tinypeer-1.0-py3-none-any.whl"
    info = "tinypeer-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tinypeer.py", "WORD = 'here'\n")
        for module, source in more.items():
            archive.writestr(f"{module}.py", source)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinypeer\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


# As much of onnxruntime as tells the metadata of a model.
_ONNXRUNTIME = """
class InferenceSession:
    custom_metadata_map = {"character": "a\\nb"}

    def __init__(self, path, providers):
        assert path.read_text() == "WORD = 'here'\\n"

    def get_modelmeta(self):
        return self
"""


def known(monkeypatch: pytest.MonkeyPatch, **more: Peer) -> None:
    monkeypatch.setattr(peers, "PEERS", MappingProxyType({**PEERS, **more}))


def test_unknown_peer_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    for attempt in (peer_engine, install_peer):
        with pytest.raises(EngineError, match=r"no peer 'ocrad'; known are rapidocr-1\.4\.4"):
            attempt("ocrad", cache=tmp_path)


def test_peer_that_is_not_installed_is_answered_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="run `edgeocr-bench peer install rapidocr-3"):
        peer_engine("rapidocr-3.10.0", cache=tmp_path)


def test_named_interpreter_needs_no_installation(tmp_path: Path) -> None:
    engine = peer_engine("rapidocr-1.4.4", python=Path("/opt/python"), cache=tmp_path)
    assert (engine.python, engine.kind, dict(engine.models)) == (
        "/opt/python",
        "rapidocr_onnxruntime",
        {},
    )


def test_installation_makes_an_environment_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = Peer(kind="rapidocr", requirements=(str(wheel(tmp_path)),))
    known(monkeypatch, tiny=tiny)
    cache = tmp_path / "cache"
    assert not is_installed("tiny", cache=cache)
    python = install_peer("tiny", cache=cache)
    assert is_installed("tiny", cache=cache)
    assert list(python.parents[1].rglob("tinypeer.py"))
    assert peer_engine("tiny", cache=cache).python == str(python)
    # Made again only where the requirements changed: an interpreter that can't run is not asked.
    assert install_peer("tiny", python=Path("/no/python"), cache=cache) == python
    known(monkeypatch, tiny=Peer(kind="rapidocr", requirements=("other==1",)))
    assert not is_installed("tiny", cache=cache)


def test_models_are_lent_from_one_environment_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(wheel(tmp_path, onnxruntime=_ONNXRUNTIME))
    loan = Loan(lender="tiny", models={"rec": "tinypeer:tinypeer.py"})
    known(
        monkeypatch,
        tiny=Peer(kind="rapidocr", requirements=(source,)),
        borrower=Peer(kind="rapidocrlite", loan=loan, requirements=(source,)),
    )
    install_peer("borrower", cache=tmp_path / "cache")
    assert is_installed("tiny", cache=tmp_path / "cache")
    models = peer_engine("borrower", cache=tmp_path / "cache").models
    assert Path(models["rec"]).read_text() == "WORD = 'here'\n"
    assert Path(models["keys"]).read_text() == "a\nb"


def test_a_program_is_looked_for_and_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not is_installed("tesseract")
    for attempt in (peer_engine, install_peer):
        with pytest.raises(EngineError, match="tesseract is not installed: apt-get install"):
            attempt("tesseract")
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert is_installed("tesseract")
    assert install_peer("tesseract") == program
    assert peer_engine("tesseract").kind == "tesseract"
    with pytest.raises(EngineError, match="takes no interpreter"):
        peer_engine("tesseract", python=Path("/opt/python"))


@pytest.mark.parametrize(
    ("python", "requirement", "message"),
    [
        (sys.executable, "./no-such-file.whl", "failed"),
        ("/no/python", "x==1", "can't run /no/python"),
    ],
)
def test_failed_installation_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str, requirement: str, message: str
) -> None:
    known(monkeypatch, broken=Peer(kind="rapidocr", requirements=(requirement,)))
    with pytest.raises(EngineError, match=message):
        install_peer("broken", python=Path(python), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_models_are_taken_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "det.onnx").write_bytes(b"model")
    file = write_models(tmp_path, {"det": "det.onnx", "rec": "pkg:r.onnx", "rec_height": 32})
    engine = peer_engine("rapidocr-3.10.0", python=Path("/opt/python"), models=file)
    assert engine.name == "rapidocr-3.10.0 with models"
    assert engine.models == {
        "det": str(tmp_path / "det.onnx"),
        "rec": "pkg:r.onnx",
        "rec_height": 32,
    }
    sha256 = "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"  # of b"model"
    assert engine.identity["models"]["det_sha256"] == sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "can't read"),
        ([], "must hold a JSON object"),
        ({}, "must hold a JSON object"),
        ({"detector": "x"}, "unknown detector; known are det, cls"),
        ({"det": "gone.onnx"}, "there is no file"),
        ({"rec_height": 4}, "rec_height is 4; it must be 8 to 256"),
        ({"rec_height": "32"}, "rec_height is '32'"),
        ({"det_mean": [0.5, 0.5]}, "det_mean must be three numbers"),
        ({"det_std": ["a", "b", "c"]}, "det_std must be three numbers"),
    ],
)
def test_bad_models_file(tmp_path: Path, content: Any, message: str) -> None:
    file = write_models(tmp_path, content)
    with pytest.raises(EngineError, match=message):
        peer_engine("rapidocr-3.10.0", python=Path("/opt/python"), models=file)


@pytest.mark.parametrize("name", PEERS)
def test_known_peers_are_pinned_and_their_models_valid(name: str, tmp_path: Path) -> None:
    peer = PEERS[name]
    assert all("==" in requirement for requirement in peer.requirements)
    if peer.models and peer.kind.startswith("rapidocr"):
        models: Mapping[str, Any] = peer.models
        engine = peer_engine(
            name, python=Path("/opt/python"), models=write_models(tmp_path, dict(models))
        )
        assert engine.models == models


@pytest.mark.parametrize("name", ["easyocr-1.7.2", "paddleocr-2.10.0", "tesseract"])
def test_engines_without_onnx_take_no_onnx_files(name: str, tmp_path: Path) -> None:
    file = write_models(tmp_path, {"rec": "pkg:r.onnx"})
    with pytest.raises(EngineError, match=f"{name} .*takes no"):
        peer_engine(name, models=file, cache=tmp_path)
