import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from edgeocr_benchmarks.detection_metrics import PageCounts
from edgeocr_benchmarks.errors import ResultFileError
from edgeocr_benchmarks.match_counts import MatchCounts
from edgeocr_benchmarks.results import (
    AccuracyResult,
    EngineRecord,
    ImageRecord,
    PageAccuracy,
    PageRecord,
    Result,
    SetRecord,
    SpeedResult,
    TextCounts,
    TimedEngine,
    TimedRun,
    read_result,
    write_result,
)
from edgeocr_benchmarks.text_metrics import line_counts

ENGINE = EngineRecord(
    name="peer", runtime="R", threads=None, versions={"python": "3.11"}, identity={"a": [1, {}]}
)
MATCHES = MatchCounts(expected=4, found=5, matched=3)
PAGE = PageCounts(detection=MATCHES, end_to_end=MATCHES, characters=MATCHES)
LINE = line_counts("Füllung", "Fullung", fold_case=False)

ACCURACY = AccuracyResult(
    created="2025-01-02T03:04:05Z",
    command=("edgeocr-bench", "accuracy"),
    environment={"cpu": ["4 x Cortex-A76"], "cgroup_cpus": 1.5},
    engines=(ENGINE,),
    sets=(
        SetRecord(
            engine="peer",
            name="s/dev",
            kind="pages",
            sha256="ab",
            fold_case=True,
            images=(
                ImageRecord(image="a.png", ms=1.5, counts=PAGE),
                ImageRecord(image="b.png", ms=2.0, counts=PAGE, error="ValueError: ü"),
            ),
        ),
        SetRecord(
            engine="peer",
            name="l/dev",
            kind="lines",
            sha256="cd",
            fold_case=False,
            images=(ImageRecord(image="c.png", ms=0.5, counts=LINE),),
        ),
        SetRecord(
            engine="peer",
            name="t/dev",
            kind="texts",
            sha256="ef",
            fold_case=False,
            images=(ImageRecord(image="d.png", ms=3, counts=TextCounts(characters=MATCHES)),),
        ),
    ),
)
SPEED = SpeedResult(
    created="2025-01-02T03:04:05Z",
    command=("edgeocr-bench", "speed"),
    environment={},
    page=PageRecord(name="page", width=4, height=3, pixels_sha256="00", lines=None),
    runs=(
        TimedRun(
            threads=1,
            cores=(3,),
            before={"load_1min": 0.1},
            after={},
            engines=(
                TimedEngine(
                    engine=ENGINE,
                    warm_ms=(1.0, 2.0),
                    warmup_ms=(9.0,),
                    cold_ms=(20.0,),
                    peak_bytes=(1_000_000,),
                    accuracy=PageAccuracy(page=PAGE, text=LINE),
                ),
                TimedEngine(
                    engine=ENGINE,
                    warm_ms=(1.0, 2.0),
                    warmup_ms=(),
                    cold_ms=(),
                    peak_bytes=(),
                    accuracy=None,
                ),
            ),
        ),
    ),
)


@pytest.mark.parametrize("result", [ACCURACY, SPEED], ids=["accuracy", "speed"])
def test_what_is_written_is_read_again(tmp_path: Path, result: Result) -> None:
    path = tmp_path / "new folder" / "result.json"
    write_result(result, path)
    assert read_result(path) == result
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document == json.loads(json.dumps(dataclasses.asdict(result)))
    assert document["schema"] == 1
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


def test_every_image_has_a_row_of_its_own(tmp_path: Path) -> None:
    write_result(ACCURACY, tmp_path / "result.json")
    rows = (tmp_path / "result.json").read_text(encoding="utf-8").splitlines()
    assert sum('{"image": "' in row for row in rows) == 4


def test_recorded_files_of_schema_1_stay_readable() -> None:
    """A file as the first version wrote it: this must go on reading it."""
    result = read_result(Path(__file__).with_name("recorded_speed.json"))
    assert isinstance(result, SpeedResult)
    assert result.runs[0].engines[0].warm_ms[0] == 412.113


def broken(**changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(dataclasses.asdict(ACCURACY))), **changes}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "is no result"),
        ({"schema": 1}, "is no result"),
        (broken(schema=2), "has schema 2; this edgeocr-bench reads 1"),
        (broken(benchmark="power"), "unknown benchmark 'power'"),
        (broken(extra=1), "the document must be an object with benchmark"),
        (broken(created=3), r"\.created has an unexpected value 3"),
        (broken(command="x"), r"\.command has an unexpected value"),
        (broken(command=[1]), r"\.command\[0\] has an unexpected value"),
        (broken(sets=[{"engine": "x"}]), r"\.sets\[0\] must be an object with"),
        (broken(engines=[{**dataclasses.asdict(ENGINE), "threads": "two"}]), "unexpected value"),
    ],
)
def test_malformed_results_are_told(tmp_path: Path, document: object, message: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ResultFileError, match=message) as caught:
        read_result(path)
    assert str(path) in str(caught.value)


def test_impossible_counts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_result(ACCURACY, path)
    path.write_text(path.read_text(encoding="utf-8").replace('"matched": 3', '"matched": 30'))
    with pytest.raises(ResultFileError, match="matched must lie"):
        read_result(path)


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_what_is_no_json_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(ResultFileError, match="can't read the result"):
        read_result(path)


def test_result_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()
    with pytest.raises(ResultFileError, match=r"can't write .*result\.json: Is a directory"):
        write_result(ACCURACY, tmp_path / "result.json")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
