"""Tables of what was measured on a device, for Markdown, CSV and the HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Final

from edgeocr_benchmarks import sampling
from edgeocr_benchmarks.cost_model import (
    PROMISED_ERROR,
    CostModel,
    fit_cost,
    page_costs,
    predictions,
)
from edgeocr_benchmarks.detection_metrics import NO_PAGES, PageCounts
from edgeocr_benchmarks.device_results import (
    PARTS,
    STAGES,
    BundleRun,
    DeviceResult,
    DeviceRun,
    Graph,
    MeasuredBundle,
    PageScore,
    State,
)
from edgeocr_benchmarks.environment import processor_name
from edgeocr_benchmarks.graphs import total_macs
from edgeocr_benchmarks.metrics import METRICS, TIMES, page_samples, run_samples, unit
from edgeocr_benchmarks.roofline import device_peak_gmacs, no_peak
from edgeocr_benchmarks.tables import Table, csv_text, markdown
from edgeocr_benchmarks.text_metrics import NO_LINES, LineCounts
from edgeocr_benchmarks.validity import (
    Verdict,
    has_times,
    judge,
    judge_sustained,
    retention,
)

PERCENTILES: Final = tuple(sampling.PERCENTILES)
STATISTICS: Final = tuple(sampling.STATISTICS)

CSV_HEADER: Final = (
    "created",
    "target",
    "bundle",
    "precision",
    "threads",
    "limit_side",
    "page",
    "metric",
    "unit",
    "valid",
    "samples",
    *STATISTICS,
)
"""One row for every statistic's source; an empty page stands for the mean over all pages."""


def device_report(results: Sequence[DeviceResult]) -> str:
    """Everything as Markdown, one result after the other."""
    return "\n".join(f"{_markdown(result)}\n" for result in results)


def device_csv(results: Sequence[DeviceResult]) -> str:
    """All statistics of all metrics in long form, a row for each run, bundle, page and metric."""
    return csv_text(CSV_HEADER, [row for result in results for row in _csv_rows(result)])


def heading(result: DeviceResult) -> str:
    """The machine and the moment, in a line."""
    return f"{machine_name(result.environment)}, {result.target}, {result.created}"


def machine_name(environment: Mapping[str, Any]) -> str:
    """The board, or else the processor."""
    board = environment.get("board")
    cpu = processor_name(environment)
    return f"{board} ({cpu})" if board else cpu


def device_tables(result: DeviceResult) -> list[Table]:
    """All tables for which something was measured; of an emulated board none with times."""
    timed = has_times(result)
    made = [
        *((_latency(result), _stages(result), _starts(result)) if timed else ()),
        _accuracy(result),
        *((_costs(result), _lines(result), _throughput(result)) if timed else ()),
        *((_sustained(result), _networks(result)) if timed else ()),
        *_operators(result),
        _environment(result),
    ]
    return [table for table in made if table.rows]


def run_label(run: DeviceRun) -> str:
    """Threads and size of one run, as "2 threads" or "1 thread, side 960"."""
    threads = thread_count(run.threads)
    return threads if run.limit_side is None else f"{threads}, side {run.limit_side}"


def thread_count(threads: int) -> str:
    """As "1 thread" or "2 threads"."""
    return "1 thread" if threads == 1 else f"{threads} threads"


def scores(result: DeviceResult) -> dict[str, tuple[PageCounts, LineCounts, list[PageScore]]]:
    """Sums over all scored pages, by bundle."""
    summed = {}
    for bundle in result.bundles:
        pages = [score for score in result.scores if score.bundle == bundle.name]
        if pages:
            page = reduce(add, (score.page for score in pages), NO_PAGES)
            text = reduce(add, (score.text for score in pages), NO_LINES)
            summed[bundle.name] = page, text, pages
    return summed


def bundle_of(result: DeviceResult, name: str) -> MeasuredBundle:
    """The identity of a bundle that was measured."""
    return next(bundle for bundle in result.bundles if bundle.name == name)


def cost_models(result: DeviceResult) -> Iterator[tuple[DeviceRun, BundleRun, CostModel]]:
    """Those that the pages of a run let be fitted."""
    for run in result.runs:
        for bundle in run.bundles:
            model = fit_cost(page_costs(bundle))
            if model is not None:
                yield run, bundle, model


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLoad:
    """What one network did in a round of a run, in which every page is read once."""

    run: DeviceRun
    bundle: BundleRun
    stage: str
    inferences: int
    """A line that is longer than the recogniser's widest input takes several."""
    gmacs: float
    ms: float
    """Median time of inference. With several threads the times of lines are shared out over them,
    so the rate is that of all threads together."""

    @property
    def gmacs_per_s(self) -> float:
        return self.gmacs / self.ms * 1e3


