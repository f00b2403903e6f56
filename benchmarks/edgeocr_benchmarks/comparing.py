"""The commands ``edgeocr-bench compare`` and ``edgeocr-bench history``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeocr_benchmarks.comparison import (
    ACCURACY,
    Condition,
    check_comparable,
    compare,
    comparison_table,
    figure_of,
    judge_changes,
)
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.errors import ComparisonError
from edgeocr_benchmarks.history import FIGURES, history_tables, read_device_results
from edgeocr_benchmarks.results import read_result
from edgeocr_benchmarks.tables import markdown

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

HOLDS: Final = 1
UNCERTAIN: Final = 3
"""Exit codes beside 0 and 2."""


def add_commands(commands: Subcommands) -> None:
    """Adds both to the parser of ``edgeocr-bench``."""
    comparison = commands.add_parser(
        "compare",
        help="two results of `run` on the same pages: what changed, and how sure that is",
        epilog=f"Exit codes: 0 no condition holds; {HOLDS} one holds; 2 the two can't be "
        f"compared; {UNCERTAIN} none holds, but of one it can't be told, because its 95 %% "
        "interval contains the limit.",
    )
    comparison.add_argument("base", type=Path, metavar="BASE")
    comparison.add_argument("new", type=Path, metavar="NEW")
    comparison.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="CONDITION",
        help="METRIC[.STATISTIC](>|<)LIMIT%%, as 'det.p90>+5%%', or accuracy in points, as "
        "'characters<-0.5'; can be repeated",
    )
    comparison.add_argument(
        "--across-machines", action="store_true", help="compare though the machines differ"
    )
    comparison.add_argument(
        "--even-invalid", action="store_true", help="compare though a result is invalid"
    )
    comparison.set_defaults(run=_compare)

    history = commands.add_parser(
        "history", help="figures of all results of `run` in a folder, oldest first"
    )
    history.add_argument("folder", type=Path, metavar="FOLDER")
    history.set_defaults(run=_history)


def _compare(arguments: argparse.Namespace) -> int:
    conditions = [Condition.parse(text) for text in arguments.fail_if]
    base, new = _device_result(arguments.base), _device_result(arguments.new)
    check_comparable(
        base,
        new,
        across_machines=arguments.across_machines,
        even_invalid=arguments.even_invalid,
    )
    asked = [figure_of(condition) for condition in conditions]
    changes = compare(base, new, [*FIGURES, *ACCURACY, *asked])
    judgements = judge_changes(changes, conditions)
    print(markdown(comparison_table(changes, judgements)))
    answers = {judgement.answer for judgement in judgements}
    return HOLDS if "yes" in answers else UNCERTAIN if "perhaps" in answers else 0


def _history(arguments: argparse.Namespace) -> None:
    tables = history_tables(read_device_results(arguments.folder))
    print("\n\n".join(map(markdown, tables)))


def _device_result(path: Path) -> DeviceResult:
    result = read_result(path)
    if not isinstance(result, DeviceResult):
        raise ComparisonError(
            f"{path} is a result of `{result.benchmark}`; only those of `run` can be compared"
        )
    return result
