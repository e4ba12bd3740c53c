"""The paper beside the logs.

Tables 1 to 7 stand in tableN.csv, and experiments.py says which experiment makes which cell, bar or curve. results.py
finds the runs of an experiment in the logs; tables.py and figures/ lay them beside the paper.

A line of tableN.csv is a cell:

- `row` and `column`: as the table names them;
- `printed`: the cell's text; a `-` where the paper has no number;
- `value` and `std`: numbers in the printed unit (errors in percent, parameters in millions);
- `fail`: set for an error over 50 %;
- `arrow`: in Table 1 a comparison with the next smaller depth (↑ better, ↓ worse, ~ undecided), in Table 2 the effect
  of sharing the weights;
- `source`: where the cell was read;
- `note`: what is doubtful about it.

The tables were read from the text of arXiv:1611.07718v1, which has lost bold and color.
"""

import csv
import os
from typing import NamedTuple

FOLDER = os.path.dirname(os.path.abspath(__file__))
TABLES = range(1, 8)


class Cell(NamedTuple):
    """A cell of a table, as printed."""

    row: str
    column: str
    printed: str
    value: float | None
    std: float | None
    fail: bool
    arrow: str
    source: str
    note: str


def cells(number: int) -> list[Cell]:
    """The cells of Table 1 … 7, row by row as printed."""
    with open(os.path.join(FOLDER, f'table{number}.csv'), newline='', encoding='utf-8') as file:
        return [
            Cell(**{**line, 'value': _number(line['value']), 'std': _number(line['std']), 'fail': bool(line['fail'])})
            for line in csv.DictReader(file)
        ]


def _number(text):
    return float(text) if text else None
