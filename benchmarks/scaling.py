"""More devices for the same batch of 64, and how the cost grows with the network and the batch."""
import argparse
import csv
import os
import statistics
import subprocess
import sys

import numpy as np

from benchmarks.rounds import Row, race
from benchmarks.subject import ROOT, Remote

NET = ['--net', 'dfn-mr', '--depth', 14]
GROWTH = os.path.join(ROOT, 'benchmarks', 'growth.csv')
SERIES = {  # what grows: its values, and the words of a subject for one
    'depth of DFN-MR': ((14, 26, 50, 98), lambda depth: ['--net', 'dfn-mr', '--depth', depth]),
    'widen factor of DFN-MR 14': ((1, 2, 4), lambda widen: [*NET, '--widen', widen]),
    'images a batch, DFN-MR 14': ((16, 32, 64, 128, 256), lambda batch: [*NET, '--batch', batch]),
    'components of the ensemble of depth 14': (
        (1, 2, 4, 8), lambda count: ['--net', 'ensemble', '--depth', 14, '--components',
                                     ','.join(('RRR', 'RRL', 'RLR', 'RLL', 'LRR', 'LRL', 'LLR', 'LLL')[:count])]),
}


def scaling(setting):
    """One core, then two cores for the same batch: as threads, as CPU contexts, as workers on loopback."""
    one = {'OMP_NUM_THREADS': '1'}
    with Remote(sys.executable, 'subjects', 'training', *NET, **one) as core, \
            Remote(sys.executable, 'subjects', 'training', *NET, OMP_NUM_THREADS='2') as threads, \
            Remote(sys.executable, 'subjects', 'training', *NET, '--cpus', 2, **one) as contexts:
        seconds = race({'core': core, 'threads': threads, 'contexts': contexts}, setting.rounds)
        workers = [(core.seconds(8), _workers()) for _ in range(min(3, setting.rounds))]
    one_core = statistics.median(seconds['core'])
    for name, title in (('threads', '2 threads'), ('contexts', '2 CPU contexts')):
        yield Row('dfn-mr 14 on %s / 1 core' % title, 64 / statistics.median(seconds[name]), 64 / one_core,
                  statistics.median(a / b for a, b in zip(seconds['core'], seconds[name])), None)
    yield Row('dfn-mr 14 on 2 workers / 1 core', 64 / statistics.median(w for _, w in workers),
              64 / statistics.median(c for c, _ in workers), statistics.median(c / w for c, w in workers), None)


def _workers():
    """Seconds of a step of two workers, a thread each."""
    done = subprocess.run([sys.executable, '-m', 'distributed.launch', '-n', '2', '-s', '1', sys.executable, '-m',
                           'benchmarks.scaling', *map(str, NET)], cwd=ROOT, check=True, stdout=subprocess.PIPE,
                          universal_newlines=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    return float(done.stdout)


def growth(setting):
    """The exponents of straight lines on log axes; with all benchmarks growth.csv and docs/growth.png too."""
    found = {}
    for what, (values, words) in SERIES.items():
        rivals = {str(value): Remote(sys.executable, 'subjects', 'training', *words(value), *setting.devices)
                  for value in values}
        seconds = race(rivals, min(5, setting.rounds))
        for rival in rivals.values():
            rival.__exit__()
        found[what] = [(value, statistics.median(seconds[str(value)])) for value in values]
        yield Row('exponent of a step in the %s' % what, _exponent(found[what]), None, None, None)
    if setting.write:
        save(found)
        draw(found, os.path.join(ROOT, 'docs', 'growth.png'))


def save(found):
    """Write growth.csv."""
    with open(GROWTH, 'w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['what', 'value', 'seconds'])
        writer.writerows((what, value, '%.4g' % taken) for what, points in found.items() for value, taken in points)


def _exponent(points):
    return np.polyfit(*np.log(np.array(points, float)).T, 1)[0]


def draw(found, path):
    """A panel for each series, with its straight line."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, panels = pyplot.subplots(1, len(found), figsize=(4 * len(found), 3.6), sharey=True, constrained_layout=True)
    for panel, (what, points) in zip(panels, found.items()):
        x, y = np.array(points, float).T
        slope, offset = np.polyfit(np.log(x), np.log(y), 1)
        panel.loglog(x, 1000 * np.exp(offset) * x ** slope, color='0.7')
        panel.loglog(x, 1000 * y, 'o')
        panel.set(xlabel=what, title='step ∝ x^%.2f' % slope, xticks=x, xticklabels=['%d' % value for value in x])
        panel.minorticks_off()
    panels[0].set_ylabel('ms a step')
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main():
    """A worker of _workers."""
    import functools

    import symbols
    from common.mxnet import mx
    from distributed.collectives import Collectives
    from training.initializer import initial_replicas
    from training.synthetic import SyntheticSteps
    parser = argparse.ArgumentParser()
    parser.add_argument('--net')
    parser.add_argument('--depth', type=int)
    args = parser.parse_args()
    collectives = Collectives('dist_sync')
    steps = SyntheticSteps(initial_replicas(functools.partial(symbols.get_symbol, args.net, args.depth), [mx.cpu()],
                                            symbols.IMAGE_SHAPE, collectives=collectives),
                           64 // collectives.num_workers)
    steps.seconds(3)
    seconds = steps.seconds(20)
    if collectives.rank == 0:
        print(seconds)
    collectives.barrier()


if __name__ == '__main__':
    main()
