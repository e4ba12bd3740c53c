"""Speed and memory beside the peers, as tables: benchmarks/results.csv and .md (on a GPU results-gpu.csv and .md).

    make bench                                   # all, under 40 minutes on two cores; makes PyTorch's environment too
    make bench GPUS=0                            # on a GPU
    python -m benchmarks training gluoncv        # some of them: printed, no file is written
    python -m benchmarks training --rounds 3     # a quick look

Rivals are compared within the same minutes: each has a process of its own, and they work in turn for a second each,
round after round. The table shows the medians over the rounds, and the median of the rounds' ratios, where larger is
better. Before a training step is timed against PyTorch's, both networks have to give the same probabilities with the
same weights. Let nothing else run meanwhile.

The files keep a block of rows for each kind of processor. A run replaces the block of its own.
"""

from common.cli import Parser, positive_int, run

import os
import platform
import sys
import time
import traceback

from benchmarks import ensemble, memory, operators, pipelines, runs, scaling, steps, workers
from benchmarks.remote import ROOT
from benchmarks.results import RESULTS, Block, number, table, verdict, write
from benchmarks.rounds import Row, Setting
from common.errors import UserError
from common.mxnet import mx, physical_cores
from training.devices import contexts, describe, has_bfloat16

BENCHMARKS = {
    'training': steps.training,
    'gluoncv': steps.gluoncv,
    'imagenet': steps.imagenet,
    'evaluation': steps.evaluation,
    'onnxruntime': steps.onnxruntime,
    'shared': steps.shared,
    'settings': steps.settings,
    'operators': operators.operators,
    'reduced': steps.reduced,
    'ensemble': ensemble.measure,
    'feed-cifar': pipelines.cifar,
    'feed-imagenet': pipelines.imagenet,
    'epoch': runs.epoch,
    'start': runs.start,
    'memory': memory.networks,
    'scaling': scaling.scaling,
    'workers': workers.workers,
    'growth': scaling.growth,
    'svhn': memory.svhn,
}


def parser() -> Parser:
    """The command line."""
    summaries = {name: (measure.__doc__ or '').partition('\n')[0] for name, measure in BENCHMARKS.items()}
    epilog = '\n'.join(['benchmarks:', *(f'  {name:14} {summary}' for name, summary in summaries.items())])
    parser = Parser(prog='python -m benchmarks', description=__doc__, epilog=epilog)
    parser.add_argument('names', nargs='*', metavar='NAME', help='benchmarks of the list below (default: all)')
    parser.add_argument(
        '--torch',
        default=os.path.join(ROOT, '.venv-bench', 'bin', 'python'),
        metavar='PYTHON',
        help="the Python of PyTorch's environment, which `make bench` makes",
    )
    parser.add_argument('--gpus', metavar='0', help='a GPU to measure on instead of the CPU')
    parser.add_argument('--rounds', type=positive_int, default=5, help='rounds that count')
    return parser


def processor(gpus: str | None) -> str:
    """The kind of machine that numbers belong to."""
    kind = (
        f'{describe(contexts())["processor"]} with {"AVX-512" if has_bfloat16() else "AVX2"}, {physical_cores()} cores'
    )
    return kind if gpus is None else f'GPU {gpus}, {kind}'


def conditions(rounds: int) -> str:
    """What numbers were measured with."""
    return f'Python {platform.python_version()}, MXNet {mx.__version__}; {rounds} rounds; {time.strftime("%Y-%m-%d")}'


def show(row: Row, seconds: float) -> None:
    """Print a row on standard error as soon as it is there."""
    ratio = '–' if row.ratio is None else f'{row.ratio:.3f}'
    problem = f'  {verdict(row)}' if row.problem else ''
    print(
        f'{seconds:5.0f} s  {row.name:<66} {number(row.ours):>9} {number(row.peer):>9}  ratio {ratio}{problem}',
        file=sys.stderr,
        flush=True,
    )


def main() -> int:
    """Measure, print, write. After a benchmark that breaks off the others still run, and the exit status is 1."""
    args = parser().parse_args()
    for name in args.names:
        if name not in BENCHMARKS:
            raise UserError(f'there is no benchmark {name}: choose from {", ".join(BENCHMARKS)}')
    if not os.path.exists(args.torch):
        raise UserError(
            f'there is no {args.torch}: run `make bench`, or name with --torch the Python of an '
            'environment that has requirements/bench.txt'
        )
    setting = Setting(args.torch, args.gpus, args.rounds, write=not args.names)
    block, begun, status = Block(processor(args.gpus), conditions(args.rounds), []), time.monotonic(), 0
    for name in args.names or BENCHMARKS:
        try:
            for row in BENCHMARKS[name](setting):
                block.rows.append(row)
                show(row, time.monotonic() - begun)
        except Exception:  # there is time for the others; this one is shown, and counts in the exit status
            traceback.print_exc()
            block.rows.append(Row(name, problem='the benchmark broke off'))
            status = 1
    if setting.write:
        write(block, RESULTS + ('' if args.gpus is None else '-gpu'))
    print(table(block))
    return status


if __name__ == '__main__':
    run(main)
