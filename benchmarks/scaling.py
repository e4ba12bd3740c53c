"""More devices for the same batch of 64, and how a step grows with the network and the batch."""

from common.cli import run

from collections.abc import Iterator
import contextlib
import csv
import functools
import os
import statistics
from typing import Any

from matplotlib.figure import Figure
import numpy as np

from benchmarks.remote import ROOT, told_by_workers
from benchmarks.rounds import Row, Setting, median_ratio, race
from common.mxnet import mx
from distributed.collectives import Collectives
import symbols
from training.initializer import initial_replicas
from training.synthetic import SyntheticSteps

GROWTH = os.path.join(ROOT, 'benchmarks', 'growth.csv')
PLOT = os.path.join(ROOT, 'docs', 'growth.png')
BATCH = 64
DFN_MR_14: dict[str, Any] = {'net': 'dfn-mr', 'depth': 14}
COMPONENTS = ['RRR', 'RRL', 'RLR', 'RLL', 'LRR', 'LRL', 'LLR', 'LLL']  # neighbors share as many sides as can be

# What grows: {its value: the options of the subject}.
SERIES: dict[str, dict[int, dict[str, Any]]] = {
    'depth of DFN-MR': {depth: {'net': 'dfn-mr', 'depth': depth} for depth in (14, 26, 50, 98)},
    'widen factor of DFN-MR 14': {widen: {**DFN_MR_14, 'widen': widen} for widen in (1, 2, 4)},
    'images a batch, DFN-MR 14': {batch: {**DFN_MR_14, 'batch': batch} for batch in (16, 32, 64, 128, 256)},
    'components of the ensemble of depth 14': {
        count: {'net': 'ensemble', 'depth': 14, 'components': COMPONENTS[:count]} for count in (1, 2, 4, 8)
    },
}
Points = list[tuple[int, float]]  # (value, seconds of a step)


def scaling(setting: Setting) -> Iterator[Row]:
    """One core, then two cores for the same batch: as threads, as CPU contexts, as workers on loopback."""
    start = functools.partial(setting.on_cpu.ours, 'training', batch=BATCH, **DFN_MR_14)
    evaluate = functools.partial(setting.on_cpu.ours, 'evaluation', batch=BATCH, **DFN_MR_14)
    one, two = {'OMP_NUM_THREADS': '1'}, {'OMP_NUM_THREADS': '2'}
    with start(environment=one) as core, start(environment=two) as threads, start(environment=one, cpus=2) as contexts:
        seconds = race({'core': core, 'threads': threads, 'contexts': contexts}, setting.rounds)
        workers = [
            (core.seconds(8), told_by_workers(2, 1, 'benchmarks.scaling')) for _ in range(min(3, setting.rounds))
        ]
    yield _against_one_core('dfn-mr 14 on 2 threads', seconds['core'], seconds['threads'])
    yield _against_one_core('dfn-mr 14 on 2 CPU contexts', seconds['core'], seconds['contexts'])
    yield _against_one_core('dfn-mr 14 on 2 workers', *zip(*workers, strict=True))
    with evaluate(environment=one) as core, evaluate(environment=one, cpus=2) as contexts:
        seconds = race({'core': core, 'contexts': contexts}, setting.rounds)
    yield _against_one_core('evaluate dfn-mr 14 on 2 CPU contexts', seconds['core'], seconds['contexts'])


def _against_one_core(name, alone, together):
    return Row(
        f'{name} / 1 core',
        BATCH / statistics.median(together),
        BATCH / statistics.median(alone),
        median_ratio(alone, together),
    )


def work() -> None:
    """Be one of the workers that `scaling` starts; rank 0 prints the seconds of a step."""
    collectives = Collectives('dist_sync')
    network = functools.partial(symbols.get_symbol, DFN_MR_14['net'], DFN_MR_14['depth'])
    replicas = initial_replicas(network, [mx.cpu()], symbols.IMAGE_SHAPE, collectives=collectives)
    steps = SyntheticSteps(replicas, BATCH // collectives.num_workers)
    steps.seconds(3)
    seconds = steps.seconds(20)
    if collectives.rank == 0:
        print(seconds)
    collectives.barrier()


def growth(setting: Setting) -> Iterator[Row]:
    """The slopes of straight lines on log axes: a step against depth, width, batch and components.

    With all benchmarks on the CPU it writes growth.csv and docs/growth.png too.
    """
    found = {}
    for what, series in SERIES.items():
        with contextlib.ExitStack() as stack:
            rivals = {
                value: stack.enter_context(setting.ours('training', **options)) for value, options in series.items()
            }
            seconds = race(rivals, min(5, setting.rounds))
        found[what] = [(value, statistics.median(seconds[value])) for value in series]
        exponent, _ = fit_power(found[what])
        yield Row(f'exponent of a step in the {what}', exponent)
    if setting.write and setting.gpus is None:
        write_growth(found, GROWTH)
        draw_growth(found).savefig(PLOT, dpi=110)


def fit_power(points: Points) -> tuple[float, float]:
    """(exponent, factor) of seconds = factor · value^exponent."""
    log_values, log_seconds = np.log(np.array(points, float)).T
    exponent, log_factor = np.polyfit(log_values, log_seconds, 1)
    return float(exponent), float(np.exp(log_factor))


def write_growth(found: dict[str, Points], path: str) -> None:
    """Write the series as CSV."""
    with open(path, 'w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['what', 'value', 'seconds'])
        writer.writerows((what, value, f'{seconds:.4g}') for what, points in found.items() for value, seconds in points)


def draw_growth(found: dict[str, Points]) -> Figure:
    """A panel for each series, with its straight line."""
    figure = Figure(figsize=(4 * len(found), 3.6), layout='constrained')
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for panel, (what, points) in zip(panels, found.items(), strict=True):
        x, y = np.array(points, float).T
        exponent, factor = fit_power(points)
        panel.loglog(x, 1000 * factor * x**exponent, color='0.7')
        panel.loglog(x, 1000 * y, 'o')
        panel.set(xlabel=what, title=f'step ∝ x^{exponent:.2f}', xticks=x, xticklabels=[f'{value:.0f}' for value in x])
        panel.minorticks_off()
    panels[0].set_ylabel('ms a step')
    return figure


if __name__ == '__main__':
    run(work)
