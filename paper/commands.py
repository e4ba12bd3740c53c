"""The commands whose runs make a table or a figure of the paper."""

import argparse
from collections.abc import Sequence
import os
import shlex
import sys
from typing import NamedTuple

import paper
from paper import ensembles, experiments, recipes, results
from symbols import gluoncv
from symbols.ensemble import COMPONENTS
from training.run_directory import count_devices, is_there, read_config, status

TARGETS = [f'table{number}' for number in paper.TABLES] + [f'figure{number}' for number in experiments.FIGURES]


def parsed(target: str) -> tuple[str, int]:
    """`table4` → ('table', 4)."""
    kind = 'table' if target.startswith('table') else 'figure'
    return kind, int(target.removeprefix(kind))


def shown_by(target: str) -> list[experiments.Measurement]:
    """All measurements of a table or figure."""
    kind, number = parsed(target)
    return experiments.of_figure(number) if kind == 'figure' else experiments.of_table(number, paper.cells(number))


def measurements_of(target: str) -> list[experiments.Measurement]:
    """The measurements of a table or figure that need a run; the paper trained none of GluonCV's networks."""
    computed = (experiments.DEPTH, experiments.PARAMETERS)
    return [one for one in shown_by(target) if one.measure not in computed and not gluoncv.is_one(one.experiment.net)]


class Command(NamedTuple):
    """The words of a command line after `python`, the experiment that it does, and the directory of its run."""

    experiment: experiments.Experiment
    words: list
    directory: str

    @property
    def has_ended(self) -> bool:
        """Whether the run in its directory is over."""
        return _status(self.directory) is not None

    def line(self) -> str:
        """For a shell."""
        return shlex.join(['python', *self.words])


def unfinished(several: Sequence[Command]) -> list[Command]:
    """Those whose runs are not over."""
    return [command for command in several if not command.has_ended]


def commands(args: argparse.Namespace) -> list[list[Command]]:
    """[the Commands of a table or figure, each run once; those that evaluate several runs together].

    Args:
        args: the arguments of reproduce.py.
    """
    todo, after = {}, {}
    for measurement in measurements_of(args.target):
        for seed in args.seeds or range(1, measurement.seeds + 1):
            if measurement.measure == experiments.TOGETHER:
                depth = measurement.experiment.depth
                members = [_command(experiments.component(depth, path), seed, args) for path in COMPONENTS]
                place = ensembles.path_beside(members[0].directory)
                words = ['eval.py', '--ensemble', '--save', *(member.directory for member in members)]
                after[place] = Command(measurement.experiment, words, place)
            else:
                command = _command(measurement.experiment, seed, args)
                todo[command.directory] = command
    return [
        [command for place, command in found.items() if not args.only or any(text in place for text in args.only)]
        for found in (todo, after)
    ]


def _command(experiment, seed, args):
    words = results.arguments(experiment, seed, args.epochs)
    if args.cpus is None:
        words += ['--gpus', gpus_of(experiment, args)]
    elif args.cpus > 1:
        words += ['--cpus', str(args.cpus)]
    words += ['--data-dir', args.data_dir] if args.data_dir else []
    words += ['--log-dir', args.log_dir] if args.log_dir != 'logs' else []
    directory = results.directory(
        experiment, seed=seed, epochs=args.epochs or experiment.epochs, cpus=args.cpus or 1, log_dir=args.log_dir
    )
    return Command(experiment, [recipes.script(experiment.dataset), *words], directory)


def gpus_of(experiment: experiments.Experiment, args: argparse.Namespace) -> str:
    """--gpus of an experiment's command: those given, or as many as the paper used."""
    return args.gpus or ','.join(map(str, range(experiment.devices)))


def to_evaluate(after: Sequence[Command]) -> list[Command]:
    """The evaluations that can be made and are not there yet; a member that diverged has nothing to evaluate."""
    possible = []
    for command in after:
        members = command.words[3:]
        ends = [_status(member) for member in members]
        if 'not finite' in ends:
            print(
                f'{members[ends.index("not finite")]} diverged: the eight cannot be evaluated together', file=sys.stderr
            )
        elif not os.path.exists(command.directory) and ends == ['finished'] * len(members):
            possible.append(command)
    return possible


def _status(place):
    return status(read_config(place)) if is_there(place) else None


def other_devices(commands: Sequence[Command], args: argparse.Namespace) -> list[str]:
    """Directories of runs that ended on another number of devices than their commands have."""
    return [
        command.directory
        for command in commands
        if command.has_ended
        and count_devices(read_config(command.directory))
        != (args.cpus or len(gpus_of(command.experiment, args).split(',')))
    ]


def packs(commands: Sequence[Command], size: int) -> list[Sequence[Command]]:
    """The commands in packs of a size."""
    return [commands[first : first + size] for first in range(0, len(commands), size)]
