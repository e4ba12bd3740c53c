"""The commands that make a table or figure of the paper.

    python reproduce.py table4                                     # prints them, one a run, less those that are done
    python reproduce.py table4 | xargs -P 2 -I RUN sh -c RUN       # or a line for each task of a cluster's array
    python reproduce.py figure12 --run                             # does them one after another, and resumes
    python reproduce.py table4 --estimate --cpus 1                 # hours of each run, by the speed of this machine
    python reproduce.py table4 --epochs 8 --seeds 1 --cpus 1       # a short form of it

Without --gpus or --cpus the commands have the paper's number of GPUs. Each run is one command whose log says all;
the same command takes up what was interrupted. compare.py and plot.py show what there is.
"""
import itertools
import os
import re
import shlex
import subprocess
import sys
import time

import numpy as np

from errors import Parser, UserError, positive_int, run
import paper
from comparison import results
from compat import mx
from paper import runs
from symbols.ensemble import COMPONENTS
from symbols.summary import parameter_shapes, statistics_shapes
from training import devices
from training.initialiser import initial_parameters, initial_statistics
from training.optimiser import NesterovSGD
from training.replicas import Replicas
from training.runlog import read_config

TARGETS = ['table%d' % number for number in paper.TABLES] + ['figure%d' % number for number in runs.FIGURES]
IMAGES = {'cifar10': 50000, 'cifar100': 50000, 'svhn': 598388, 'imagenet': 1281167}  # to train on
BATCH = {'imagenet': 16}  # of a probe, on each device; 32 for the others
WARM, TIMED = 2, 3        # steps of a probe


def parser():
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument('target', choices=TARGETS, metavar='TABLE|FIGURE', help='table1 to table7, figure1 to figure12')
    parser.add_argument('--run', action='store_true', help='execute the commands')
    parser.add_argument('--estimate', action='store_true',
                        help='the hours that each takes, from a few steps of each network on these devices')
    parser.add_argument('--epochs', type=positive_int, help="the schedule of the runs (default: the paper's)")
    parser.add_argument('--seeds', type=seeds, metavar='K,K,…', help="seeds (default: as many as the paper's, from 1)")
    parser.add_argument('--per-gpu', type=positive_int, default=1, metavar='K',
                        help='runs at a time on the same GPUs, which small networks leave idle: K commands a line')
    parser.add_argument('--log-dir', default='logs', help='where the run directories are')
    parser.add_argument('--data-dir', help='folder with the data set (default: datasets/DATASET)')
    devices.add_device_options(parser)
    parser.set_defaults(cpus=None)  # then each run has the paper's GPUs
    return parser


def seeds(text):
    """argparse type: `1,2` → [1, 2]."""
    return [positive_int(word) for word in text.split(',')]


def parsed(target):
    """`table4` → ('table', 4)."""
    kind, number = re.fullmatch(r'([a-z]+)(\d+)', target).groups()
    return kind, int(number)


def makes_of(target):
    """All paper.runs.Makes of a table or figure."""
    kind, number = parsed(target)
    if kind == 'figure':
        return runs.of_figure(number)
    return runs.of_table(number, paper.cells(number))


def commands(args):
    """([(Run, words of its command)], [words of a command after them]): those that are not done yet."""
    todo, after = {}, {}
    for makes in makes_of(args.target):
        if makes.measure in (runs.DEPTH, runs.PARAMETERS):
            continue
        for seed in args.seeds or range(1, makes.seeds + 1):
            if makes.measure == runs.TOGETHER:
                members = [_words(runs.component(makes.run.depth, path), seed, args) for path in COMPONENTS]
                after[tuple(members[0])] = [results.directory(makes.run, words) for words in members]
            else:
                words = _words(makes.run, seed, args)
                todo[results.directory(makes.run, words)] = makes.run, words
    pending = [(run_, [results.script(run_).__name__ + '.py'] + words) for place, (run_, words) in todo.items()
               if not _has_ended(place)]
    return pending, [['eval.py', '--ensemble', '--save'] + places for places in after.values()
                     if not _evaluated(places)]


def _words(run_, seed, args):
    words = results.arguments(run_, seed, args.epochs)
    if args.cpus is None:
        words += ['--gpus', args.gpus or ','.join(map(str, range(run_.devices)))]
    elif args.cpus > 1:
        words += ['--cpus', str(args.cpus)]
    words += ['--data-dir', args.data_dir] if args.data_dir else []
    return words + (['--log-dir', args.log_dir] if args.log_dir != 'logs' else [])


