"""The commands whose runs make a table or a figure of the paper."""
import os
import re
import shlex
import sys
from typing import NamedTuple

from paper import results
import paper
from paper import experiments as runs
from symbols.ensemble import COMPONENTS
from paper import together
from training.runlog import count_devices, read_config, status

TARGETS = ['table%d' % number for number in paper.TABLES] + ['figure%d' % number for number in runs.FIGURES]


def parsed(target):
    """`table4` → ('table', 4)."""
    kind, number = re.fullmatch(r'([a-z]+)(\d+)', target).groups()
    return kind, int(number)


def makes_of(target):
    """The paper.runs.Makes of a table or figure that need a run."""
    kind, number = parsed(target)
    makes = runs.of_figure(number) if kind == 'figure' else runs.of_table(number, paper.cells(number))
    return [one for one in makes if one.measure not in (runs.DEPTH, runs.PARAMETERS)]


class Command(NamedTuple):
    """A run and the words of its command line after `python`."""

    run: runs.Run
    words: list
    directory: str

    @property
    def has_ended(self):
        """Whether the run in its directory is over."""
        return _status(self.directory) is not None

    def line(self):
        """For a shell."""
        return shlex.join(['python'] + self.words)


def commands(args):
    """[all Commands of a table or figure, a run once; those of what is evaluated of runs together].

    args: what reproduce.py was given.
    """
    todo, after = {}, {}
    for makes in makes_of(args.target):
        for seed in args.seeds or range(1, makes.seeds + 1):
            if makes.measure == runs.TOGETHER:
                members = [_command(runs.component(makes.run.depth, path), seed, args) for path in COMPONENTS]
                place = together.path_beside(members[0].directory)
                words = ['eval.py', '--ensemble', '--save'] + [member.directory for member in members]
                after[place] = Command(makes.run, words, place)
            else:
                command = _command(makes.run, seed, args)
                todo[command.directory] = command
    return [[command for place, command in found.items() if not args.only or any(text in place for text in args.only)]
            for found in (todo, after)]


def _command(run_, seed, args):
    words = results.arguments(run_, seed, args.epochs)
    if args.cpus is None:
        words += ['--gpus', gpus_of(run_, args)]
    elif args.cpus > 1:
        words += ['--cpus', str(args.cpus)]
    words += ['--data-dir', args.data_dir] if args.data_dir else []
    words += ['--log-dir', args.log_dir] if args.log_dir != 'logs' else []
    return Command(run_, [results.script(run_).__name__ + '.py'] + words, results.directory(run_, words))


def gpus_of(run_, args):
    """--gpus of a run's command: those given, or as many as the paper has."""
    return args.gpus or ','.join(map(str, range(run_.devices)))


def to_evaluate(after):
    """The evaluations that can be made and are not there yet; a member that diverged has nothing to evaluate."""
    result = []
    for command in after:
        members = command.words[3:]
        outcomes = [_status(member) for member in members]
        if 'not finite' in outcomes:
            print('%s diverged: the eight cannot be evaluated together' % members[outcomes.index('not finite')],
                  file=sys.stderr)
        elif not os.path.exists(command.directory) and outcomes == ['finished'] * len(members):
            result.append(command)
    return result


def _status(place):
    there = os.path.exists(os.path.join(place, 'config.json'))
    return status(read_config(place)) if there else None


def other_devices(commands_, args):
    """Directories of runs that have ended on another number of devices than their commands have."""
    found = []
    for command in commands_:
        if command.has_ended:
            wanted = args.cpus or len(gpus_of(command.run, args).split(','))
            found += [command.directory] if count_devices(read_config(command.directory)) != wanted else []
    return found


def packs(commands_, size):
    """The commands, so many together."""
    return [commands_[first:first + size] for first in range(0, len(commands_), size)]
