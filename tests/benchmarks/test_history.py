import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeocr_benchmarks.__main__ import main
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.results import write_result

MakeDeviceResult = Callable[..., DeviceResult]


def test_figures_go_from_the_oldest_to_the_newest(
    tmp_path: Path, make_device_result: MakeDeviceResult, capsys: pytest.CaptureFixture[str]
) -> None:
    steady = tuple(100.0 + 0.1 * (i % 5) for i in range(20))
    for name, created, factor in (
        ("b.json", "2025-02-01T00:00:00Z", 1.0),
        ("a.json", "2025-03-01T00:00:00Z", 0.5),
        ("sub/c.json", "2025-01-01T00:00:00Z", 1.0),
    ):
        ms = tuple(factor * value for value in steady)
        write_result(make_device_result(ms=ms, created=created), tmp_path / name)
    other = make_device_result(ms=steady, environment={"cpu": ["4 x Cortex-A72"], "cpus": 4})
    write_result(other, tmp_path / "pi4.json")
    (tmp_path / "notes.json").write_text(json.dumps([1, 2]))
    recorded = Path(__file__).with_name("recorded_speed.json").read_text()
    (tmp_path / "speed.json").write_text(recorded)

    assert main(["history", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    rows = [row for row in out.splitlines() if row.startswith("| 2025")]
    files = [row.split(" | ")[-1].strip(" |") for row in rows]
    assert files == ["c.json", "b.json", "a.json", "pi4.json"]
    newest = next(row for row in rows if "a.json" in row)
    assert "| 50.1 (-50.0 %) |" in newest
    same = next(row for row in rows if "b.json" in row)
    assert "%" not in same
    assert out.count("###") == 2  # the two machines


def test_a_damaged_result_is_told(
    tmp_path: Path, make_device_result: MakeDeviceResult, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    write_result(make_device_result(), path)
    path.write_text(path.read_text().replace('"runs"', '"rums"'))
    assert main(["history", str(tmp_path)]) == 2
    assert "a.json: the document must be an object with" in capsys.readouterr().err


def test_a_folder_without_results_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", str(tmp_path)]) == 2
    assert "holds no result of a device" in capsys.readouterr().err
    assert main(["history", str(tmp_path / "gone")]) == 2
    assert "is no folder" in capsys.readouterr().err
