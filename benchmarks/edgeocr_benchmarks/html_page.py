"""One page with plots and tables that needs nothing but itself: no script, font or image.

Made for a wide window and for a phone, for light and dark surroundings, and for printing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from edgeocr_benchmarks import sampling
from edgeocr_benchmarks.cost_model import page_costs
from edgeocr_benchmarks.device_report import (
    bundle_of,
    cost_models,
    device_tables,
    heading,
    machine_name,
    network_loads,
    run_label,
    scores,
    thread_count,
)
from edgeocr_benchmarks.device_results import DeviceResult, DeviceRun
from edgeocr_benchmarks.instruction_plots import instruction_plots
from edgeocr_benchmarks.instruction_report import (
    instruction_heading,
    instruction_tables,
    ratio_tables,
    setting,
)
from edgeocr_benchmarks.instruction_results import InstructionResult
from edgeocr_benchmarks.metrics import BREAKDOWN, run_samples
from edgeocr_benchmarks.plots import (
    COLOURS,
    FARTHEST,
    Bar,
    Plot,
    Samples,
    Series,
    distributions,
    lines,
    stacked_bars,
)
from edgeocr_benchmarks.report import accuracy_tables, speed_tables
from edgeocr_benchmarks.results import AccuracyResult, Result, SpeedResult
from edgeocr_benchmarks.roofline import device_peak_gmacs, no_peak
from edgeocr_benchmarks.tables import Table, number_columns
from edgeocr_benchmarks.validity import has_times, judge_result

WIDE: Final = 760
NARROW: Final = 330
"""Widths in pixels that plots are drawn for."""

_HOW_TO_READ: Final = (
    "The box is their middle half; thick: median, thin: 90th percentile. What is more than "
    f"{FARTHEST} % off is drawn there."
)
_OPEN_TABLES: Final = 4
"""So many tables of a result are open from the start; the others wait for a click."""

_STYLE: Final = """
:root { color-scheme: light dark; --paper: #fbfbfa; --card: #ffffff; --ink: #1c1f23;
  --quiet: #5c636d; --rule: #e3e5e8; --bad: #b3261e; --bad-paper: #fdecea; --good: #1a7f4b;
  --c0: #2563b8; --c1: #c2570c; --c2: #2c8a57; --c3: #8a4fbf; --c4: #b8326c; --c5: #6f7400;
  --load: #9aa3ad; --crop: #6d7782; --other: #c9ced4;
  --det0: #9cc0ee; --det1: #2563b8; --det2: #143c74; --cls0: #a5d9bd; --cls1: #2c8a57;
  --cls2: #17563a; --rec0: #f3c08f; --rec1: #d56a14; --rec2: #8a3f06; }
@media (prefers-color-scheme: dark) { :root { --paper: #14161a; --card: #1c1f25; --ink: #e8eaed;
  --quiet: #9da5b0; --rule: #31363e; --bad: #ff8a80; --bad-paper: #3a1f1d; --good: #63d297;
  --c0: #6ea8fe; --c1: #ff9d57; --c2: #5fd39a; --c3: #c39bff; --c4: #ff8ab8; --c5: #d0d64f;
  --load: #7d8792; --crop: #a2acb8; --other: #4a515b;
  --det0: #31588f; --det1: #5b97f0; --det2: #b4d2ff; --cls0: #27674a; --cls1: #46b982;
  --cls2: #aeeccd; --rec0: #80471c; --rec1: #ee8b3a; --rec2: #ffd3a8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 830px; margin: 0 auto; padding: 28px 16px 64px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 19px; line-height: 1.3; margin: 44px 0 4px; }
h3 { font-size: 15px; margin: 0 0 10px; }
p { margin: 4px 0 12px; }
.quiet { color: var(--quiet); }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 16px 18px; margin: 14px 0; }
.invalid { background: var(--bad-paper); border-color: var(--bad); }
.invalid strong { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(118px, 1fr)); gap: 10px;
  margin: 14px 0; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 10px 14px; }
.tile b { display: block; font-size: 21px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--quiet); font-size: 13px; line-height: 1.3; display: block; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 13px; margin: 0 0 8px;
  padding: 0; list-style: none; }
.bundle { font-weight: 600; margin: 16px 0 -6px; }
.bundle i, .legend i { display: inline-block; width: 11px; height: 11px; border-radius: 3px;
  margin-right: 5px; background: currentColor; }
