"""Plots as inline SVG: no script, no network, colours from the page's style sheet.

Text in an SVG shrinks with it, so every plot is drawn for the width that it will have: a page
holds one drawing for wide windows and one for phones. Labels stand above their bars, where there is
room for them at any width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np

_LETTER: Final = 6.6
"""Usual width of a letter in pixels, at the 12 pixels of height that the style sheet sets."""
FARTHEST: Final = 50
"""Percent off its median at which a sample is drawn, however far off it is."""
COLOURS: Final = 6
"""Classes c0, c1, ... that the style sheet has for things of one kind."""
_ROW: Final = 46
_BAR: Final = 18
_AXIS: Final = 34

Draw = Callable[[int], str]
"""Draws a plot for a width in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawing with its title and what it shows, for those who can't see it."""

    title: str
    summary: str
    draw: Draw
    legend: Sequence[tuple[str, str]] = ()
    """(Class of the style sheet, name)."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """A row of a distribution plot."""

    label: str
    values: Sequence[float]
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A row of stacked parts."""

    label: str
    parts: Sequence[tuple[str, str, float]]
    """(Class of the style sheet, name, value) from left to right."""
    total: str
    """Written behind the bar."""
    mark: float | None = None
    """Value of a line across the bar, as a peak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points of a line or scatter plot."""

    label: str
    colour: str
    points: Sequence[tuple[float, float]]
    line: bool = True
    dots: bool = True
    dashed: bool = False
    names: Sequence[str] = ()
    """Written beside the points."""


def distributions(rows: Sequence[Samples], *, unit: str) -> Draw:
    """How samples lie about their median: dots, the middle half as a box, p50 and p90 as ticks.

    Rows may differ by far more than samples of one row do, so the axis is in percent of each
    row's median, which stands at the right. What lies beyond ``FARTHEST`` is drawn there.
    """

    def draw(width: int) -> str:
        relative = [_about_median(row.values) for row in rows]
        low, high = min(min(one) for one in relative), max(max(one) for one in relative)
        margin = 0.06 * (high - low) or 1.0
        axis = _Axis(low - margin, high + margin, 0, width - 4)
        height = _ROW * len(rows) + _AXIS
        parts = [_vertical_grid(axis, height - _AXIS, "%")]
        # Dots that fall on each other are told apart by their height; the same at every drawing.
        jitter = np.random.default_rng(0)
        for i, (row, values) in enumerate(zip(rows, relative, strict=True)):
            top = i * _ROW
            middle = top + 31
            quarter, median, three_quarters, ninety = (
                axis.at(float(x)) for x in np.percentile(values, [25, 50, 75, 90])
            )
            absolute = _number(float(np.median(row.values)))
            parts.append(_label(0, top + 13, row.label, width, f"{absolute} {unit}"))
            parts.append(
                f'<rect class="{row.colour} box" x="{quarter:.1f}" y="{middle - 9}" '
                f'width="{max(three_quarters - quarter, 1):.1f}" height="18" rx="2"/>'
            )
            parts += [
                f'<circle class="{row.colour} dot" cx="{axis.at(value):.1f}" '
                f'cy="{middle + jitter.uniform(-7, 7):.1f}" r="2.5"/>'
                for value in values
            ]
            parts.append(
                f'<line class="{row.colour} tick" x1="{median:.1f}" x2="{median:.1f}" '
                f'y1="{middle - 11}" y2="{middle + 11}"/>'
                f'<line class="{row.colour} tick thin" x1="{ninety:.1f}" x2="{ninety:.1f}" '
                f'y1="{middle - 11}" y2="{middle + 11}"/>'
            )
        return _svg(width, height, parts)

    return draw


def _about_median(values: Sequence[float]) -> list[float]:
    """In percent of the median, no farther from it than FARTHEST."""
    relative = 100 * (np.asarray(values) / np.median(values) - 1)
    return [float(value) for value in np.clip(relative, -FARTHEST, FARTHEST)]


def stacked_bars(rows: Sequence[Bar], *, unit: str) -> Draw:
    """A bar for every row, from zero."""

    def draw(width: int) -> str:
        widest = max(max(sum(value for _, _, value in row.parts), row.mark or 0.0) for row in rows)
        axis = _Axis(0.0, widest * 1.02 or 1.0, 0, width - 4)
        height = _ROW * len(rows) + _AXIS
        parts = [_vertical_grid(axis, height - _AXIS, unit)]
        for i, row in enumerate(rows):
            top = i * _ROW
            parts.append(_label(0, top + 13, row.label, width, row.total))
            begin = 0.0
            for colour, name, value in row.parts:
                left, right = axis.at(begin), axis.at(begin + value)
                parts.append(
                    f'<rect class="{colour} fill" x="{left:.1f}" y="{top + 20}" '
                    f'width="{max(right - left, 0):.1f}" height="{_BAR}">'
                    f"<title>{escape(name)}: {_number(value)} {escape(unit)}</title></rect>"
                )
                begin += value
            if row.mark is not None:
                x = axis.at(row.mark)
                parts.append(
                    f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{top + 17}" '
                    f'y2="{top + 23 + _BAR}"/>'
                )
        return _svg(width, height, parts)

    return draw


