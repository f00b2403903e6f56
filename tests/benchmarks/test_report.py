from pathlib import Path

from edgeocr_benchmarks.detection_metrics import PageCounts
from edgeocr_benchmarks.labels import LabelKind
from edgeocr_benchmarks.match_counts import MatchCounts
from edgeocr_benchmarks.report import accuracy_report, speed_report
from edgeocr_benchmarks.results import (
    AccuracyResult,
    EngineRecord,
    ImageRecord,
    SetRecord,
    SpeedResult,
    TextCounts,
    read_result,
)
from edgeocr_benchmarks.text_metrics import line_counts

Counts = object


def matches(expected: int, found: int, matched: int) -> MatchCounts:
    return MatchCounts(expected=expected, found=found, matched=matched)


def accuracy(
    engine: str, *images: ImageRecord, kind: LabelKind, sha256: str = "ab"
) -> AccuracyResult:
    record = SetRecord(
        engine=engine, name="set/dev", kind=kind, sha256=sha256, fold_case=False, images=images
    )
    engines = (EngineRecord(name=engine, runtime="R", threads=1, versions={}, identity={}),)
    return AccuracyResult(created="", command=(), environment={}, engines=engines, sets=(record,))


def line(name: str, expected: str, found: str, ms: float = 1.0) -> ImageRecord:
    return ImageRecord(image=name, ms=ms, counts=line_counts(expected, found, fold_case=False))


def test_pages_are_summed_before_they_are_divided() -> None:
    first = PageCounts(
        detection=matches(4, 5, 3), end_to_end=matches(4, 5, 2), characters=matches(40, 50, 30)
    )
    second = PageCounts(
        detection=matches(6, 5, 4), end_to_end=matches(6, 5, 1), characters=matches(60, 50, 30)
    )
    result = accuracy(
        "edge",
        ImageRecord(image="a", ms=10, counts=first),
        ImageRecord(image="b", ms=30, counts=second, error="ValueError: x"),
        kind="pages",
    )
    report = accuracy_report([result])
    assert "### set/dev: 2 images, pages, case counts" in report
    # 7 of 10 found and expected; 3 of 10; 60 of 100; median of 10 and 30; one failed.
    cells = ["70.00"] * 3 + ["30.00"] * 3 + ["60.00"] * 3 + ["20.0", "1"]
    assert f"| edge | {' | '.join(cells)} |" in report


def test_lines_and_texts_have_their_own_figures() -> None:
    lines = accuracy(
        "edge", line("a", "Salon", "Salon"), line("b", "ELEVEn", "ELEVEN"), kind="lines"
    )
    assert "| edge | 50.00 | 100.00 | 9.09 | 1.0 | 0 |" in accuracy_report([lines])
    counts = TextCounts(characters=matches(10, 8, 6))
    texts = accuracy("edge", ImageRecord(image="a", ms=1, counts=counts), kind="texts")
    assert "| edge | 75.00 | 60.00 | 66.67 | 1.0 | 0 |" in accuracy_report([texts])


def test_engines_of_several_files_share_a_table_where_they_read_the_same() -> None:
    first = accuracy("edge", line("a", "x", "x"), kind="lines")
    second = accuracy("peer", line("a", "x", "y"), kind="lines")
    other = accuracy("peer", line("a", "x", "y"), kind="lines", sha256="cd")
    assert accuracy_report([first, second]).count("###") == 1
    assert accuracy_report([first, other]).count("###") == 2


def test_differences_are_in_points_against_the_named_engine() -> None:
    edge = accuracy("edge", line("a", "x", "x"), line("b", "y", "z"), kind="lines")
    peer = accuracy("peer", line("a", "x", "x"), line("b", "y", "y"), kind="lines")
    report = accuracy_report([edge, peer], against="peer")
    assert "| set/dev | edge | word accuracy | -50.00 | -100.00 to +0.00 |" in report
    assert "| set/dev | edge | CER | +50.00 | +0.00 to +100.00 |" in report
    assert "Difference" not in accuracy_report([edge], against="peer")


def test_speed_table_of_a_recorded_file() -> None:
    result = read_result(Path(__file__).with_name("recorded_speed.json"))
    assert isinstance(result, SpeedResult)
    report = speed_report([result])
    heading = "### rendered page, 1280x960, 20 lines; 4 x Cortex-A76; 2025-01-02T03:04:05Z"
    assert report.startswith(heading)
    # Medians by hand: 412.113, 411.9, 430.2, 409.0 and 1650.0, 1640.4, 1655.2, 1700.1.
    assert "| 1 | edge | 412.0 | 0.249 (" in report
    assert "| 640.0 | 0.278 (0.278 to 0.278) | 118.0 | 0.200 (0.200 to 0.200) |" in report
    assert "| 99.50 | 1.20 |" in report
    assert "| 1 | peer | 1652.6 | 1 | 2300.0 | 1 | 590.0 | 1 |  |  |" in report
    assert "- Doubtful: edge, threads 1: only 4 rounds" in report
    assert "spans" not in report


def test_ratios_are_to_the_engine_that_is_named() -> None:
    result = read_result(Path(__file__).with_name("recorded_speed.json"))
    assert isinstance(result, SpeedResult)
    report = speed_report([result], against="edge")
    assert "| 1 | edge | 412.0 | 1 | 640.0 | 1 | 118.0 | 1 | 99.50 | 1.20 |" in report
    assert "| 2300.0 | 3.594 (3.594 to 3.594) | 590.0 | 5.000 (5.000 to 5.000) |" in report
