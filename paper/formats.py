"""A table of tables.py as text, Markdown, CSV and HTML."""

from collections.abc import Callable
import csv
import io
import shutil
import textwrap

from paper import pages, results
from paper.tables import NOTHING, Table

COLUMNS = (
    'table row column printed value std fail here here_std n failed best best_std disagrees differences runs'
).split()


def as_text(table: Table) -> str:
    """As many columns side by side as the terminal has room for, then the others below them."""
    first = max(map(len, table.rows)) + 2
    room = shutil.get_terminal_size((100, 24)).columns - first - 6
    lines, columns = [_title(table), ''], list(table.columns)
    while columns:
        widths = [_width(table, column) for column in columns]
        fit = 1
        while fit < len(columns) and sum(widths[: fit + 1]) <= room:
            fit += 1
        lines += [*_block(table, columns[:fit], widths[:fit], first), '']
        columns = columns[fit:]
    for note in notes(table):
        lines += textwrap.wrap(note, first + 6 + room, subsequent_indent='   ', break_on_hyphens=False)
    return '\n'.join(lines)


def _width(table, column):
    cells = [cells[column] for cells in table.rows.values() if column in cells]
    return 2 + max(
        len(text) for text in [column] + [text for cell in cells for text in (cell.paper.printed, cell.last, cell.best)]
    )


def _block(table, columns, widths, first):
    """Up to three lines for each row: the paper, our last epoch, and our best one."""

    def line(name, kind, texts):
        cells = ''.join(text.rjust(width) for text, width in zip(texts, widths, strict=True))
        return f'{name:{first}}{kind:6}{cells}'.rstrip()

    lines = [line('', '', columns)]
    for row, cells in table.rows.items():
        shown = [cells[column] for column in columns]
        lines.append(line(row, 'paper', [cell.paper.printed for cell in shown]))
        if any(cell.computed or cell.groups for cell in shown):
            lines.append(line('', 'here', [cell.last for cell in shown]))
        if any(cell.groups for cell in shown):
            lines.append(line('', 'best', [cell.best for cell in shown]))
    return lines


def as_markdown(table: Table) -> str:
    """Cells of up to three lines: the paper, our last epoch, and our best one."""
    lines = [_title(table), '', f'| {" | ".join(["", *table.columns])} |', '|---' * (len(table.columns) + 1) + '|']
    for row, cells in table.rows.items():
        lines.append(f'| {" | ".join([row, *(_markdown_cell(cells[column]) for column in table.columns)])} |')
    return '\n'.join([*lines, '', *(f'- {note}' for note in notes(table))])


def _markdown_cell(cell):
    lines = [cell.paper.printed]
    lines += [f'**{cell.last}**'] * (cell.last != NOTHING)
    lines += [f'best {cell.best}'] * (cell.best != NOTHING)
    return '<br>'.join(lines).replace('|', r'\|')


def as_csv(table: Table) -> str:
    """A line for each cell and group of runs: errors in percent, parameters as shown in the text."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, restval='', lineterminator='\n')
    writer.writeheader()
    for row, cells in table.rows.items():
        for column, cell in cells.items():
            printed = {
                'table': table.number,
                'row': row,
                'column': column,
                'printed': cell.paper.printed,
                'value': _plain(cell.paper.value),
                'std': _plain(cell.paper.std),
                'fail': 'fail' if cell.paper.fail else '',
            }
            disagrees = 'yes' if cell.disagrees else ''
            for group in cell.groups:
                writer.writerow({**printed, **_csv_group(group), 'disagrees': '' if group.letter else disagrees})
            if not cell.groups:
                writer.writerow({**printed, 'here': cell.computed, 'disagrees': disagrees})
    return file.getvalue().rstrip('\n')


def _csv_group(group):
    (here, here_std), (best, best_std) = map(results.mean_and_deviation, (group.found.last, group.found.best))
    good, failed = results.split(group.found.last)
    return {
        'here': _plain(here),
        'here_std': _plain(here_std),
        'n': len(good),
        'failed': failed,
        'best': _plain(best),
        'best_std': _plain(best_std),
        'differences': '; '.join(group.found.differences),
        'runs': '; '.join(group.found.runs),
    }


def _plain(number):
    return '' if number is None else f'{number:.7g}'


def as_html(table: Table, link: Callable[[str], str] | None = None) -> str:
    """A <table> and its notes.

    Args:
        link: gives the address of what is shown of a run directory. The errors of a group link to its first runs, and a
            star to each further place with runs.
    """
    return pages.render(
        'table.html',
        title=_title(table),
        table=table,
        notes=notes(table),
        links=lambda group: list(dict.fromkeys(map(link, group.found.runs))) if link else [],
        papers_value=lambda cell: 100 if cell.fail else _plain(cell.value),  # a "fail" is sorted as 100 %
        our_value=lambda cell: cell.computed.split('M')[0] or _value(cell.groups),
    )


def _value(groups):
    if not groups:
        return ''
    mean, _ = results.mean_and_deviation(groups[0].found.last)
    return 100 if mean is None else _plain(mean)


def _title(table):
    return f"Table {table.number} of the paper and our logs; errors in percent, the last epoch's, mean ± std (runs)"


def notes(table: Table) -> list[str]:
    """The notes below a table: on runs that differ from the paper's, on marks, and on what is doubtful in the paper."""
    texts = [f'[{letter}] {text}' for letter, text in table.notes]
    texts += [f'≠ {reason}' for reason in dict.fromkeys(cell.reason for cell in table.cells if cell.reason)]
    texts += [f'{cell.paper.row}, {cell.paper.column}: {cell.paper.note}' for cell in table.cells if cell.paper.note]
    if not table.has_runs:
        texts.append(f'no run of it yet: python reproduce.py table{table.number} prints the commands')
    return texts


FORMATS = {'text': as_text, 'markdown': as_markdown, 'csv': as_csv, 'html': as_html}
