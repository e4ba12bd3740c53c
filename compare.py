"""A table of the paper, its numbers and those of our logs side by side.

    python compare.py 4                          # Table 4
    python compare.py 4 --format markdown        # or csv, html
    python compare.py 6 --log-dir elsewhere

Under the paper's number stand the last epoch's error of the runs found, mean ± standard deviation (number of
runs), and the smallest of any epoch. Runs that are not as in the paper (fewer epochs, another number of devices, an
option) stand apart, [in brackets] with a letter that a note below explains, and are never part of a mean. Parameters
and depths are computed from the networks. ≠ marks what disagrees with the paper: a computed number that is not the
printed one when it is rounded, an error where one of the two is a "fail", and a mean that is farther from the paper's
than twice the standard error of their difference.
"""
import csv
import html
import io
import math
import os
import re
import shutil
import string
import textwrap
from typing import NamedTuple

from errors import Parser, run
import paper
import results
from paper.runs import DEPTH, PARAMETERS, of_cell
from training.loop import FAIL
from training.runlog import read_config, without_seed

PAPERS_RUNS = 5  # behind a mean ± std of the paper
NOTHING = '–'


class Group(NamedTuple):
    """Runs that make a cell; letter: of their note, empty for those as in the paper."""

    found: results.Found
    letter: str

    @property
    def last(self):
        """The error of the last epoch, as shown."""
        return self._mark(results.text(self.found.last))

    @property
    def best(self):
        """The smallest error of any epoch, as shown."""
        return self._mark(results.text(self.found.best))

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
        return '; '.join(group.best for group in self.groups) or NOTHING


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
    letters, rows, columns = {}, {}, []
    for cell in paper.cells(number):
        rows.setdefault(cell.row, {})[cell.column] = _shown(number, cell, log_dir, letters)
        if cell.column not in columns:
            columns.append(cell.column)
    notes = [(letter, '%s; %s' % (', '.join(differences), ', '.join(runs)))
             for (runs, differences), letter in letters.items()]
    return Table(number, columns, rows, notes)


def _shown(number, cell, log_dir, letters):
    makes = of_cell(number, cell.row, cell.column)
    if makes and makes[0].measure in (DEPTH, PARAMETERS):
        return Shown(cell, [], *_computed(cell, makes))
    groups = [Group(found, _letter(found, letters)) for one in makes for found in results.find(one, log_dir)]
    return Shown(cell, groups, '', any(_differs(cell, group.found.last) for group in groups if not group.letter))


