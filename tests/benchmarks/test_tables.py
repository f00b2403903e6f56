import csv
import io

import pytest

from edgeocr_benchmarks.tables import Table, csv_text, is_number, markdown


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("412.0", True),
        ("-0.5", True),
        ("+5.00 to +6.10", True),
        ("0.249 (0.240 to 0.260)", True),
        ("29 of 30", True),
        ("4669 ± 130", True),
        ("1 thread", False),
        ("2025-01-02T03:04:05Z", False),
        ("48x320", False),
        ("", False),
    ],
)
def test_numbers_and_names(cell: str, number: bool) -> None:
    assert is_number(cell) is number


def test_columns_of_numbers_are_set_to_the_right() -> None:
    rows = [("edge", "1.0", ""), ("2 of 3 things", "2.0", "")]
    table = Table(title="T", header=("name", "ms", "none"), rows=rows, notes=["Slow."])
    assert markdown(table) == (
        "### T\n\n| name | ms | none |\n| :-- | --: | :-- |\n"
        "| edge | 1.0 |  |\n| 2 of 3 things | 2.0 |  |\n\n- Slow."
    )


def test_csv_is_read_as_it_was_written() -> None:
    rows = [('a "quoted", name', "1"), ("two\nrows", "2")]
    text = csv_text(("name", "ms"), rows)
    assert list(csv.reader(io.StringIO(text))) == [["name", "ms"], *map(list, rows)]
