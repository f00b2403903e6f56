"""Whether a machine is fit is judged by what it tells of itself."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgeocr_benchmarks.errors import TargetError
from edgeocr_benchmarks.targets import lifeline
from edgeocr_benchmarks.targets.facts import ASSUMED_BOARD, TargetFacts


def failed(**changes: object) -> dict[str, str]:
    """Subject and detail of what is wrong with a board that differs in this."""
    facts = dataclasses.replace(ASSUMED_BOARD, **changes)  # type: ignore[arg-type]
    return {
        found.subject: found.detail for found in facts.findings(carried=True) if not found.passed
    }


def test_the_board_that_a_dry_run_assumes_is_fit() -> None:
    assert failed() == {}


@pytest.mark.parametrize(
    ("changes", "subject", "advice"),
    [
        ({"machine": "armv7l", "bits": 32}, "machine", "install the 64-bit system"),
        # Raspberry Pi OS, 32 bits, on the 64-bit kernel that it comes with.
        ({"machine": "aarch64", "bits": 32}, "machine", "install the 64-bit system"),
        ({"system": "Darwin"}, "machine", "64-bit Linux"),
        ({"python": "3.9.2"}, "python", "CPython 3.10 or newer"),
        ({"implementation": "PyPy"}, "python", "--python names another one"),
        ({"libc": "glibc 2.31"}, "C library", "Bookworm"),
        ({"libc": ""}, "C library", "not glibc"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], subject: str, advice: str) -> None:
    (only,) = failed(**changes).items()
    assert only[0] == subject
    assert advice in only[1]


def test_a_machine_that_has_the_wheels_already_is_not_judged_by_those_carried() -> None:
    facts = dataclasses.replace(ASSUMED_BOARD, system="Darwin", libc="", machine="arm64")
    assert all(finding.passed for finding in facts.findings(carried=False))


def test_facts_survive_the_way() -> None:
    assert TargetFacts.parse(ASSUMED_BOARD.to_json()) == ASSUMED_BOARD


def test_this_machine_tells_all_facts(tmp_path: Path) -> None:
    facts = TargetFacts.parse(json.dumps(lifeline.facts(tmp_path)))
    assert facts.folder == str(tmp_path)
    assert "numpy" in facts.modules


@pytest.mark.parametrize("row", ["", "Welcome to Debian", "{}", '{"folder": 1}'])
def test_a_row_that_tells_none(row: str) -> None:
    with pytest.raises(TargetError, match="the target tells no facts"):
        TargetFacts.parse(row)
