"""What the paper prints for a name."""

import functools
import math

import paper
from paper import experiments
from paper.claims.names import Subject


@functools.cache
def _cells() -> dict[tuple, paper.Cell]:
    """{(measure, experiment): cell}, the one with a deviation where several tables have it."""
    found = {}
    for number in paper.TABLES:
        for cell in paper.cells(number):
            for measurement in experiments.of_cell(number, cell.row, cell.column):
                known = found.get(measurement[:2])
                if known is None or (cell.std and not known.std):
                    found[measurement[:2]] = cell
    return found


def printed_cell(one: Subject) -> paper.Cell | None:
    """The cell of a table that prints a subject."""
    return None if one.epochs else _cells().get(one.measurement[:2])


def printed_number(one: Subject) -> float:
    """The number that the paper has for a subject: infinite for a "fail", nan for none."""
    cell = printed_cell(one)
    if cell is None:
        return one.number
    return math.inf if cell.fail else math.nan if cell.value is None else cell.value
