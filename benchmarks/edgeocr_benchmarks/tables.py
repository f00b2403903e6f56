"""Tables, and how they look in Markdown and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Row = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under a header."""

    title: str
    header: Row
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    """Sentences that stand below it."""


_NUMBER: Final = re.compile(r"[+-]?[0-9][0-9.,%/±()+ -]*( (to|of) [0-9.()+ -]+)?")


def is_number(cell: str) -> bool:
    """Whether a cell is set to the right."""
    return _NUMBER.fullmatch(cell) is not None


def number_columns(rows: Sequence[Row], columns: int) -> list[bool]:
    """Which columns hold nothing but numbers; the others are names."""
    filled = [[row[i] for row in rows if row[i]] for i in range(columns)]
    return [bool(cells) and all(map(is_number, cells)) for cells in filled]


def markdown_table(header: Row, rows: Sequence[Row]) -> str:
    """A table of GitHub's Markdown."""

    def line(cells: Row) -> str:
        return "| " + " | ".join(cells) + " |"

    rule = ["--:" if number else ":--" for number in number_columns(rows, len(header))]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def markdown(table: Table) -> str:
    """Heading, table and notes."""
    parts = [f"### {table.title}", markdown_table(table.header, table.rows)]
    if table.notes:
        parts.append("\n".join(f"- {note}" for note in table.notes))
    return "\n\n".join(parts)


def csv_text(header: Row, rows: Sequence[Row]) -> str:
    """RFC 4180, but with plain line ends."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
