"""Speed and memory beside the peers: benchmarks/results.csv (results-gpu.csv), and the same as a table.

    make bench                                   # all, under 40 minutes on two cores; makes PyTorch's environment too
    make bench GPUS=0                            # on a GPU
    python -m benchmarks training gluoncv        # some of them: printed, no file is written
    python -m benchmarks training --rounds 3     # a quick look

Whatever is compared runs in the same minute: rivals have a process each and work in turn for a second, round after
round; the table has the medians, and the median over the rounds of the ratio, the larger the better. Before training
steps are timed against PyTorch's, the two networks have to give the same probabilities with the same weights.
Let nothing else run meanwhile.
"""
import csv
import os
import platform
import sys
import time

from benchmarks import ensemble, pipelines, runs, scaling, steps, svhn
from benchmarks.rounds import Row, Setting
from benchmarks.subject import ROOT
from common.mxnet import mx, physical_cores
from common.cli import Parser, positive_int, run
from common.errors import UserError
from training.devices import contexts, describe

BENCHMARKS = {
    'training': steps.training, 'gluoncv': steps.gluoncv, 'imagenet': steps.imagenet, 'evaluation': steps.evaluation,
    'reduced': steps.reduced, 'ensemble': ensemble.measure, 'feed-cifar': pipelines.cifar,
    'feed-imagenet': pipelines.imagenet, 'epoch': runs.epoch, 'start': runs.start, 'memory': runs.memory,
    'scaling': scaling.scaling, 'growth': scaling.growth, 'svhn': svhn.measure,
}
RESULTS = os.path.join(ROOT, 'benchmarks', 'results')


def parser():
    """The command line."""
    parser = Parser(prog='python -m benchmarks', description=__doc__)
    parser.add_argument('names', nargs='*', metavar='NAME', help='of %s (default: all)' % ', '.join(BENCHMARKS))
    parser.add_argument('--torch', default=os.path.join(ROOT, '.venv-bench', 'bin', 'python'), metavar='PYTHON',
                        help="of PyTorch's environment; `make bench` makes it")
    parser.add_argument('--gpus', metavar='0', help='a GPU to measure on instead of the CPU')
    parser.add_argument('--rounds', type=positive_int, default=Setting._field_defaults['rounds'],
                        help='that are counted')
    return parser


def machine(gpus, rounds):
    """What it was measured on, in a line."""
    about = describe(contexts(gpus))
    return '%s, %d cores, %s; Python %s, MXNet %s; %d rounds; %s' % (
        about['processor'], physical_cores(), ' '.join(about['devices']), platform.python_version(), mx.__version__,
        rounds, time.strftime('%Y-%m-%d'))


def number(value):
    """Three significant digits; a dash where there is none."""
    if value is None:
        return '–'
    return '{:,.0f}'.format(value) if value >= 100 else '%.3g' % value


def table(rows, about):
    """Markdown."""
    lines = ['*%s.*' % about, '', '| ours / peer | ours | peer | ratio | target | |', '|---|---|---|---|---|---|']
    for row in rows:
        met = '' if row.target is None else 'met' if row.ratio >= row.target else '**missed**'
        ratio, target = ('–' if value is None else '%.2f' % value for value in (row.ratio, row.target))
        lines.append('| %s | %s | %s | %s | %s | %s |' % (row.name, number(row.ours), number(row.peer), ratio, target,
                                                          met))
    return '\n'.join(lines) + '\n'


def write(rows, about, path):
    """PATH.csv and PATH.md."""
    with open(path + '.csv', 'w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(Row._fields)
        writer.writerows(['' if value is None else '%.4g' % value if isinstance(value, float) else value
                          for value in row] for row in rows)
    with open(path + '.md', 'w') as file:
        file.write(table(rows, about))


def main():
    """Measure, print, write."""
    args = parser().parse_args()
    for name in args.names:
        if name not in BENCHMARKS:
            raise UserError('there is no benchmark %s: choose from %s' % (name, ', '.join(BENCHMARKS)))
    if not os.path.exists(args.torch):
        raise UserError('there is no %s: run `make bench`, or name the Python of an environment with '
                        'requirements/bench.txt by --torch' % args.torch)
    setting = Setting(args.torch, args.gpus, args.rounds, write=not args.names)
    about, rows, begun = machine(args.gpus, args.rounds), [], time.monotonic()
    for name in args.names or BENCHMARKS:
        for row in BENCHMARKS[name](setting):
            rows.append(row)
            print('%5.0f s  %-66s %9s %9s  ratio %s' % (
                time.monotonic() - begun, row.name, number(row.ours), number(row.peer),
                '–' if row.ratio is None else '%.3f' % row.ratio), file=sys.stderr, flush=True)
        if setting.write:
            write(rows, about, RESULTS + ('' if args.gpus is None else '-gpu'))
    print(table(rows, about))


if __name__ == '__main__':
    run(main)
