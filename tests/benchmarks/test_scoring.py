import dataclasses
from collections.abc import Callable

import numpy as np

from edgeocr_benchmarks.device_results import DeviceResult, PageReading, ReadLine
from edgeocr_benchmarks.labels import Region
from edgeocr_benchmarks.scoring import PageTruth, scored

MakeDeviceResult = Callable[..., DeviceResult]

UPPER = ((0.0, 0.0), (100.0, 0.0), (100.0, 20.0), (0.0, 20.0))
LOWER = ((0.0, 40.0), (100.0, 40.0), (100.0, 60.0), (0.0, 60.0))


def region(points: tuple[tuple[float, float], ...], text: str) -> Region:
    return Region(polygon=np.array(points), text=text)


def read(*lines: tuple[str, tuple[tuple[float, float], ...]], image: str = "page") -> PageReading:
    return PageReading(
        bundle="edge",
        image=image,
        lines=tuple(ReadLine(text=text, points=points) for text, points in lines),
    )


def test_readings_become_counts(make_device_result: MakeDeviceResult) -> None:
    result = dataclasses.replace(
        make_device_result(),
        scores=(),
        readings=(read(("TOTAL", UPPER), ("9.50", LOWER)), read(image="unlabelled")),
    )
    truth = PageTruth(regions=[region(UPPER, "Total"), region(LOWER, "9.60")], fold_case=True)
    found = scored(result, {"page": truth})
    assert found.readings == ()
    (score,) = found.scores
    assert (score.bundle, score.image) == ("edge", "page")
    assert score.page.detection.matched == 2
    assert score.page.end_to_end.matched == 1
    assert (score.page.characters.expected, score.page.characters.matched) == (9, 8)
    assert (score.text.edits, score.text.characters) == (1, 10)


def test_case_counts_where_labels_have_it(make_device_result: MakeDeviceResult) -> None:
    result = dataclasses.replace(make_device_result(), readings=(read(("TOTAL", UPPER)),))
    truth = PageTruth(regions=[region(UPPER, "Total")], fold_case=False)
    (score,) = scored(result, {"page": truth}).scores
    assert score.page.end_to_end.matched == 0


def test_dont_care_regions_are_left_out(make_device_result: MakeDeviceResult) -> None:
    result = dataclasses.replace(make_device_result(), readings=(read(("smudge", LOWER)),))
    truth = PageTruth(regions=[region(UPPER, "a"), region(LOWER, "###")], fold_case=False)
    (score,) = scored(result, {"page": truth}).scores
    assert (score.page.detection.expected, score.page.detection.found) == (1, 0)
    assert score.text.characters == 1


def test_a_page_without_text_that_is_read_as_such_has_no_mistake(
    make_device_result: MakeDeviceResult,
) -> None:
    result = dataclasses.replace(make_device_result(), readings=(read(),))
    (score,) = scored(result, {"page": PageTruth(regions=[], fold_case=False)}).scores
    assert score.page.characters.hmean == 1
    assert score.text.cer == 0
