"""Runs that a claim compares: those of each name that were made in one way."""

from collections.abc import Iterable, Sequence
import shlex
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
    differences: tuple[results.Difference, ...]

    @property
    def counted(self) -> list[float]:
        """The values in the mean, as in the tables: none of runs that diverged, and no last error that is a "fail"."""
        if self._is_last_error:
            return results.split(self.values)[0]
        return [value for value in self.values if np.isfinite(value)]

    @property
    def mean(self) -> float:
        """The mean, infinite if no value counts."""
        return float(np.mean(self.counted)) if self.counted else np.inf

    @property
    def as_in_paper(self) -> bool:
        """Whether the runs were made as the paper's, and none is left out of the mean while others are in it."""
        return not self.differences and len(self.counted) in (0, len(self.values))

    @property
    def text(self) -> str:
        """The name, mean ± deviation and number of runs."""
        if not self.run_dirs:
            return self.subject.name
        if self._is_last_error:
            return f'{self.subject.name} {results.text(self.values)}'
        values, failed = self.counted, len(self.values) - len(self.counted)
        number, spread = ('.3f', '.1g') if self.subject.measurement.measure.endswith('_loss') else ('.2f', '.2f')
        deviation = f' ± {np.std(values):{spread}}' if len(values) > 1 else ''
        parts = [f'{self.mean:{number}}{deviation} ({len(values)})'] if values else []
        return f'{self.subject.name} {", ".join(parts + ([f"diverged ({failed})"] if failed else []))}'

    @property
    def _is_last_error(self):
        return not self.subject.epochs and not self.subject.measurement.measure.endswith('_loss')


def groups_of(one: Subject, log_dir: str) -> dict[tuple[results.Difference, ...], Group]:
    """{differences from the paper's runs: runs} of a subject, those that can be compared."""
    groups = {}
    for found in results.find(one.measurement, log_dir):
        values = _values(one, found)
        if values and not any(difference.kind in UNFIT for difference in found.differences):
            groups[found.differences] = Group(one, list(values.values()), list(values), found.differences)
    return groups


def _values(one, found):
    """{run directory: value}, without the runs whose schedule ends before the epochs that count."""
    values = dict(zip(found.runs, found.last))
    if not one.epochs:
        return values
    means = {}
    for run_dir, last in values.items():
        if (one.epochs.stop or 0) <= _epochs(run_dir):
            part = [row[one.measurement.measure] for row in read_metrics(run_dir)[one.epochs]]
            means[run_dir] = np.mean(part) if np.isfinite([last, *part]).all() else np.inf
    return means


def alike(subjects: Sequence[Subject], log_dir: str) -> list[Group]:
    """Runs of every subject that were all made in one way; none if there is no such way."""
    found = [groups_of(one, log_dir) for one in subjects if one.measurement is not NUMBER]
    ways = set(found[0]).intersection(*found[1:])
    if not ways:
        return []
    way = min(ways, key=lambda way: preference(found[0][way]))
    runs = iter(groups[way] for groups in found)
    return [Group(one, [one.number], [], way) if one.measurement is NUMBER else next(runs) for one in subjects]


def preference(group: Group) -> tuple:
    """Sorts ways in which runs were made: the paper's first, then long schedules, then those that differ in little."""
    return group.differences != (), -_epochs(group.run_dirs[0]), len(group.differences), group.differences


def _epochs(run_dir):
    """Of its schedule."""
    return read_config(run_dir)['options']['epochs']


def _devices(own):
    if own.get('gpus'):
        return ['--gpus', own['gpus']]
    return ['--cpus', str(own['cpus'])] if own.get('cpus', 1) > 1 else []


def _other_options(group):
    """Those by which the runs differ from the paper's; no script takes --framework, which imported runs have."""
    words = []
    for difference in group.differences:
        if difference.kind == 'option' and not difference.startswith('--framework'):
            option, _, value = difference.partition(' ')
            words += [option] if value == 'True' else [option, shlex.quote(value)]
    return words


def commands(groups: Iterable[Group]) -> dict[str, str | None]:
    """Finding.runs of groups."""
    lines: dict[str, str | None] = {}
    for group in groups:
        if group.run_dirs:
            first, experiment = group.run_dirs[0], group.subject.measurement.experiment
            words = [recipes.script(experiment.dataset), *results.arguments(experiment, epochs=_epochs(first))]
            words += [*_other_options(group), *_devices(read_config(first)['options'])]
            if group.subject.measurement.measure == TOGETHER:
                members = first.replace(f'/{ensembles.PREFIX}-', '/path*-').removesuffix('.json')
                words = ['eval.py', '--ensemble', '--save', members]
            way = ', '.join(group.differences) or f'{experiment.epochs} epochs, as in the paper'
            lines[f'python {" ".join(words)} (n = {len(group.values)}; {way})'] = first
    return lines
