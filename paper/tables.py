"""A table of the paper beside our logs: what the runs found give for each cell. formats.py prints it."""

import string
from typing import NamedTuple

import paper
from paper import results, significance
from paper.experiments import DEPTH, PARAMETERS, of_cell

NOTHING = '–'
# Why a cell has a ≠.
NOT_AS_PRINTED = 'a computed number that rounds to another one than the paper prints'
ONE_FAILED = 'a "fail" (over 50 %) on one side alone'
MEANS_DIFFER = "a mean that differs from the paper's by Welch's t-test (two-sided, 5 %)"
OUTSIDE_SPREAD = "a single run outside the paper's spread (95 % prediction interval of its five runs)"


class Group(NamedTuple):
    """Runs of a cell that differ in the seed alone.

    letter: of the note that says how they differ from the paper's; empty where they do not.
    """

    found: results.Found
    letter: str

    @property
    def last(self) -> str:
        """The error of the last epoch."""
        return self._bracket(results.text(self.found.last))

    @property
    def best(self) -> str:
        """The smallest error of any epoch; empty where only the last is known."""
        return self._bracket(results.text(self.found.best)) if self.found.best else ''

    def _bracket(self, text):
        return f'[{text} {self.letter}]' if self.letter else text


class Comparison(NamedTuple):
    """A cell: the paper's, and beside it our groups of runs or the text of our computed number.

    reason: why the two disagree; empty where they do not.
    """

    paper: paper.Cell
    groups: list[Group]
    computed: str
    reason: str

    @property
    def disagrees(self) -> bool:
        """Whether the cell is marked."""
        return bool(self.reason)

    @property
    def last(self) -> str:
        """Our errors of the last epoch, or the computed number."""
        text = self.computed or '; '.join(group.last for group in self.groups) or NOTHING
        return f'≠ {text}' if self.reason else text

    @property
    def best(self) -> str:
        """Our smallest errors of any epoch."""
        return '; '.join(group.best for group in self.groups if group.best) or NOTHING


class Table(NamedTuple):
    """A table of the paper beside our logs.

    rows: {row: {column: Comparison}}.
    notes: (letter, text) for each way in which runs differ from the paper's.
    """

    number: int
    columns: list[str]
    rows: dict[str, dict[str, Comparison]]
    notes: list[tuple[str, str]]

    @property
    def cells(self) -> list[Comparison]:
        """All cells, row by row."""
        return [cell for cells in self.rows.values() for cell in cells.values()]

    @property
    def has_runs(self) -> bool:
        """Whether any cell has a run."""
        return any(cell.groups for cell in self.cells)


def table(number: int, log_dir: str) -> Table:
    """Table 1 … 7 beside the runs in log_dir.

    Raises:
        UserError: a run is damaged.
    """
    differing: dict[tuple[str, ...], list[str]] = {}  # {differences: runs}, in the order of the letters
    rows: dict[str, dict[str, Comparison]] = {}
    columns = []
    for cell in paper.cells(number):
        rows.setdefault(cell.row, {})[cell.column] = _compare(number, cell, log_dir, differing)
        if cell.column not in columns:
            columns.append(cell.column)
    notes = [
        (_letter(differences, differing), f'{", ".join(differences)}; {", ".join(dict.fromkeys(runs))}')
        for differences, runs in differing.items()
    ]
    return Table(number, columns, rows, notes)


def _compare(number, cell, log_dir, differing):
    measurements = of_cell(number, cell.row, cell.column)
    if measurements and measurements[0].measure in (DEPTH, PARAMETERS):
        return _computed(cell, measurements)
    groups = []
    for found in (found for measurement in measurements for found in results.find(measurement, log_dir)):
        if found.differences:
            differing.setdefault(found.differences, []).extend(found.runs)
        groups.append(Group(found, _letter(found.differences, differing)))
    reasons = [_reason(cell, group.found.last) for group in groups if not group.letter]
    return Comparison(cell, groups, '', next(filter(None, reasons), ''))


def _letter(differences, differing):
    """a … z, aa … zz, by the place among all differences; none for runs as in the paper."""
    if not differences:
        return ''
    place = list(differing).index(differences)
    return string.ascii_lowercase[place % 26] * (place // 26 + 1)


def _computed(cell, measurements):
    """The comparison of a number that is computed from one network or several."""
    values = sorted({results.computed(measurement) for measurement in measurements})
    if measurements[0].measure == DEPTH:
        shown = [str(value) for value in values]
    else:
        shown = list(dict.fromkeys(f'{value:.2f}M' for value in values))
    printed = cell.printed.split(' ')[0].rstrip('M')
    digits = len(printed.partition('.')[2])
    agrees = all(f'{value:.{digits}f}' == printed for value in values)
    return Comparison(cell, [], ' to '.join(shown[:1] + shown[1:][-1:]), '' if agrees else NOT_AS_PRINTED)


def _reason(cell, errors):
    """Why the errors of runs as in the paper disagree with the printed cell; empty where they do not."""
    good, failed = results.split(errors)
    if cell.fail:
        return ONE_FAILED if good else ''
    if failed:
        return ONE_FAILED
    if cell.std is None or not significance.differs(cell.value, cell.std, good):
        return ''
    return MEANS_DIFFER if len(good) > 1 else OUTSIDE_SPREAD
