"""Two measurements of the same pages: what changed, by how much, and how sure that is.

A condition is what must not be: ``det.p90>+5%`` (the detector's 90th percentile grew by more
than 5 %), ``characters<-0.5`` (the characters' F-measure lost more than half a point). It holds
only where the whole 95 % interval lies beyond the limit; where the interval contains the limit, the
measurement can't tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from edgeocr_benchmarks import sampling
from edgeocr_benchmarks.device_report import bundle_of, run_label
from edgeocr_benchmarks.device_results import BundleRun, DeviceResult, DeviceRun, PageScore
from edgeocr_benchmarks.errors import ComparisonError
from edgeocr_benchmarks.metrics import METRICS, run_samples
from edgeocr_benchmarks.sampling import STATISTICS, Estimate
from edgeocr_benchmarks.tables import Table
from edgeocr_benchmarks.validity import judge_result

ACCURACY: Final = ("detection", "end-to-end", "characters", "cer")
"""F-measures and the page's character error rate; compared in percentage points."""

Answer = Literal["yes", "no", "perhaps"]

_MACHINE_KEYS: Final = ("architecture", "board", "cpu", "cpu_flags", "memory_bytes")
"""What must be equal for two results to be of one kind of machine."""

_CONDITION: Final = re.compile(
    r"(?P<metric>[a-z-]+(?:\.(?:pre|inference|post))?)(?:\.(?P<statistic>[a-z0-9]+))?"
    r"(?P<sign>[<>])(?P<limit>[+-]?[0-9]+(?:\.[0-9]+)?)(?P<percent>%?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must not be."""

    text: str
    metric: str
    statistic: str
    """"" for accuracy."""
    above: bool
    """Whether changes above the limit meet it, else those below."""
    limit: float
    """As a share (0.05 is 5 %, or 5 points)."""

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Reads METRIC[.STATISTIC](>|<)NUMBER%, or METRIC(>|<)NUMBER for accuracy in points.

        Raises:
            ComparisonError: it is not of that form, or names something that there is not.
        """
        match = _CONDITION.fullmatch(text.replace(" ", ""))
        if match is None:
            raise ComparisonError(
                f"the condition is {text!r}; expected one as 'det.p90>+5%' or 'characters<-0.5'"
            )
        metric, statistic = match["metric"], match["statistic"]
        if metric in ACCURACY:
            if statistic or match["percent"]:
                raise ComparisonError(
                    f"{text!r}: {metric} has no statistic, and its limit is in points without a %"
                )
        elif metric in METRICS:
            statistic = statistic or "p50"
            if statistic not in STATISTICS:
                raise ComparisonError(
                    f"{text!r}: there is no statistic {statistic!r}; there are "
                    f"{', '.join(STATISTICS)}"
                )
            if not match["percent"]:
                raise ComparisonError(f"{text!r}: a limit for {metric} is a change in %")
        else:
            raise ComparisonError(
                f"{text!r}: there is no metric {metric!r}; there are "
                f"{', '.join((*METRICS, *ACCURACY))}"
            )
        return cls(
            text=text,
            metric=metric,
            statistic=statistic or "",
            above=match["sign"] == ">",
            limit=float(match["limit"]) / 100,
        )

    def answer(self, change: Estimate) -> Answer:
        """Whether it holds for a change."""
        if self.above:
            sure, excluded = change.low > self.limit, change.high <= self.limit
        else:
            sure, excluded = change.high < self.limit, change.low >= self.limit
        return "yes" if sure else "no" if excluded else "perhaps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure of one bundle before and after."""

    where: str
    """Run and bundle."""
    figure: str
    """Metric and statistic."""
    base: float
    new: float
    change: Estimate
    """Relative; of accuracy the difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A condition on one bundle in one run."""

    condition: Condition
    change: Change
    answer: Answer


def check_comparable(
    base: DeviceResult, new: DeviceResult, *, across_machines: bool, even_invalid: bool
) -> None:
    """Makes sure that a difference can mean something.

    Args:
        base: before.
        new: after.
        across_machines: whether the machines may differ.
        even_invalid: whether invalid results are compared all the same.

    Raises:
        ComparisonError: other pages, another machine, or an invalid result.
    """
    pages = [{(image.name, image.sha256) for image in result.images} for result in (base, new)]
    if pages[0] != pages[1]:
        name = sorted(pages[0] ^ pages[1])[0][0]
        raise ComparisonError(f"the two did not read the same pages: {name} is in one of them only")
    if not across_machines:
        for key in _MACHINE_KEYS:
            before, after = base.environment.get(key), new.environment.get(key)
            if before != after:
                raise ComparisonError(
                    f"the two were measured on different machines: {key} is {before} and {after}; "
                    "--across-machines compares them all the same"
                )
    if not even_invalid:
        for name, result in (("the first", base), ("the second", new)):
            reasons = judge_result(result).invalid
            if reasons:
                raise ComparisonError(
                    f"{name} result is invalid: {reasons[0]}; --even-invalid compares it all "
                    "the same"
                )


def compare(base: DeviceResult, new: DeviceResult, figures: Sequence[str]) -> tuple[Change, ...]:
    """Changes of all bundles in all runs that both results have.

    A bundle is found again by its name; where each result has only one, they belong together.

    Args:
        base: before.
        new: after.
        figures: "total.p50" and the like, and names of accuracy.

    Raises:
        ComparisonError: nothing was measured in both.
    """
    changes = list(_changes(base, new, figures))
    if not changes:
        raise ComparisonError(
            "nothing was measured in both: no bundle of the same name with the same threads and "
            "size has any of the figures"
        )
    return tuple(changes)


def judge_changes(
    changes: Sequence[Change], conditions: Sequence[Condition]
) -> tuple[Judgement, ...]:
    """Every condition on every change that it speaks of.

    Raises:
        ComparisonError: a condition speaks of none.
    """
    judgements = []
    for condition in conditions:
        figure = figure_of(condition)
        spoken_of = [change for change in changes if change.figure == figure]
        if not spoken_of:
            raise ComparisonError(f"{condition.text!r}: the two results have no {figure} in common")
        judgements += [
            Judgement(condition=condition, change=change, answer=condition.answer(change.change))
            for change in spoken_of
        ]
    return tuple(judgements)


def figure_of(condition: Condition) -> str:
    """The name of the figure that a condition speaks of."""
    return f"{condition.metric}.{condition.statistic}" if condition.statistic else condition.metric


def comparison_table(changes: Sequence[Change], judgements: Sequence[Judgement]) -> Table:
    """What changed, and what that means for the conditions."""
    rows = []
    for change in changes:
        scale = 100 if change.figure in ACCURACY else 1
        estimate = change.change
        rows.append(
            (
                change.where,
                change.figure,
                f"{scale * change.base:.2f}",
                f"{scale * change.new:.2f}",
                f"{100 * estimate.value:+.2f}",
                f"{100 * estimate.low:+.2f} to {100 * estimate.high:+.2f}",
                _meaning(change),
            )
        )
    said = {
        "yes": "holds",
        "no": "does not hold",
        "perhaps": "can't be told: the interval contains the limit, take more rounds",
    }
    return Table(
        title="Changes; times in %, accuracy in points",
        header=("run", "figure", "base", "new", "change", "95 % interval", ""),
        rows=rows,
        notes=[
            f"`{one.condition.text}` {said[one.answer]} ({one.change.where})" for one in judgements
        ],
    )


def _meaning(change: Change) -> str:
    low, high = change.change.low, change.change.high
    if low <= 0 <= high:
        return "no difference seen"
    more_is_better = change.figure in ACCURACY and change.figure != "cer"
    return "better" if (low > 0) == more_is_better else "worse"


def _changes(base: DeviceResult, new: DeviceResult, figures: Sequence[str]) -> Iterator[Change]:
    renamed = len(base.bundles) == len(new.bundles) == 1
    for figure in dict.fromkeys(figures):
        if figure in ACCURACY:
            for name in (bundle.name for bundle in new.bundles):
                old_name = base.bundles[0].name if renamed else name
                before = {s.image: s for s in base.scores if s.bundle == old_name}
                after = {s.image: s for s in new.scores if s.bundle == name}
                shared = sorted(before.keys() & after.keys())
                if shared:
                    yield _accuracy_change(
                        name, figure, [before[i] for i in shared], [after[i] for i in shared]
                    )
            continue
        metric, _, statistic = figure.rpartition(".")
        for run in new.runs:
            for bundle in run.bundles:
                old = _counterpart(base, run, base.bundles[0].name if renamed else bundle.bundle)
                if old is None:
                    continue
                samples = run_samples(old, metric), run_samples(bundle, metric)
                if all(len(one) for one in samples):
                    if not sampling.statistic(samples[0], statistic):
                        raise ComparisonError(
                            f"{figure} is 0 in the first result; nothing can be a share of it"
                        )
                    yield Change(
                        where=f"{run_label(run)}, {bundle_of(new, bundle.bundle).name}",
                        figure=figure,
                        base=sampling.statistic(samples[0], statistic),
                        new=sampling.statistic(samples[1], statistic),
                        change=sampling.relative_change(*samples, statistic),
                    )


def _counterpart(base: DeviceResult, run: DeviceRun, name: str) -> BundleRun | None:
    for old in base.runs:
        if (old.threads, old.limit_side) == (run.threads, run.limit_side):
            return next((bundle for bundle in old.bundles if bundle.bundle == name), None)
    return None


def _accuracy_change(
    name: str, figure: str, before: Sequence[PageScore], after: Sequence[PageScore]
) -> Change:
    old, young = ([_ratio(score, figure) for score in scores] for scores in (before, after))
    return Change(
        where=name,
        figure=figure,
        base=_of_sums(old),
        new=_of_sums(young),
        change=sampling.difference_of_ratios(young, old),
    )


def _of_sums(ratios: Sequence[tuple[float, float]]) -> float:
    denominator = sum(ratio[1] for ratio in ratios)
    return sum(ratio[0] for ratio in ratios) / denominator if denominator else 1.0


def _ratio(score: PageScore, figure: str) -> tuple[float, float]:
    """(Numerator, denominator) of a figure on one page."""
    if figure == "cer":
        return score.text.edits, score.text.characters
    counts = {
        "detection": score.page.detection,
        "end-to-end": score.page.end_to_end,
        "characters": score.page.characters,
    }[figure]
    return 2 * counts.matched, counts.expected + counts.found
