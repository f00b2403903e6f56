"""Sensitivities as files."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from edgeocr_training.compression.pruning.sensitivity import (
    Curve,
    Sensitivity,
    check_ratios,
    load_sensitivity,
    save_sensitivity,
    weights_digest,
)
from edgeocr_training.errors import CompressionError

_RATIOS = st.floats(0, 1, exclude_min=True, exclude_max=True)
_FIGURES = st.floats(-1e6, 1e6)


@st.composite
def sensitivity_st(draw: st.DrawFn) -> Sensitivity:
    names = draw(st.lists(st.text(min_size=1, max_size=20), max_size=4, unique=True))
    return Sensitivity(
        recipe="det",
        weights="ab",
        criterion=draw(st.sampled_from(["fpgm", "l1"])),
        evaluation={"labels": ["日本.txt"], "pages": None},
        metric="hmean",
        unpruned=draw(_FIGURES.filter(bool)),
        curves={
            name: Curve(
                makers=(name, f"{name}2"),
                channels=draw(st.integers(1, 999)),
                figures=draw(st.dictionaries(_RATIOS, _FIGURES, max_size=9)),
            )
            for name in names
        },
    )


# Every example writes the file anew.
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sensitivity=sensitivity_st())
def test_what_is_written_is_read(sensitivity: Sensitivity, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    save_sensitivity(sensitivity, path)
    assert load_sensitivity(path) == sensitivity


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    """Of a whole file."""
    curve = Curve(makers=("a", "b"), channels=16, figures={0.5: 0.25})
    sensitivity = Sensitivity(
        recipe="det",
        weights="ab",
        criterion="l1",
        evaluation={},
        metric="hmean",
        unpruned=0.5,
        curves={"a": curve},
    )
    save_sensitivity(sensitivity, tmp_path / "whole.json")
    content: dict[str, Any] = json.loads((tmp_path / "whole.json").read_text())
    return content


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["format"], "edgeocr sensitivity, version 2"),
        (["criterion"], "l2"),
        (["unpruned"], 0),
        (["unpruned"], "much"),
        (["layers"], []),
        (["layers", "a"], None),
        (["layers", "a", "channels"], "many"),
        (["layers", "a", "pruned"], 3),
        (["layers", "a", "hmean"], {"1.5": 0.2}),
        (["layers", "a", "hmean"], {"half": 0.2}),
        (["layers", "a", "hmean"], {"0.5": None}),
        (["layers", "a", "hmean"], {"0.5": float("nan")}),
        (["metric"], "accuracy"),
    ],
)
def test_damage_is_named(
    path: list[str], value: object, data: dict[str, Any], tmp_path: Path
) -> None:
    damaged = copy.deepcopy(data)
    *parents, last = path
    place = damaged
    for parent in parents:
        place = place[parent]
    place[last] = value
    file = tmp_path / "damaged.json"
    file.write_text(json.dumps(damaged))
    with pytest.raises(CompressionError, match=r"damaged\.json is (damaged|no sensitivity)"):
        load_sensitivity(file)


@pytest.mark.parametrize("content", ["", "[]", "3", "{", "\x00"])
def test_what_is_no_sensitivity_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(CompressionError, match="no sensitivity"):
        load_sensitivity(file)
    with pytest.raises(CompressionError, match="Cannot read"):
        load_sensitivity(tmp_path)


def test_a_digest_is_of_names_shapes_and_values() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(2, 2)
    before = weights_digest(layer)
    assert weights_digest(copy.deepcopy(layer)) == before
    assert weights_digest(nn.Sequential(layer)) != before
    with torch.no_grad():
        layer.bias[0] += 1
    assert weights_digest(layer) != before


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, float("nan")])
def test_a_ratio_is_between_none_and_all(ratio: float) -> None:
    with pytest.raises(CompressionError, match="between 0 and 1"):
        check_ratios([0.5, ratio])