def _letter(found, letters):
    if not found.differences:
        return ''
    names = string.ascii_lowercase
    key, count = (tuple(found.runs), found.differences), len(letters)
    return letters.setdefault(key, (names[count // 26 - 1] if count >= 26 else '') + names[count % 26])


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
    mean, deviation = results.mean_and_deviation(errors)
    if cell.fail or mean > FAIL:
        return cell.fail != (mean > FAIL)
    if cell.std is None or deviation is None:
        return False  # one run says nothing about how far two may be apart
    error = math.sqrt(cell.std ** 2 / (PAPERS_RUNS - 1) + deviation ** 2 / (len(errors) - 1))
    return abs(mean - cell.value) > 2 * error


def as_text(table):
    """As many columns side by side as the terminal has room for."""
    first = max(map(len, table.rows)) + 2
    room = shutil.get_terminal_size((100, 24)).columns - first - 6
    lines, columns = [_title(table), ''], list(table.columns)
    while columns:
        widths = [_width(table, column) for column in columns]
        fit = 1
        while fit < len(columns) and sum(widths[:fit + 1]) <= room:
            fit += 1
        lines += _block(table, columns[:fit], widths, first) + ['']
        columns = columns[fit:]
    for note in notes(table):
        lines += textwrap.wrap(note, first + 6 + room, subsequent_indent='   ')
    return '\n'.join(lines)


def _width(table, column):
    cells = [cells[column] for cells in table.rows.values() if column in cells]
    return 2 + max([len(column)] + [len(text) for cell in cells
                                    for text in (cell.paper.printed, cell.last, cell.best)])


def _block(table, columns, widths, first):
    def line(name, kind, texts):
        return (name.ljust(first) + kind.ljust(6) + ''.join(text.rjust(width) for text, width in zip(texts, widths))
                ).rstrip()
    lines = [line('', '', columns)]
    for row, cells in table.rows.items():
        lines.append(line(row, 'paper', [cells[column].paper.printed for column in columns]))
        if any(cells[column].computed or cells[column].groups for column in columns):
            lines.append(line('', 'here', [cells[column].last for column in columns]))
        if any(cells[column].groups for column in columns):
            lines.append(line('', 'best', [cells[column].best for column in columns]))
    return lines


def as_markdown(table):
    """Cells of up to three lines: the paper, ours, the best epoch's."""
    def cell(shown):
        lines = [shown.paper.printed] + ['**%s**' % shown.last] * (shown.last != NOTHING)
        return '<br>'.join(lines + ['best %s' % shown.best] * (shown.best != NOTHING)).replace('|', r'\|')
    lines = ['| %s |' % ' | '.join([''] + table.columns), '|---' * (len(table.columns) + 1) + '|']
    lines += ['| %s |' % ' | '.join([row] + [cell(cells[column]) for column in table.columns])
              for row, cells in table.rows.items()]
    return '\n'.join([_title(table), ''] + lines + [''] + ['- ' + note for note in notes(table)])


def as_csv(table):
    """A line for each cell and group of runs; errors in percent, parameters as shown."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow('table row column printed value std fail here here_std n best best_std disagrees differences runs'
                    .split())
    for row, cells in table.rows.items():
        for column, shown in cells.items():
            cell = shown.paper
            start = [table.number, row, column, cell.printed, _plain(cell.value), _plain(cell.std),
                     'fail' if cell.fail else '']
            disagrees = 'yes' if shown.disagrees else ''
            for group in shown.groups:
                last, best = map(results.mean_and_deviation, (group.found.last, group.found.best))
                writer.writerow(start + [*map(_plain, last), len(group.found.runs), *map(_plain, best),
                                         '' if group.letter else disagrees,
                                         '; '.join(group.found.differences), ' '.join(group.found.runs)])
            if not shown.groups:
                writer.writerow(start + [shown.computed, '', '', '', '', disagrees, '', ''])
    return file.getvalue().rstrip('\n')


def _plain(number):
    return '' if number is None else '%.7g' % number


def as_html(table):
    """A <table> and its notes; data-value is what a column is sorted by."""
    escape = html.escape
    head = ''.join('<th>%s<br><small>paper</small></th><th>%s<br><small>here</small></th>' % (
        escape(column), escape(column)) for column in table.columns)
    lines = ['<table>', '<caption>%s</caption>' % escape(_title(table)),
             '<thead><tr><th></th>%s</tr></thead>' % head, '<tbody>']
    for row, cells in table.rows.items():
        lines.append('<tr><th>%s</th>%s</tr>' % (
            escape(row), ''.join(_html_cells(cells[column]) for column in table.columns)))
    lines += ['</tbody>', '</table>', '<ul>'] + ['<li>%s</li>' % escape(note) for note in notes(table)] + ['</ul>']
    return '\n'.join(lines)


def _html_cells(shown):
    value = 100 if shown.paper.fail else shown.paper.value
    here = '<br>'.join('<a href="#%s">%s</a><br><small>best %s</small>' % (
        anchor(group.found.runs[0]), html.escape(group.last), html.escape(group.best))
        for group in shown.groups) or html.escape(shown.computed)
    own = results.mean_and_deviation(shown.groups[0].found.last)[0] if shown.groups else None
    return '<td data-value="%s">%s</td><td data-value="%s"%s>%s%s</td>' % (
        _plain(value), html.escape(shown.paper.printed), shown.computed.split('M')[0] or _plain(own),
        ' class="disagrees"' * shown.disagrees, '≠ ' * shown.disagrees, here)


def anchor(run_dir):
    """The name, on the report's page, of the runs that differ from one in the seed alone."""
    path = os.path.join(os.path.dirname(run_dir), read_config(run_dir)['members'][0]) if run_dir.endswith('.json') \
        else run_dir
    return 'run-' + re.sub('[^A-Za-z0-9]', '-', without_seed(path))


def _title(table):
    return 'Table %d of the paper and our logs; errors in percent, the last epoch\'s, mean ± std (runs)' % table.number


def notes(table):
    """What stands below a table, as texts."""
    texts = ['[%s] %s' % note for note in table.notes]
    texts += ['≠ not as printed, see compare.py --help'] * any(
        cell.disagrees for cells in table.rows.values() for cell in cells.values())
    seen = dict.fromkeys((cell.paper.note, cell.paper.row, cell.paper.column)
                         for cells in table.rows.values() for cell in cells.values() if cell.paper.note)
    texts += ['%s, %s: %s' % (row, column, note) for note, row, column in seen]
    if not table.runs:
        texts.append('no run of it yet: python reproduce.py table%d prints the commands' % table.number)
    return texts


FORMATS = {'text': as_text, 'markdown': as_markdown, 'csv': as_csv, 'html': as_html}


def main():
    """Print a table."""
    parser = Parser(description=__doc__)
    parser.add_argument('number', type=int, choices=paper.TABLES, help='of the table')
    parser.add_argument('--format', choices=list(FORMATS), default='text', help='how it is printed')
    parser.add_argument('--log-dir', default='logs', help='where the run directories are')
    args = parser.parse_args()
    results.check(args.log_dir)
    print(FORMATS[args.format](table(args.number, args.log_dir)))


if __name__ == '__main__':
    run(main)