def network_loads(result: DeviceResult) -> Iterator[NetworkLoad]:
    """Of every network whose multiplications are known."""
    for run in result.runs:
        for bundle in run.bundles:
            macs = total_macs(bundle_of(result, bundle.bundle).graphs)
            for stage in STAGES:
                shapes = [
                    (shape, inferences)
                    for page in bundle.pages
                    for shape, inferences in page.shapes.items()
                    if shape.startswith(f"{stage} ")
                ]
                work = sum(inferences * macs.get(shape, 0) for shape, inferences in shapes)
                inference = f"{stage}.inference"
                spent = sum(sampling.median(page_samples(p, inference)) for p in bundle.pages)
                if work and spent:
                    yield NetworkLoad(
                        run=run,
                        bundle=bundle,
                        stage=stage,
                        inferences=sum(inferences for _, inferences in shapes),
                        gmacs=work / 1e9,
                        ms=spent,
                    )


def _markdown(result: DeviceResult) -> str:
    parts = [f"## {heading(result)}"]
    for run in result.runs:
        verdict = judge(result, run)
        parts += [f"**INVALID** ({run_label(run)}): {reason}." for reason in verdict.invalid]
    parts += [markdown(table) for table in device_tables(result)]
    return "\n\n".join(parts)


def _latency(result: DeviceResult) -> Table:
    rows = []
    notes = []
    for run in result.runs:
        verdict = judge(result, run)
        for bundle in run.bundles:
            samples = run_samples(bundle, "total")
            middle = sampling.estimate(samples, "p50")
            rows.append(
                (
                    run_label(run),
                    bundle.bundle,
                    *(_ms(sampling.statistic(samples, name)) for name in PERCENTILES),
                    f"{_ms(middle.low)} to {_ms(middle.high)}",
                    f"{_ms(float(samples.mean()))} ± {_ms(float(samples.std()))}",
                    *(_ms(sampling.median(run_samples(bundle, stage))) for stage in STAGES),
                    "yes" if verdict.valid else "NO",
                )
            )
        notes += _notes(run_label(run), verdict)
    header = ("run", "bundle", *PERCENTILES, "95 % of p50", "mean ± std", *STAGES, "valid")
    pages = len(result.images) - sum(1 for _ in _read_once(result))
    what = "one page" if pages == 1 else f"mean over {pages} pages"
    return Table(
        title=f"Warm reads, {what}, ms", header=header, rows=rows, notes=list(dict.fromkeys(notes))
    )


def _read_once(result: DeviceResult) -> Iterator[str]:
    timed = {page.image for run in result.runs for b in run.bundles for page in b.pages}
    return (image.name for image in result.images if image.name not in timed)


def _notes(label: str, verdict: Verdict) -> list[str]:
    return [f"Invalid, {label}: {reason}." for reason in verdict.invalid] + [
        f"Doubtful, {label}: {doubt}." for doubt in verdict.doubts
    ]


def _stages(result: DeviceResult) -> Table:
    keys = ("load", "crop", *(f"{stage}.{part}" for stage in STAGES for part in PARTS), "other")
    rows = [
        (
            run_label(run),
            bundle.bundle,
            *(_ms(sampling.median(run_samples(bundle, key))) for key in keys),
        )
        for run in result.runs
        for bundle in run.bundles
    ]
    titles = [key.replace(".inference", ".inf") for key in keys]
    return Table(title="Parts of a read, medians, ms", header=("run", "bundle", *titles), rows=rows)


def _starts(result: DeviceResult) -> Table:
    rows = []
    for run in result.runs:
        for bundle in run.bundles:
            if not bundle.cold:
                continue
            size = sum(bundle_of(result, bundle.bundle).bytes.values()) / 1e6
            first = [run_samples(bundle, name) for name in ("import", "open", "first", "start")]
            memory = [run_samples(bundle, name) for name in ("peak", "pss")]
            rows.append(
                (
                    run_label(run),
                    bundle.bundle,
                    *(_ms(sampling.median(one)) if len(one) else "" for one in first),
                    _ms(sampling.median(bundle.pages[0].ms["total"])),
                    *(f"{sampling.median(one):.1f}" if len(one) else "" for one in memory),
                    f"{size:.2f}",
                )
            )
    return Table(
        title="Fresh processes, medians: ms and MB",
        header=(
            "run",
            "bundle",
            "import",
            "open models",
            "first read",
            "start to text",
            "the same page warm",
            "peak RSS",
            "PSS",
            "on disk",
        ),
        rows=rows,
    )


