"""What the paper says: its Tables 1 to 7, and in runs.py which run makes which cell, bar or curve.

tableN.csv has a line for each cell: `row` and `column`, as the table names them; `printed`, the cell's text; `value`
and `std`, numbers in the unit that is printed (errors in percent, parameters in millions); `fail`, for an error over
50 %; `arrow`, which in Table 1 points where the error of the next smaller depth was (↑ better, ↓ worse, ~ undecided)
and in Table 2 says what sharing the weights does; `source`; `note`, on what is doubtful. A `-` is printed where there
is no number. The tables were read from the text of arXiv:1611.07718v1, where bold and colour are lost.
"""
import csv
import os
from typing import NamedTuple, Optional

FOLDER = os.path.dirname(os.path.abspath(__file__))
TABLES = range(1, 8)


class Cell(NamedTuple):
    """A cell of a table, as printed."""

    row: str
    column: str
    printed: str
    value: Optional[float]
    std: Optional[float]
    fail: bool
    arrow: str
    source: str
    note: str


def cells(number):
    """The Cells of a table, row by row as printed; number: 1 … 7."""
    with open(os.path.join(FOLDER, 'table%d.csv' % number), newline='', encoding='utf-8') as file:
        return [Cell(**{**line, 'value': _number(line['value']), 'std': _number(line['std']),
                        'fail': bool(line['fail'])}) for line in csv.DictReader(file)]


def _number(text):
    return float(text) if text else None