def _has_ended(place):
    return os.path.exists(os.path.join(place, 'config.json')) and bool(read_config(place)['outcome'])


def _evaluated(places):
    return os.path.exists(places[0].replace('path%s-' % COMPONENTS[0], 'together-') + '.json')


def lines(commands_, per_gpu):
    """Command lines for a shell, so many commands on each."""
    texts = [shlex.join(['python'] + words) for words in commands_]
    for first in range(0, len(texts), per_gpu):
        pack = texts[first:first + per_gpu]
        yield pack[0] if per_gpu == 1 else ' & '.join(pack + ['wait'])


def execute(commands_, per_gpu):
    """Run the commands, so many at a time; returns the number of those that failed."""
    failed = 0
    for first in range(0, len(commands_), per_gpu):
        pack = commands_[first:first + per_gpu]
        for words in pack:
            print(shlex.join(['python'] + words), flush=True)
        failed += sum(status != 0 for status in _wait([subprocess.Popen([sys.executable] + words) for words in pack]))
    return failed


def _wait(processes):
    """Their statuses. Where this process is to end they are let save and end first."""
    try:
        return [process.wait() for process in processes]
    except KeyboardInterrupt:  # at a terminal they have had it as well
        for process in processes:
            process.wait()
        raise
    except SystemExit:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        raise


def images_per_second(run_, contexts):
    """The speed of training steps of a network on synthetic batches, without reading, evaluating or saving."""
    symbol, shape = results.network(run_)
    replicas = Replicas(symbol, contexts, shape, initial_parameters(parameter_shapes(symbol, shape), 1),
                        initial_statistics(statistics_shapes(symbol, shape)))
    optimiser = NesterovSGD(replicas, 0.9, 1e-4)
    batch = BATCH.get(run_.dataset, 32)
    random = np.random.RandomState(0)
    parts = [(random.rand(batch, *shape).astype(np.float32), np.zeros(batch)) for _ in contexts]
    begun = None
    for step in range(WARM + TIMED):
        if step == WARM:
            mx.nd.waitall()
            begun = time.monotonic()
        replicas.gradients(parts)
        optimiser.step(0.1, batch * len(contexts))
    mx.nd.waitall()
    return TIMED * batch * len(contexts) / (time.monotonic() - begun)


def estimate(pending, args):
    """Print the hours of each run, and of all; images/s are measured once for each network."""
    contexts = devices.contexts(args.gpus, args.cpus or 1)
    print('on %s; training steps alone, batches of %d images (ImageNet: %d) on each device' % (
        ' '.join(map(str, contexts)), 32, BATCH['imagenet']))
    print('%9s %9s  %s' % ('hours', 'images/s', 'run'))
    speeds, total = {}, 0
    for run_, words in pending:
        key = run_._replace(dataset='imagenet' if run_.dataset == 'imagenet' else 'cifar10')
        if key not in speeds:
            speeds[key] = images_per_second(run_, contexts)
        hours = (args.epochs or run_.epochs) * IMAGES[run_.dataset] / speeds[key] / 3600
        total += hours
        print('%9.1f %9.1f  %s' % (hours, speeds[key], shlex.join(['python'] + words)), flush=True)
    print('%9.1f            %d runs' % (total, len(pending)))


def main():
    """Print, estimate or execute."""
    args = parser().parse_args()
    if args.run and args.estimate:
        raise UserError('choose one of --run and --estimate')
    kind, number = parsed(args.target)
    if not makes_of(args.target):
        print('%s needs no run: python plot.py figure %d draws it' % (args.target, number), file=sys.stderr)
        return 0
    pending, after = commands(args)
    if args.estimate:
        estimate(pending, args)
        return 0
    if args.run:
        failed = execute([words for _, words in pending], args.per_gpu) or execute(after, 1)
        if failed:
            print('%d of the runs failed; the same command tries them again' % failed, file=sys.stderr)
        return 1 if failed else 0
    for line in itertools.chain(lines([words for _, words in pending], args.per_gpu),
                                lines([] if pending else after, 1)):
        print(line)
    if pending and after:
        print('then the same command again, for what is evaluated of these runs together', file=sys.stderr)
    elif not pending and not after:
        print('every run of %s is done: python %s %d' % (
            args.target, 'compare.py' if kind == 'table' else 'plot.py figure', number), file=sys.stderr)
    return 0


if __name__ == '__main__':
    run(main)
