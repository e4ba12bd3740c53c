"""Runs that a claim compares: those of each name that were made in one way."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from paper import ensembles, recipes, results
from paper.claims.names import NUMBER, Subject
from paper.experiments import TOGETHER
from training.run_directory import read_config, read_metrics

UNFIT = ('unfinished', 'files')  # runs that differ in these are compared with nothing


class Group(NamedTuple):
    """Runs of a subject that differ in the seed alone: their values, and how they differ from the paper's.

    The group of a number has no run, and the number for a value.
    """

    subject: Subject
    values: list[float]
    run_dirs: list[str]
    differences: tuple[str, ...]

    @property
    def mean(self) -> float:
        """The mean, infinite if a run diverged."""
        return float(np.mean(self.values))

    @property
    def text(self) -> str:
        """The name, mean ± deviation and number of runs."""
        if not self.run_dirs:
            return self.subject.name
        if not self.subject.measurement.measure.endswith('_loss'):
            return f'{self.subject.name} {results.text(self.values)}'
        deviation = f' ± {np.std(self.values):.1g}' if len(self.values) > 1 else ''
        return f'{self.subject.name} {self.mean:.3f}{deviation} ({len(self.values)})'


def groups_of(one: Subject, log_dir: str) -> dict[tuple[str, ...], Group]:
    """{differences from the paper's runs: runs} of a subject, those that can be compared."""
    return {
        found.differences: Group(one, _values(one, found), found.runs, found.differences)
        for found in results.find(one.measurement, log_dir)
        if not any(difference.kind in UNFIT for difference in found.differences)
    }


def _values(one, found):
    if not one.epochs:
        return found.last
    rows = [read_metrics(run_dir)[one.epochs] for run_dir in found.runs]
    means = [np.mean([row[one.measurement.measure] for row in part]) if part else np.nan for part in rows]
    return [mean if np.isfinite(last) and np.isfinite(mean) else np.inf for mean, last in zip(means, found.last)]


def alike(subjects: Sequence[Subject], log_dir: str) -> list[Group]:
    """Runs of every subject that were all made in one way; none if there is no such way."""
    found = [groups_of(one, log_dir) for one in subjects if one.measurement is not NUMBER]
    ways = set(found[0]).intersection(*found[1:])
    if not ways:
        return []
    way = min(ways, key=lambda way: (way != (), -_schedule(found[0][way]), len(way), way))
    runs = iter(groups[way] for groups in found)
    return [Group(one, [one.number], [], way) if one.measurement is NUMBER else next(runs) for one in subjects]


def _schedule(group):
    return read_config(group.run_dirs[0])['options']['epochs']


def _devices(own):
    if own.get('gpus'):
        return ['--gpus', own['gpus']]
    return ['--cpus', str(own['cpus'])] if own.get('cpus', 1) > 1 else []


def commands(groups: Iterable[Group]) -> dict[str, str | None]:
    """Finding.runs of groups."""
    lines: dict[str, str | None] = {}
    for group in groups:
        if group.run_dirs:
            first, experiment = group.run_dirs[0], group.subject.measurement.experiment
            words = [recipes.script(experiment.dataset), *results.arguments(experiment, epochs=_schedule(group))]
            words += _devices(read_config(first)['options'])
            if group.subject.measurement.measure == TOGETHER:
                members = first.replace(f'/{ensembles.PREFIX}-', '/path*-').removesuffix('.json')
                words = ['eval.py', '--ensemble', '--save', members]
            way = ', '.join(group.differences) or f'{experiment.epochs} epochs, as in the paper'
            lines[f'python {" ".join(words)} (n = {len(group.values)}; {way})'] = first
    return lines
