import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from edgeocr_benchmarks.errors import PlanError
from edgeocr_benchmarks.plan import PlannedBundle, PlannedImage, ProbePlan

BUNDLE = PlannedBundle(name="v4", path="bundles/0")
IMAGE = PlannedImage(name="page", path="images/0000.png", lines=20)

FULL = ProbePlan(
    bundles=(BUNDLE, PlannedBundle(name="v6", path="bundles/1")),
    images=(IMAGE,),
    read_once=(PlannedImage(name="other", path="images/0001.jpg"),),
    threads=(1, 4),
    limit_sides=(None, 960),
    line_widths=(320,),
    rounds=7,
    processes=(2,),
    throughput_s=2.5,
    sustained_s=60,
    cores=(2, 3),
    cool_down_c=45.0,
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    FULL.write(tmp_path / "payload" / "plan.json")
    assert ProbePlan.read(tmp_path / "payload" / "plan.json") == FULL
    assert [path.name for path in (tmp_path / "payload").iterdir()] == ["plan.json"]


def document(**changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(dataclasses.asdict(FULL))), **changes}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (document(schema=2), "has schema 2; this edgeocr-bench has 1"),
        (document(bundles=[]), "has no bundle"),
        (document(images=[]), "has no image"),
        (document(images=document()["images"] * 2), "two images of the plan have the name 'page'"),
        (document(bundles=document()["bundles"] * 2), "two bundles of the plan"),
        (document(threads=[]), "threads of the plan is empty"),
        (document(threads=[0]), r"threads of the plan has 0; it must be in \[1, 64\]"),
        (document(limit_sides=[16]), "limit_sides of the plan has 16"),
        (document(rounds=0), "rounds of the plan has 0"),
        (document(rounds="7"), "rounds has an unexpected value '7'"),
        (document(sustained_s=-1), "sustained_s of the plan has -1"),
        (document(colour="red"), "must be an object with"),
        ([], "must be an object with"),
    ],
)
def test_bad_plans_are_told(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(content))
    with pytest.raises(PlanError, match=message):
        ProbePlan.read(path)


def test_what_is_no_plan_is_told(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{")
    for name in ("plan.json", "gone.json"):
        with pytest.raises(PlanError, match=name):
            ProbePlan.read(tmp_path / name)