def _accuracy(result: DeviceResult) -> Table:
    rows = [
        (
            name,
            str(len(pages)),
            _percent(page.detection.hmean),
            _percent(page.end_to_end.hmean),
            _percent(page.characters.precision),
            _percent(page.characters.recall),
            _percent(page.characters.hmean),
            _percent(text.cer),
        )
        for name, (page, text, pages) in scores(result).items()
    ]
    return Table(
        title="Accuracy in the same run, %",
        header=(
            "bundle",
            "pages",
            "detection H",
            "end-to-end H",
            "characters P",
            "R",
            "characters F",
            "page CER",
        ),
        rows=rows,
    )


def _costs(result: DeviceResult) -> Table:
    rows = []
    notes = []
    for run, bundle, model in cost_models(result):
        made = predictions(page_costs(bundle))
        worst = max(made, key=lambda one: abs(one.error), default=None)
        most = max(made, key=lambda one: one.page.lines, default=None)
        rows.append(
            (
                run_label(run),
                bundle.bundle,
                f"{model.fixed_ms:.1f}",
                f"{model.per_line_ms:.2f}",
                *(
                    "" if cost is None else f"{cost:.1f}"
                    for cost in (model.per_megapixel_ms, model.per_text_megapixel_ms)
                ),
                "" if most is None else f"{_ms(most.predicted_ms)} / {_ms(most.page.ms)}",
                "" if most is None else f"{100 * most.error:+.1f}",
                "" if worst is None else f"{100 * worst.error:+.1f}",
            )
        )
        if worst is not None and abs(worst.error) > PROMISED_ERROR:
            notes.append(
                f"Doubtful, {run_label(run)}, {bundle.bundle}: {worst.page.image} is missed by "
                f"{100 * abs(worst.error):.0f} %; its lines may differ from those of the others."
            )
    return Table(
        title="Cost of a page: fixed + per line + per megapixel of the page and of its text, ms",
        header=(
            "run",
            "bundle",
            "fixed",
            "per line",
            "per megapixel",
            "per megapixel of text",
            "page of most lines: predicted / measured",
            "error, %",
            "worst error of any page, %",
        ),
        rows=rows,
        notes=["Every page is predicted from the others.", *notes] if rows else (),
    )


def _lines(result: DeviceResult) -> Table:
    rows = [
        (
            timing.bundle,
            timing.stage,
            timing.shape,
            *(f"{sampling.median(timing.ms[part]):.2f}" for part in PARTS),
        )
        for timing in result.stages
    ]
    return Table(
        title="One line on one thread, medians, ms",
        header=("bundle", "stage", "input", *PARTS),
        rows=rows,
    )


def _throughput(result: DeviceResult) -> Table:
    rows = [
        (
            one.bundle,
            str(one.processes),
            f"{one.images / one.seconds:.2f}",
            str(one.images),
            f"{one.peak_bytes / 1e6:.0f}",
            "" if one.pss_bytes is None else f"{one.pss_bytes / 1e6:.0f}",
        )
        for one in result.throughput
    ]
    return Table(
        title="Several processes, one thread each",
        header=("bundle", "processes", "images/s", "reads", "sum of peak RSS, MB", "PSS, MB"),
        rows=rows,
    )


def _sustained(result: DeviceResult) -> Table:
    rows = []
    notes = []
    for one in result.sustained:
        kept = retention(one)
        rows.append(
            (
                one.bundle,
                str(one.threads),
                f"{one.ended_s - one.began_s:.0f}",
                str(len(one.ms)),
                _ms(sampling.median(one.ms)),
                "" if kept is None else f"{100 * kept:.1f}",
            )
        )
        notes += _notes(one.bundle, judge_sustained(result, one))
    return Table(
        title="Reading without a rest",
        header=("bundle", "threads", "s", "reads", "median ms", "last 30 s against the first, %"),
        rows=rows,
        notes=notes,
    )