figure { margin: 0; }
figcaption { color: var(--quiet); font-size: 13px; margin-top: 6px; }
svg { display: block; max-width: 100%; height: auto; font-size: 12px; overflow: visible; }
svg text { fill: var(--ink); } svg text.quiet { fill: var(--quiet); }
svg text.strong { font-weight: 600; }
svg .grid { stroke: var(--rule); } svg .axis { stroke: var(--quiet); }
svg .fill { fill: currentColor; } svg .box { fill: currentColor; opacity: .18; }
svg .dot { fill: currentColor; opacity: .55; } svg .point { fill: currentColor; }
svg .tick { stroke: currentColor; stroke-width: 2.5; } svg .thin { stroke-width: 1.2; }
svg .line { fill: none; stroke: currentColor; stroke-width: 2; }
svg .dashed { stroke-dasharray: 5 4; opacity: .7; }
svg .mark { stroke: var(--ink); stroke-width: 2; stroke-dasharray: 3 2; }
.narrow { display: none; }
@media (max-width: 799px) { .wide { display: none; } .narrow { display: block; } }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums;
  min-width: 100%; }
th, td { padding: 5px 9px; text-align: left; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
th { font-weight: 600; color: var(--quiet); vertical-align: bottom; }
td { white-space: nowrap; }
td:first-child, th:first-child { padding-left: 0; }
.number { text-align: right; }
.text td + td { white-space: normal; overflow-wrap: anywhere; }
.notes { font-size: 13px; color: var(--quiet); margin: 8px 0 0; padding-left: 18px; }
summary { cursor: pointer; font-weight: 600; }
details[open] summary { margin-bottom: 10px; }
code { font: 12px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
@media (max-width: 799px) { main { padding: 18px 12px 48px; } .card { padding: 13px 13px; } }
@media print { body { background: #fff; } .card, .tile { break-inside: avoid; } }
"""

_SERIES: Final = "".join(f".c{i}{{color:var(--c{i})}}" for i in range(COLOURS)) + "".join(
    f".{name}{{color:var(--{name})}}"
    for name in (
        "load",
        "crop",
        "other",
        *(f"{stage}{i}" for stage in ("det", "cls", "rec") for i in range(3)),
    )
)


def html_page(results: Sequence[Result]) -> str:
    """All results of devices, of speed, of accuracy and of instructions on one page."""
    devices = [result for result in results if isinstance(result, DeviceResult)]
    speed = [result for result in results if isinstance(result, SpeedResult)]
    accuracy = [result for result in results if isinstance(result, AccuracyResult)]
    instructions = [result for result in results if isinstance(result, InstructionResult)]
    body = [
        "<h1>edgeocr benchmarks</h1>",
        '<p class="quiet">Raw samples are recorded; every figure below was computed from them '
        "when this page was made.</p>",
    ]
    for device in devices:
        body += _device(device)
    if speed:
        body.append("<h2>Whole pages, engines in turns</h2>")
        body += [_figure(plot) for plot in _engine_plots(speed)]
        body += [_table(table) for table in speed_tables(speed)]
    if accuracy:
        body.append("<h2>Accuracy on labelled images</h2>")
        body += [_table(table) for table in accuracy_tables(accuracy)]
    if instructions:
        body += _instructions(instructions)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>edgeocr benchmarks</title><style>{_STYLE}{_SERIES}</style></head>\n"
        f"<body><main>\n{chr(10).join(body)}\n</main></body></html>\n"
    )


def _device(result: DeviceResult) -> Iterator[str]:
    yield f"<h2>{escape(machine_name(result.environment))}</h2>"
    where = heading(result).removeprefix(machine_name(result.environment) + ", ")
    kernel = result.environment.get("kernel", "")
    yield f'<p class="quiet">{escape(where)}; {escape(str(kernel))}</p>'
    reasons = judge_result(result).invalid
    if reasons:
        rows = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
        yield (
            '<div class="card invalid"><strong>Invalid: do not use these times.</strong>'
            f'<ul class="notes">{rows}</ul></div>'
        )
    if has_times(result):
        yield from _tiles(result)
        yield from map(_figure, _device_plots(result))
    for i, table in enumerate(device_tables(result)):
        yield _table(table, opened=i < _OPEN_TABLES)
    yield (
        '<details class="card"><summary>Command</summary><code>'
        f"{escape(' '.join(result.command))}</code></details>"
    )


def _tiles(result: DeviceResult) -> Iterator[str]:
    """The figures of the first run, a row for every bundle."""
    run = result.runs[0]
    summed = scores(result)
    for bundle in run.bundles:
        size = sum(bundle_of(result, bundle.bundle).bytes.values()) / 1e6
        starts, peak = run_samples(bundle, "start"), run_samples(bundle, "peak")
        figures = [(_short(sampling.median(run_samples(bundle, "total"))) + " ms", "a page, warm")]
        if len(starts):
            figures.append((_short(sampling.median(starts)) + " ms", "start to text"))
            figures.append((f"{sampling.median(peak):.0f} MB", "peak memory"))
        figures.append((f"{size:.1f} MB", "on disk"))
        if bundle.bundle in summed:
            characters = summed[bundle.bundle][0].characters
            figures.append((f"{100 * characters.hmean:.1f} %", "characters F"))
        tiles = "".join(
            f'<div class="tile"><b>{escape(value)}</b><span>{escape(what)}</span></div>'
            for value, what in figures
        )
        name = escape(f"{bundle.bundle}, {run_label(run)}")
        yield (
            f'<p class="bundle"><i class="{_colour(result, bundle.bundle)}"></i>{name}</p>'
            f'<div class="tiles">{tiles}</div>'
        )


def _device_plots(result: DeviceResult) -> Iterator[Plot]:
    yield _latency_plot(result)
    yield _stage_plot(result)
    yield from _cost_plots(result)
    yield from _size_plot(result)
    yield from _thread_plot(result)
    yield from _roofline_plot(result)
    yield from _throughput_plot(result)
    yield from _sustained_plot(result)
    yield from _clock_plots(result)


def _latency_plot(result: DeviceResult) -> Plot:
    rows = [
        Samples(
            label=f"{bundle.bundle}, {run_label(run)}",
            values=run_samples(bundle, "total").tolist(),
            colour=_colour(result, bundle.bundle),
        )
        for run in result.runs
        for bundle in run.bundles
    ]
    return Plot(
        title="Warm reads about their median",
        summary="One dot a round, the mean over its pages; medians at the right.",
        draw=distributions(rows, unit="ms"),
        note=f"Dots are rounds. {_HOW_TO_READ}",
    )


def _stage_plot(result: DeviceResult) -> Plot:
    rows = []
    for run in result.runs:
        for bundle in run.bundles:
            parts = [
                (_part_colour(key), key, sampling.median(run_samples(bundle, key)))
                for key in BREAKDOWN
            ]
            total = sampling.median(run_samples(bundle, "total"))
            rows.append(
                Bar(
                    label=f"{bundle.bundle}, {run_label(run)}",
                    parts=parts,
                    total=f"{_short(total)} ms",
                )
            )
    return Plot(
        title="Where the time goes",
        summary="Medians of every part of a read, stacked.",
        draw=stacked_bars(rows, unit="ms"),
        legend=[(_part_colour(key), key) for key in BREAKDOWN],
        note="Medians of parts; they add up to nearly the median of the whole.",
    )


def _cost_plots(result: DeviceResult) -> Iterator[Plot]:
    """Time over lines, with the fitted cost, for pages that the detector saw in one size."""
    series = []
    formulas = []
    for run, bundle, model in cost_models(result):
        if run is not result.runs[0]:
            continue
        colour = _colour(result, bundle.bundle)
        costs = page_costs(bundle)
        sizes = sorted({cost.megapixels for cost in costs})
        for size in sizes:
            pages = sorted((c for c in costs if c.megapixels == size), key=lambda c: c.lines)
            measured = [(c.lines, c.ms) for c in pages]
            series.append(Series(label=bundle.bundle, colour=colour, points=measured, line=False))
            fitted = [
                (
                    c.lines,
                    model.predict(
                        lines=c.lines,
                        megapixels=c.megapixels,
                        text_megapixels=c.text_megapixels,
                    ),
                )
                for c in pages
            ]
            series.append(
                Series(label="fitted", colour=colour, points=fitted, dots=False, dashed=True)
            )
        formulas.append(f"{bundle.bundle}: {model}")
    if series:
        yield Plot(
            title="What a page costs",
            summary="Time of a page over the lines on it, and the fitted cost.",
            draw=lines(series, x_title="lines found", y_title="ms a page", whole_x=False),
            legend=_bundle_legend(result),
            note=". ".join(formulas) + ". One dashed line for every size of page.",
        )


def _size_plot(result: DeviceResult) -> Iterator[Plot]:
    summed = scores(result)
    if len(summed) < 2:
        return
    series = [
        Series(
            label=name,
            colour=_colour(result, name),
            points=[
                (
                    sum(bundle_of(result, name).bytes.values()) / 1e6,
                    100 * page.characters.hmean,
                )
            ],
            names=[name],
            line=False,
        )
        for name, (page, _, _) in summed.items()
    ]
    yield Plot(
        title="Size against accuracy",
        summary="Bytes of the models on disk, and how many characters were read right.",
        draw=lines(series, x_title="MB on disk", y_title="characters F, %", from_zero=False),
    )


def _thread_plot(result: DeviceResult) -> Iterator[Plot]:
    runs = [run for run in result.runs if run.limit_side == result.runs[0].limit_side]
    counts = sorted({run.threads for run in runs})
    if len(counts) < 2:
        return
    by_threads = {run.threads: run for run in runs}
    series = []
    for bundle in runs[0].bundles:
        times = {n: _median_total(by_threads[n], bundle.bundle) for n in counts}
        series.append(
            Series(
                label=bundle.bundle,
                colour=_colour(result, bundle.bundle),
                points=[(n, times[counts[0]] / times[n]) for n in counts],
            )
        )
    ideal = [(n, n / counts[0]) for n in counts]
    series.append(Series(label="ideal", colour="other", points=ideal, dots=False, dashed=True))
    yield Plot(
        title="What more threads bring",
        summary="Speed against that with the fewest threads.",
        draw=lines(series, x_title="threads", y_title="times as fast", whole_x=True),
        legend=[*_bundle_legend(result), ("load", "ideal")],
    )


def _roofline_plot(result: DeviceResult) -> Iterator[Plot]:
    rows = []
    marked = False
    for load in network_loads(result):
        run, rate = load.run, load.gmacs_per_s
        identity = bundle_of(result, load.bundle.bundle)
        peak = device_peak_gmacs(
            result.environment,
            cores=run.cores,
            threads=run.threads,
            precision=identity.precision,
        )
        share = "" if peak is None else f", {100 * rate / peak:.0f} %"
        marked = marked or peak is not None
        rows.append(
            Bar(
                label=f"{load.stage}, {load.bundle.bundle}, {run_label(run)}",
                parts=[(f"{load.stage}1", load.stage, rate)],
                total=f"{_short(rate)} GMAC/s{share}",
                mark=peak,
            )
        )
    if rows:
        yield Plot(
            title="Arithmetic against the peak of the cores",
            summary="Multiply-accumulates a second of every network.",
            draw=stacked_bars(rows, unit="GMAC/s"),
            note="Dashed, and 100 %: cores x multiplications per cycle x clock."
            if marked
            else no_peak(result.environment),
        )


def _throughput_plot(result: DeviceResult) -> Iterator[Plot]:
    if not result.throughput:
        return
    rows = [
        Bar(
            label=f"{one.bundle}, {one.processes} process{'es' if one.processes > 1 else ''}",
            parts=[(_colour(result, one.bundle), one.bundle, one.images / one.seconds)],
            total=f"{_short(one.images / one.seconds)} pages/s",
        )
        for one in result.throughput
    ]
    yield Plot(
        title="Pages per second of several processes",
        summary="Every process has one thread.",
        draw=stacked_bars(rows, unit="pages/s"),
    )


def _sustained_plot(result: DeviceResult) -> Iterator[Plot]:
    series = [
        Series(
            label=one.bundle,
            colour=_colour(result, one.bundle),
            points=list(zip(one.at_s, one.ms, strict=True)),
            dots=False,
        )
        for one in result.sustained
        if len(one.ms) > 1
    ]
    if series:
        yield Plot(
            title="Reading without a rest",
            summary="Time of every read.",
            draw=lines(series, x_title="seconds", y_title="ms a page"),
            legend=_bundle_legend(result),
        )


def _clock_plots(result: DeviceResult) -> Iterator[Plot]:
    """The hottest sensor and the highest clock over the whole measurement."""
    for fact, title, unit, scale in (
        ("temperature_c", "The hottest sensor", "°C", 1.0),
        ("scaling_cur_freq_khz", "The highest clock", "MHz", 1e-3),
    ):
        points = [
            (state.at_s, scale * max(float(value) for value in state.facts[fact].values()))
            for state in result.states
            if state.facts.get(fact)
        ]
        if len(points) > 1:
            one = Series(label=title, colour="c1", points=points, dots=False)
            yield Plot(
                title=title,
                summary="Over the whole measurement.",
                draw=lines([one], x_title="seconds", y_title=unit, from_zero=False),
            )


def _engine_plots(results: Sequence[SpeedResult]) -> Iterator[Plot]:
    for result in results:
        names = list(
            dict.fromkeys(engine.engine.name for run in result.runs for engine in run.engines)
        )
        rows = [
            Samples(
                label=f"{engine.engine.name}, {thread_count(run.threads)}",
                values=engine.warm_ms,
                colour=f"c{names.index(engine.engine.name) % COLOURS}",
            )
            for run in result.runs
            for engine in run.engines
        ]
        bars = [
            Bar(
                label=row.label,
                parts=[(row.colour, row.label, sampling.median(row.values))],
                total=f"{_short(sampling.median(row.values))} ms",
            )
            for row in rows
        ]
        yield Plot(
            title=f"Warm reads of {result.page.name}",
            summary="Medians of every engine.",
            draw=stacked_bars(bars, unit="ms"),
        )
        yield Plot(
            title="The same about their median",
            summary="One dot a read; medians at the right.",
            draw=distributions(rows, unit="ms"),
            note=f"Dots are reads. {_HOW_TO_READ}",
        )


def _instructions(results: Sequence[InstructionResult]) -> Iterator[str]:
    yield "<h2>Instructions on emulated boards</h2>"
    yield (
        '<p class="quiet">Counts, never times: an emulated processor has no cache, no pipeline and '
        "no memory bus. They compare builds and precisions on one board.</p>"
    )
    yield from map(_figure, instruction_plots(results))
    yield from map(_table, ratio_tables(results))
    for result in results:
        yield f'<h3 class="result">{escape(instruction_heading(result))}</h3>'
        yield f'<p class="quiet">{escape(setting(result))}</p>'
        yield from map(_table, instruction_tables(result))


def _figure(plot: Plot) -> str:
    legend = "".join(
        f'<li><i class="{colour}"></i>{escape(name)}</li>' for colour, name in plot.legend
    )
    caption = f"<figcaption>{escape(plot.note)}</figcaption>" if plot.note else ""
    return (
        f'<div class="card"><h3>{escape(plot.title)}</h3>'
        + (f'<ul class="legend">{legend}</ul>' if legend else "")
        + f'<figure role="img" aria-label="{escape(plot.summary)}">'
        f'<div class="wide">{plot.draw(WIDE)}</div>'
        f'<div class="narrow">{plot.draw(NARROW)}</div>{caption}</figure></div>'
    )


def _table(table: Table, *, opened: bool = True) -> str:
    numbers = number_columns(table.rows, len(table.header))

    def cells(kind: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{kind}{' class=number' if number else ''}>{escape(cell)}</{kind}>"
            for cell, number in zip(row, numbers, strict=True)
        )

    rows = "".join(f"<tr>{cells('td', row)}</tr>" for row in table.rows)
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    # Long values of the environment may be broken anywhere; sizes and names may not.
    text = "" if any(numbers) or len(numbers) > 2 else ' class="text"'
    return (
        f'<details class="card"{" open" if opened else ""}><summary>{escape(table.title)}'
        f'</summary><div class="scroll"><table{text}><thead><tr>{cells("th", table.header)}'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
        + "</details>"
    )


def _colour(result: DeviceResult, bundle: str) -> str:
    names = [one.name for one in result.bundles]
    return f"c{names.index(bundle) % COLOURS}"


def _part_colour(key: str) -> str:
    stage, dot, part = key.partition(".")
    return f"{stage}{('pre', 'inference', 'post').index(part)}" if dot else key


def _bundle_legend(result: DeviceResult) -> list[tuple[str, str]]:
    return [(_colour(result, bundle.name), bundle.name) for bundle in result.bundles]


def _median_total(run: DeviceRun, name: str) -> float:
    bundle = next(bundle for bundle in run.bundles if bundle.bundle == name)
    return sampling.median(run_samples(bundle, "total"))


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
