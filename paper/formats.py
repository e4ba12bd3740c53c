"""The Table of tables.py as text, Markdown, CSV and HTML."""
import csv
import html
import io
import shutil
import textwrap

from paper import results
from paper.tables import NOTHING


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
        lines += textwrap.wrap(note, first + 6 + room, subsequent_indent='   ', break_on_hyphens=False)
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
    writer.writerow('table row column printed value std fail here here_std n failed best best_std disagrees '
                    'differences runs'.split())
    for row, cells in table.rows.items():
        for column, shown in cells.items():
            cell = shown.paper
            start = [table.number, row, column, cell.printed, _plain(cell.value), _plain(cell.std),
                     'fail' if cell.fail else '']
            disagrees = 'yes' if shown.disagrees else ''
            for group in shown.groups:
                last, best = map(results.mean_and_deviation, (group.found.last, group.found.best))
                good, failed = results.split(group.found.last)
                writer.writerow(start + [*map(_plain, last), len(good), failed, *map(_plain, best),
                                         '' if group.letter else disagrees,
                                         '; '.join(group.found.differences), '; '.join(group.found.runs)])
            if not shown.groups:
                writer.writerow(start + [shown.computed, '', '', '', '', '', disagrees, '', ''])
    return file.getvalue().rstrip('\n')


def _plain(number):
    return '' if number is None else '%.7g' % number


def as_html(table, link=None):
    """A <table> and its notes; data-value is what a column is sorted by.

    link: a function from a run directory to the address of what there is to see of it.
    """
    escape = html.escape
    head = ''.join('<th>%s<br><small>paper</small></th><th>%s<br><small>here</small></th>' % (
        escape(column), escape(column)) for column in table.columns)
    lines = ['<table>', '<caption>%s</caption>' % escape(_title(table)),
             '<thead><tr><th></th>%s</tr></thead>' % head, '<tbody>']
    for row, cells in table.rows.items():
        lines.append('<tr><th>%s</th>%s</tr>' % (
            escape(row), ''.join(_html_cells(cells[column], link) for column in table.columns)))
    lines += ['</tbody>', '</table>', '<ul>'] + ['<li>%s</li>' % escape(note) for note in notes(table)] + ['</ul>']
    return '\n'.join(lines)


def _html_cells(shown, link):
    here = '<br>'.join(_html_group(group, link) for group in shown.groups) or html.escape(shown.computed)
    return '<td data-value="%s">%s</td><td data-value="%s"%s>%s%s</td>' % (
        100 if shown.paper.fail else _plain(shown.paper.value), html.escape(shown.paper.printed),
        shown.computed.split('M')[0] or _value(shown.groups), ' class="disagrees"' * shown.disagrees,
        '≠ ' * shown.disagrees, here)


def _html_group(group, link):
    """Its numbers; the first leads to its runs, with a star for each further place where they are."""
    last = html.escape(group.last)
    if link:
        first, *others = dict.fromkeys(map(link, group.found.runs))
        last = '<a href="%s">%s</a>' % (first, last) + ''.join(' <a href="%s">*</a>' % other for other in others)
    return last + ('<br><small>best %s</small>' % html.escape(group.best) if group.best else '')


def _value(groups):
    """What a cell is sorted by: a mean, or more than any for a "fail"."""
    if not groups:
        return ''
    mean, _ = results.mean_and_deviation(groups[0].found.last)
    return 100 if mean is None else _plain(mean)


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
