"""The tables of compression: what each row is, and what PP-OCR and PaddleSlim report of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from edgeocr_benchmarks.environment import machine
from edgeocr_benchmarks.sampling import median, ratio_of_medians
from edgeocr_training.compression.quantization.activation_quantizer import QuantizationConfig
from edgeocr_training.compression.quantization.range_estimation import Method
from edgeocr_training.recipes.quantization import PACT, PP_OCR, WITHOUT_PACT

Stage: TypeAlias = Literal["det", "cls", "rec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a paper says of a row. ``metric`` is a share; it has its own data and phone."""

    metric: float
    megabytes: float | None = None
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionRow:
    """A way to make a network small."""

    name: str
    """Of its files."""
    title: str
    pruned: bool = False
    """Whether it begins with the pruned network."""
    method: Method | None = None
    """Of ranges without training."""
    equalised: bool = False
    """Whether channels are brought to like ranges before."""
    quantization: QuantizationConfig | None = None
    """Of training in integers."""
    reported: Mapping[Stage, Reported] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedRow:
    """What was measured of a row."""

    name: str
    figures: Mapping[str, float]
    """Of the recipe's evaluation; in integers where the network is."""
    bytes: int
    """Of the TFLite file."""
    milliseconds: tuple[float, ...] = ()
    """Of a run, in turns with the other rows."""


_FLOAT: Final = CompressionRow(
    name="float",
    title="float32",
    reported={
        "det": Reported(metric=0.617, milliseconds=224),
        "cls": Reported(metric=0.9403, megabytes=0.85, milliseconds=3.21),
        "rec": Reported(metric=0.6581, megabytes=4.6, milliseconds=12),
    },
)
_PACT: Final = CompressionRow(name="pact", title="PACT, both ends learnt apart", quantization=PACT)

QUANTIZATION_ROWS: Final = (
    _FLOAT,
    CompressionRow(name="minmax", title="without training, extremes", method="minmax"),
    CompressionRow(name="kl", title="without training, KL divergence", method="kl"),
    CompressionRow(name="mse", title="without training, squared error", method="mse"),
    CompressionRow(
        name="equalised",
        title="without training, channels equalised, squared error",
        method="mse",
        equalised=True,
    ),
    CompressionRow(name="qat", title="training without PACT", quantization=WITHOUT_PACT),
    CompressionRow(
        name="pact_symmetric",
        title="PACT, symmetric (PP-OCR's)",
        quantization=PP_OCR,
        reported={
            "det": Reported(metric=0.621, milliseconds=195),
            "cls": Reported(metric=0.9456, megabytes=0.46, milliseconds=2.38),
            "rec": Reported(metric=0.6740, megabytes=1.5, milliseconds=11),
        },
    ),
    _PACT,
)
"""How to quantize a network. PP-OCR's figures (arXiv:2009.09941) are for a Snapdragon 855."""

PRUNING_ROWS: Final = (
    _FLOAT,
    CompressionRow(
        name="pruned",
        title="pruned (FPGM)",
        pruned=True,
        reported={"det": Reported(metric=0.6157, milliseconds=138)},
    ),
    CompressionRow(
        name="pact",
        title="PACT",
        quantization=PACT,
        reported={"det": Reported(metric=0.621, milliseconds=195)},
    ),
    CompressionRow(
        name="pruned_pact",
        title="pruned (FPGM), PACT",
        pruned=True,
        quantization=PACT,
        reported={"det": Reported(metric=0.6086, milliseconds=142)},
    ),
)
"""Pruning and quantization, alone and together. PaddleSlim's figures are for the same phone."""


def markdown(
    rows: Sequence[CompressionRow],
    measured: Mapping[str, CompressedRow],
    *,
    stage: Stage,
    metric: str,
) -> str:
    """A Markdown table of what was measured beside what was reported.

    Args:
        rows: in order; the first is what the others are compared with.
        measured: by name, of each row.
        stage: that the network is for.
        metric: figure that is shown, a share.
    """
    papers = [row.reported.get(stage) for row in rows]
    columns = [
        (f"paper {heading}", attribute)
        for heading, attribute in (
            (metric, "metric"),
            ("MB", "megabytes"),
            ("ms", "milliseconds"),
        )
        if any(getattr(paper, attribute, None) is not None for paper in papers)
    ]
    headings = ["", metric, "points", "bytes", "ms", "of float32"]
    headings += [heading for heading, _ in columns]
    lines = [_line(headings), "|--" * len(headings) + "|"]
    base = measured[rows[0].name]
    for row, paper in zip(rows, papers, strict=True):
        own = measured[row.name]
        share = own.figures[metric]
        ratio = ratio_of_medians(own.milliseconds, base.milliseconds)
        lines.append(
            _line(
                [
                    row.title,
                    f"{100 * share:.2f}",
                    "" if own is base else f"{100 * (share - base.figures[metric]):+.2f}",
                    f"{own.bytes:,}",
                    f"{median(own.milliseconds):.2f}",
                    ""
                    if own is base
                    else f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})",
                    *(_reported(paper, attribute) for _, attribute in columns),
                ]
            )
        )
    return "\n".join(lines)


def measured_on() -> dict[str, Any]:
    """The machine, as results of ``edgeocr-bench`` record it."""
    return machine()


def _reported(paper: Reported | None, attribute: str) -> str:
    value: Any = getattr(paper, attribute, None)
    if value is None:
        return ""
    return f"{100 * value:.2f}" if attribute == "metric" else f"{value:g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