def lines(
    series: Sequence[Series],
    *,
    x_title: str,
    y_title: str,
    from_zero: bool = True,
    whole_x: bool = False,
) -> Draw:
    """Lines or points over two axes.

    Args:
        series: what is drawn.
        x_title: stands below, with the unit.
        y_title: stands above, with the unit.
        from_zero: whether the vertical axis begins at 0.
        whole_x: whether the horizontal axis counts things.
    """

    def draw(width: int) -> str:
        height = 260 if width > 480 else 230
        points = [point for one in series for point in one.points]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left = 14 + _LETTER * max(len(_number(y)) for y in (min(ys), max(ys), (min(ys) + max(ys))))
        span = max(ys) - min(ys) or abs(max(ys)) or 1.0
        lowest = 0.0 if from_zero else min(ys) - 0.08 * span
        # Names stand above their points, and those of the highest need room.
        across = _Axis(*_padded(xs), left + 6, width - 12)
        up = _Axis(lowest, max(ys) + 0.12 * span, height - _AXIS - 6, 24)
        ticks = sorted(set(xs)) if whole_x and len(set(xs)) < 10 else None
        parts = [
            f'<text x="0" y="13" class="quiet">{escape(y_title)}</text>',
            _horizontal_grid(up, left, width - 4),
            _bottom_axis(across, height - _AXIS, x_title, width, ticks),
        ]
        for one in series:
            parts += _series(one, across, up, width)
        return _svg(width, height, parts)

    return draw


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self, most: int) -> list[float]:
        """Round values on it, ``most`` at most."""
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def _series(one: Series, across: _Axis, up: _Axis, width: int) -> list[str]:
    places = [(across.at(x), up.at(y)) for x, y in one.points]
    parts = []
    if one.line and len(places) > 1:
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dashed = " dashed" if one.dashed else ""
        parts.append(f'<polyline class="{one.colour} line{dashed}" points="{way}"/>')
    if one.dots:
        for (x, y), (value_x, value_y) in zip(places, one.points, strict=True):
            parts.append(
                f'<circle class="{one.colour} point" cx="{x:.1f}" cy="{y:.1f}" r="4">'
                f"<title>{escape(one.label)}: {_number(value_x)}, {_number(value_y)}</title>"
                "</circle>"
            )
    for (x, y), name in zip(places, one.names, strict=False):
        anchor = "end" if x > width * 0.6 else "start"
        shift = -8 if anchor == "end" else 8
        parts.append(
            f'<text x="{x + shift:.1f}" y="{y - 7:.1f}" text-anchor="{anchor}">'
            f"{escape(name)}</text>"
        )
    return parts


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.2 * abs(high) or 1.0
    return low - margin, high + margin


def _vertical_grid(axis: _Axis, height: float, unit: str) -> str:
    parts = []
    values = axis.ticks(5 if axis.end < 480 else 9)
    for i, value in enumerate(values):
        x = axis.at(value)
        text = _number(value) + (f" {escape(unit)}" if i == len(values) - 1 else "")
        anchor = "end" if x > axis.end - 40 else "start" if x < axis.begin + 12 else "middle"
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="16" y2="{height}"/>'
            f'<text class="quiet" x="{x:.1f}" y="{height + 17}" text-anchor="{anchor}">'
            f"{text}</text>"
        )
    return "".join(parts)


def _horizontal_grid(axis: _Axis, left: float, right: float) -> str:
    return "".join(
        f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{axis.at(value):.1f}" '
        f'y2="{axis.at(value):.1f}"/><text class="quiet" x="{left - 6:.1f}" '
        f'y="{axis.at(value) + 4:.1f}" text-anchor="end">{_number(value)}</text>'
        for value in axis.ticks(5)
    )


def _bottom_axis(
    axis: _Axis, top: float, title: str, width: int, ticks: Sequence[float] | None
) -> str:
    values = ticks if ticks is not None else axis.ticks(5 if width < 480 else 8)
    marks = "".join(
        f'<text class="quiet" x="{axis.at(value):.1f}" y="{top + 12}" '
        f'text-anchor="middle">{_number(value)}</text>'
        for value in values
    )
    return (
        f'<line class="axis" x1="{axis.begin - 6:.1f}" x2="{width - 4}" y1="{top - 4}" '
        f'y2="{top - 4}"/>{marks}<text class="quiet" x="{width - 4}" y="{top + 28}" '
        f'text-anchor="end">{escape(title)}</text>'
    )


def _label(x: float, y: float, text: str, width: int, value: str) -> str:
    """A name at the left and a figure at the right of a row; the name is cut where they meet."""
    room = int((width - _LETTER * (len(value) + 3)) / _LETTER)
    shown = text if len(text) <= room else text[: max(room - 1, 1)] + "…"
    return (
        f'<text x="{x}" y="{y}"><title>{escape(text)}</title>{escape(shown)}</text>'
        f'<text class="strong" x="{width - 2}" y="{y}" text-anchor="end">{escape(value)}</text>'
    )


def _svg(width: int, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height:.0f}" width="{width}" height="{height:.0f}" '
        f'aria-hidden="true">{"".join(parts)}</svg>'
    )


def _number(value: float) -> str:
    """Short: 1,250 or 12.5 or 0.125."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
