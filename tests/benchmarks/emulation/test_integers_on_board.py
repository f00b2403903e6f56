"""Parity: the embedded networks compute the same integers on every processor, layer by layer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from edgeocr_benchmarks.emulation import BOARDS, EmulatedBoard
from edgeocr_benchmarks.page import PageSize, render_page
from edgeocr_conversion.flatbuffer import operator_name, read_model, write_model

PrepareBoard = Callable[[str], EmulatedBoard]

SCRIPT = Path(__file__).with_name("tensor_digests.py")
EMBEDDED = Path(__file__).resolve().parents[3] / "sdk/edgeocr/bundles/ppocrv2-int8"
SIZES = {"det": (736, 736), "cls": (48, 192), "rec": (32, 320)}


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A folder with the networks, which give every integer that they compute back, and images of
    text; and what makes each of these tensors.
    """
    folder = tmp_path_factory.mktemp("networks")
    page = np.asarray(render_page(PageSize(width=736, height=736, lines=16)).image.convert("RGB"))
    places = {"det": page, "cls": page[60:108, 40:232], "rec": page[100:132, 40:360]}
    kinds = {}
    for stage, (height, width) in SIZES.items():
        model = read_model(EMBEDDED / f"{stage}.tflite")
        (subgraph,) = model.subgraphs
        made = [
            (operator_name(model, operator), int(index))
            for operator in subgraph.operators
            for index in operator.outputs
            if subgraph.tensors[index].type == schema.TensorType.INT8
        ]
        # Behind an LSTM, floats decide which integers there are.
        last = next(
            (place for place, (kind, _) in enumerate(made) if kind == "QUANTIZE"), len(made)
        )
        kinds[stage] = [kind for kind, _ in made[:last]]
        subgraph.outputs = [index for _, index in made[:last]]
        model.signatureDefs = []
        write_model(model, folder / f"{stage}.tflite")
        pixels = cv2.resize(places[stage], (width, height))[None].astype(np.int16) - 128
        np.save(folder / f"{stage}.npy", pixels.astype(np.int8))
    return folder, kinds


def digests(python: str | Path, folder: Path, **environment: str) -> Any:
    done = subprocess.run(
        [python, SCRIPT, folder], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", BOARDS)
def test_every_integer_is_that_of_this_machine(
    board: PrepareBoard, operators: tuple[Path, dict[str, list[str]]], name: str
) -> None:
    folder, kinds = operators
    here, there = digests(sys.executable, folder), digests(board(name).python, folder)
    for stage, operators_of_stage in kinds.items():
        assert {"CONV_2D", "MUL", "ADD"} <= set(operators_of_stage)
        assert len(here[stage]) == len(operators_of_stage)
        others = [
            (place, kind)
            for place, kind in enumerate(operators_of_stage)
            if here[stage][place] != there[stage][place]
        ]
        assert others == [], f"of {stage}"
