from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgeocr import Bundle
from edgeocr_conversion.bundle_writer import check_target, describe_model, write_bundle
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.float_tflite import Freedom
from edgeocr_conversion.sources import (
    DetectionSettings,
    OrientationSettings,
    RecognitionSettings,
    Stage,
)

TinyBundle = Callable[[str], Path]


def _models(bundle: Bundle) -> dict[Stage, Path | bytes]:
    stages = bundle.stages
    return {
        "det": bundle.read_model(stages.det),
        "cls": bundle.read_model(stages.cls),
        "rec": bundle.read_model(stages.rec),
    }


def _write(bundle: Bundle, folder: Path) -> Bundle:
    return write_bundle(folder, bundle, models=_models(bundle), charset=bundle.charset())


def test_a_bundle_is_written_and_verified(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    source = Bundle.open(tiny_bundle("int8"))
    written = _write(source, tmp_path / "deep" / "copy")
    assert written == source
    assert written.charset() == source.charset()
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"copy"}


def test_a_bundle_replaces_a_bundle(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    source = Bundle.open(tiny_bundle("int8"))
    _write(source, folder)
    renamed = _write(replace(source, name="other"), folder)
    assert renamed.name == Bundle.open(folder).name == "other"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_nothing_else_is_overwritten(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    source = Bundle.open(tiny_bundle("int8"))
    folder = tmp_path / "holiday"
    folder.mkdir()
    check_target(folder)
    (folder / "beach.jpg").write_bytes(b"precious")
    with pytest.raises(ConversionError, match="is no bundle"):
        _write(source, folder)
    with pytest.raises(ConversionError, match="is a file"):
        check_target(folder / "beach.jpg")
    (folder / "beach.jpg").unlink()
    _write(source, folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ConversionError, match=r"other files \(notes\.txt\)"):
        _write(source, folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_failure_leaves_the_old_bundle(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    source = Bundle.open(tiny_bundle("int8"))
    _write(source, folder)
    models = _models(source) | {"rec": b"not the model that the manifest states"}
    with pytest.raises(Exception, match=r"rec\.tflite"):
        write_bundle(folder, source, models=models, charset=source.charset())
    assert Bundle.open(folder) == source
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_model_is_described_from_its_file(tiny_bundle: TinyBundle) -> None:
    folder = tiny_bundle("fp32")
    bundle = Bundle.open(folder)
    charset = bundle.charset()
    det = describe_model(
        "det",
        (folder / "det.tflite").read_bytes(),
        DetectionSettings(
            shapes=(),
            limit_side=256,
            limit_type="max",
            max_side=256,
            unclip_ratio=0.1,
            dilation=False,
        ),
        Freedom(),
        charset,
    )
    assert det == bundle.stages.det
    cls = describe_model(
        "cls",
        (folder / "cls.tflite").read_bytes(),
        OrientationSettings(shapes=()),
        Freedom(),
        charset,
    )
    assert cls == bundle.stages.cls
    content = (folder / "rec.tflite").read_bytes()
    settings = RecognitionSettings(shapes=())
    rec = describe_model("rec", content, settings, Freedom(), charset)
    assert rec == bundle.stages.rec
    wider = describe_model("rec", content, settings, Freedom(width=True), charset)
    assert wider == replace(bundle.stages.rec, width_multiple=32)


def test_a_charset_of_another_length_is_refused(tiny_bundle: TinyBundle) -> None:
    content = (tiny_bundle("fp32") / "rec.tflite").read_bytes()
    with pytest.raises(ConversionError, match="6 classes, but there are 2 characters"):
        describe_model("rec", content, RecognitionSettings(shapes=()), Freedom(), ("a", " "))


def test_settings_of_another_stage_are_refused(tiny_bundle: TinyBundle) -> None:
    content = (tiny_bundle("fp32") / "rec.tflite").read_bytes()
    with pytest.raises(ConversionError, match="not the settings of stage 'rec'"):
        describe_model("rec", content, OrientationSettings(shapes=()), Freedom(), ("a",))
