"""A table of the paper with what our logs have for each cell; formats.py prints it."""
import math
import string
from typing import NamedTuple

import paper
from paper import results
from paper.experiments import DEPTH, PARAMETERS, of_cell

PAPERS_RUNS = 5  # behind a mean ± std of the paper
NOTHING = '–'


class Group(NamedTuple):
    """Runs that make a cell; letter: of the note that says what differs, empty for those as in the paper."""

    found: results.Found
    letter: str

    @property
    def last(self):
        """The error of the last epoch, as shown."""
        return self._mark(results.text(self.found.last))

    @property
    def best(self):
        """The smallest error of any epoch, as shown."""
        return self._mark(results.text(self.found.best)) if self.found.best else ''

    def _mark(self, text):
        return '[%s %s]' % (text, self.letter) if self.letter else text


class Shown(NamedTuple):
    """A cell: the paper's, our groups of runs or our computed number as text, and whether they disagree."""

    paper: paper.Cell
    groups: list
    computed: str
    disagrees: bool

    @property
    def last(self):
        """Our number for the last epoch, or the computed one."""
        return '≠ ' * self.disagrees + (self.computed or '; '.join(group.last for group in self.groups) or NOTHING)

    @property
    def best(self):
        """Our number for the best epoch."""
        return '; '.join(group.best for group in self.groups if group.best) or NOTHING


class Table(NamedTuple):
    """A table of the paper beside our logs; rows: {row: {column: Shown}}, notes: [(letter, text)]."""

    number: int
    columns: list
    rows: dict
    notes: list

    @property
    def runs(self):
        """How many runs are in it."""
        return len({place for cells in self.rows.values() for cell in cells.values() for group in cell.groups
                    for place in group.found.runs})


def table(number, log_dir):
    """The Table of a number, 1 … 7, with the runs in log_dir."""
    marked, rows, columns = {}, {}, []  # marked: {differences: runs}
    for cell in paper.cells(number):
        rows.setdefault(cell.row, {})[cell.column] = _shown(number, cell, log_dir, marked)
        if cell.column not in columns:
            columns.append(cell.column)
    notes = [(_letter(differences, marked), '%s; %s' % (', '.join(differences), ', '.join(dict.fromkeys(runs))))
             for differences, runs in marked.items()]
    return Table(number, columns, rows, notes)


def _shown(number, cell, log_dir, marked):
    makes = of_cell(number, cell.row, cell.column)
    if makes and makes[0].measure in (DEPTH, PARAMETERS):
        return Shown(cell, [], *_computed(cell, makes))
    groups = []
    for found in (found for one in makes for found in results.find(one, log_dir)):
        if found.differences:
            marked.setdefault(found.differences, []).extend(found.runs)
        groups.append(Group(found, _letter(found.differences, marked)))
    return Shown(cell, groups, '', any(_differs(cell, group.found.last) for group in groups if not group.letter))


def _letter(differences, marked):
    """The letter of a note by its place, a … z, aa … zz; none where nothing differs."""
    if not differences:
        return ''
    place = list(marked).index(differences)
    return string.ascii_lowercase[place % 26] * (place // 26 + 1)


def _computed(cell, makes):
    """(text, whether it disagrees with what is printed) of a number computed from one network or several."""
    values = sorted({results.computed(one) for one in makes})
    if makes[0].measure == DEPTH:
        shown = ['%d' % value for value in values]
    else:
        shown = sorted({'%.2fM' % value for value in values})
    printed = cell.printed.split(' ')[0].rstrip('M')
    digits = len(printed.partition('.')[2])
    return ' to '.join(shown[:1] + shown[1:][-1:]), any('%.*f' % (digits, value) != printed for value in values)


def _differs(cell, errors):
    """Whether errors of runs as in the paper are not what it prints."""
    (mean, deviation), (good, failed) = results.mean_and_deviation(errors), results.split(errors)
    if cell.fail or failed:
        return bool(good) if cell.fail else True
    if cell.std is None or deviation is None:
        return False  # one run says nothing about how far two may be apart
    error = math.sqrt(cell.std ** 2 / (PAPERS_RUNS - 1) + deviation ** 2 / (len(good) - 1))
    return abs(mean - cell.value) > 2 * error
