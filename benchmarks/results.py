"""The results of the benchmarks: benchmarks/results.csv and .md, and the summary of docs/speed.md.

    python -m benchmarks.results      # the summary, in Markdown

`python -m benchmarks` writes the files.
"""

from common.cli import run

import csv
import io
import math
import os
import re
import statistics
from typing import NamedTuple

from benchmarks.remote import ROOT
from benchmarks.rounds import Row
from common.files import write_atomically

RESULTS = os.path.join(ROOT, 'benchmarks', 'results')
# of the CSV; a row that could not be measured has no numbers
COLUMNS = ('processor', 'conditions', 'name', 'ours', 'peer', 'ratio', 'target', 'problem')
# Lines of the summary: their names, and the rows that they sum up, of which a network may have several.
SUMMARY = {
    'training, the faster PyTorch': r'train ([a-z-]+ \d+) / PyTorch, \w+',
    'training on 224×224, PyTorch': r'train (.+), ImageNet / PyTorch, eager',
    "training, MXNet's defaults": r"train (.+) / MXNet's defaults",
    'training, GluonCV': r'train (.+) / GluonCV',
    'training in bfloat16, PyTorch': r'train (.+), bfloat16 / PyTorch',
    'evaluation, the faster PyTorch': r'evaluate ([a-z-]+ \d+) / PyTorch, \w+',
    'evaluation of committed runs, onnxruntime': r'evaluate (.+) / onnxruntime',
    "preparing ImageNet's images, libjpeg-turbo's bare decoding": r'(feed ImageNet) / .+',
    'training beside a busy process, the same on an idle machine': r'train (.+) beside a busy process / idle',
}


class Block(NamedTuple):
    """The rows of a kind of processor, and the conditions under which they were measured."""

    processor: str
    conditions: str
    rows: list[Row]


def number(value: float | None) -> str:
    """Three significant digits, or a dash for None."""
    if value is None:
        return '–'
    return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def verdict(row: Row) -> str:
    """The last column of the table: whether the target was met, or why there are no numbers."""
    if row.problem:
        return f'not measured: {row.problem}'
    if row.target is None or row.ratio is None:
        return ''
    return 'met' if row.ratio >= row.target else '**missed**'


def table(block: Block) -> str:
    """A block in Markdown, below the line that says what it was measured on."""
    lines = [f'*{block.processor}; {block.conditions}.*', '']
    lines += ['| ours / peer | ours | peer | ratio | target | |', '|---|---|---|---|---|---|']
    for row in block.rows:
        ratio, target = ('–' if value is None else f'{value:.2f}' for value in (row.ratio, row.target))
        lines.append(f'| {row.name} | {number(row.ours)} | {number(row.peer)} | {ratio} | {target} | {verdict(row)} |')
    return '\n'.join(lines) + '\n'


def read(path: str) -> list[Block]:
    """The blocks of PATH.csv; none where there is no such file."""
    blocks: dict[str, Block] = {}
    if os.path.exists(f'{path}.csv'):
        with open(f'{path}.csv', newline='', encoding='utf-8') as file:
            for line in csv.DictReader(file):
                block = blocks.setdefault(line['processor'], Block(line['processor'], line['conditions'], []))
                numbers = {name: float(line[name]) for name in ('ours', 'peer', 'ratio', 'target') if line[name]}
                block.rows.append(Row(line['name'], problem=line['problem'], **numbers))
    return list(blocks.values())


def write(block: Block, path: str) -> None:
    """Write PATH.csv and PATH.md with this block in the place of the same processor's, and the others as they are."""
    blocks = [other for other in read(path) if other.processor != block.processor] + [block]
    blocks.sort(key=lambda block: block.processor)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator='\n')
    writer.writerow(COLUMNS)
    for one in blocks:
        for row in one.rows:
            cells = (_cell(getattr(row, column)) for column in COLUMNS[2:])
            writer.writerow([one.processor, one.conditions, *cells])
    write_atomically(f'{path}.csv', lines.getvalue())
    write_atomically(f'{path}.md', '\n'.join(map(table, read(path))))  # as rounded in the CSV


def _cell(value):
    if value is None:
        return ''
    return f'{value:.4g}' if isinstance(value, float) else value


def summary(blocks: list[Block]) -> str:
    """How many times as fast as its rivals ours is on each processor: the median, and the range where there is one."""
    names = [block.processor.partition(' with ')[2] for block in blocks]
    lines = [f'| ours beside | {" | ".join(names)} |', '|---' * (1 + len(blocks)) + '|']
    for name, pattern in SUMMARY.items():
        lines.append(f'| {name} | {" | ".join(_spread(_ratios(block, pattern)) for block in blocks)} |')
    return '\n'.join(lines)


def _ratios(block, pattern):
    """The ratio of each network to the fastest of its rivals, in the rows that the pattern matches."""
    found: dict[str, float] = {}
    for row in block.rows:
        match = re.fullmatch(pattern, row.name)
        if match and row.ratio is not None:
            found[match[1]] = min(row.ratio, found.get(match[1], math.inf))
    return list(found.values())


def _spread(ratios):
    if not ratios:
        return '–'
    median = f'{statistics.median(ratios):.2f}'
    return median if len(ratios) == 1 else f'{median} ({min(ratios):.2f} to {max(ratios):.2f})'


def main() -> None:
    """Print the summary."""
    print(summary(read(RESULTS)))


if __name__ == '__main__':
    run(main)