def _networks(result: DeviceResult) -> Table:
    rows = []
    known = False
    for load in network_loads(result):
        run, pages = load.run, len(load.bundle.pages)
        identity = bundle_of(result, load.bundle.bundle)
        graphs = [graph for graph in identity.graphs if graph.stage == load.stage]
        peak = device_peak_gmacs(
            result.environment,
            cores=run.cores,
            threads=run.threads,
            precision=identity.precision,
        )
        known = known or peak is not None
        rows.append(
            (
                run_label(run),
                load.bundle.bundle,
                load.stage,
                f"{load.inferences / pages:.1f}",
                f"{load.gmacs / pages:.3f}",
                _ms(load.ms / pages),
                f"{load.gmacs_per_s:.1f}",
                "" if peak is None else f"{100 * load.gmacs_per_s / peak:.1f}",
                _delegation(graphs),
                "/".join(str(number) for number in sorted({g.partitions for g in graphs})),
            )
        )
    notes = []
    if rows and not known:
        notes.append(no_peak(result.environment))
    return Table(
        title="Networks against the peak of the cores, per page",
        header=(
            "run",
            "bundle",
            "stage",
            "inferences",
            "GMAC",
            "inference ms",
            "GMAC/s",
            "% of peak",
            "nodes delegated",
            "partitions",
        ),
        rows=rows,
        notes=notes,
    )


def _delegation(graphs: Sequence[Graph]) -> str:
    """Of all shapes of one network, which differ in nothing else."""
    counts = {
        (sum(op.delegated for op in graph.operators), sum(op.count for op in graph.operators))
        for graph in graphs
    }
    return ", ".join(f"{taken} of {nodes}" for taken, nodes in sorted(counts))


def _operators(result: DeviceResult) -> Iterator[Table]:
    """Every network's operators, at the largest shape that was met."""
    for bundle in result.bundles:
        for stage in STAGES:
            graphs = [graph for graph in bundle.graphs if graph.stage == stage]
            if not graphs:
                continue
            largest = max(graphs, key=lambda graph: sum(op.macs for op in graph.operators))
            whole = sum(operator.macs for operator in largest.operators)
            rows = [
                (
                    operator.kind,
                    str(operator.count),
                    str(operator.delegated),
                    f"{operator.macs / 1e6:.1f}",
                    f"{100 * operator.macs / whole:.1f}" if whole else "0.0",
                )
                for operator in largest.operators
            ]
            yield Table(
                title=f"Operators of {bundle.name}, {stage} at {largest.shape}",
                header=("operator", "nodes", "delegated", "MMAC", "% of MAC"),
                rows=rows,
            )


def _environment(result: DeviceResult) -> Table:
    rows = [
        (key, _value(value))
        for key, value in result.environment.items()
        if key not in ("cpu_capacity",)
    ]
    rows += [("versions", ", ".join(f"{k} {v}" for k, v in result.versions.items()))]
    for name, state in _states(result):
        rows += [(f"{name}: {key}", _value(value)) for key, value in state.facts.items()]
    return Table(title="Environment", header=("", "stated by the system"), rows=rows)


def _states(result: DeviceResult) -> Iterator[tuple[str, State]]:
    if result.states:
        yield "before", result.states[0]
        yield "after", result.states[-1]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        same = set(value.values())
        if len(same) == 1 and len(value) > 1:
            return f"{next(iter(same))} (all {len(value)})"
        return ", ".join(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _csv_rows(result: DeviceResult) -> Iterator[Sequence[str]]:
    for run in result.runs if has_times(result) else ():
        valid = "yes" if judge(result, run).valid else "no"
        for bundle in run.bundles:
            fixed = (
                result.created,
                result.target,
                bundle.bundle,
                bundle_of(result, bundle.bundle).precision,
                str(run.threads),
                "" if run.limit_side is None else str(run.limit_side),
            )
            pages = [(page.image, page) for page in bundle.pages]
            for metric in METRICS:
                sets = [("", run_samples(bundle, metric))]
                if metric in TIMES and len(pages) > 1:
                    sets += [(name, page_samples(page, metric)) for name, page in pages]
                for page_name, samples in sets:
                    if len(samples):
                        values = (f"{sampling.statistic(samples, name):.4f}" for name in STATISTICS)
                        count = str(len(samples))
                        yield (*fixed, page_name, metric, unit(metric), valid, count, *values)


def _ms(value: float) -> str:
    """Four digits at most, as many as a timing can carry."""
    if value <= 0:
        return "0"
    digits = max(0, min(2, 2 - math.floor(math.log10(value))))
    return f"{value:.{digits}f}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
