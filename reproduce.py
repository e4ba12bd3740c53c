"""The commands that make a table or figure of the paper.

    python reproduce.py table4                                     # prints them, one a run, without those that are done
    python reproduce.py table4 | xargs -d '\\n' -P 2 -I RUN sh -c RUN     # or a line for each task of an array job
    python reproduce.py table4 --slurm >table4.sh                  # an array script: sbatch table4.sh
    python reproduce.py figure12 --run                             # runs them one after another, and resumes
    python reproduce.py table4 --estimate --cpus 1                 # hours of each run, by the speed of this machine
    python reproduce.py table4 --epochs 8 --cpus 1 --only cifar10/resnet-26 cifar10/dfn-mr-14     # a little of it

Without --gpus or --cpus the commands have the paper's number of GPUs. Each run is one command whose log says all; the
same command resumes what was interrupted. compare.py and plot.py show what there is.
"""

from common.cli import Parser, positive_int, run, seed

import argparse
from collections.abc import Sequence
import os
import re
import shlex
import subprocess
import sys

from common.errors import UserError
from common.mxnet import environment_of_commands
from paper import results
from paper.commands import TARGETS, Command, commands, gpus_of, other_devices, packs, parsed, to_evaluate, unfinished
from paper.experiments import Experiment
from training import devices, options
from training.initializer import initial_replicas
from training.synthetic import SyntheticSteps

ROOT = os.path.dirname(os.path.abspath(__file__))
IMAGES = {'cifar10': 50000, 'cifar100': 50000, 'svhn': 598388, 'imagenet': 1281167}  # to train on
BATCH = {'imagenet': 16, 'others': 32}  # images of a probe, on each device
WARM, TIMED = 2, 3  # steps of a probe


def parser() -> Parser:
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument('target', choices=TARGETS, metavar='TABLE|FIGURE', help='table1 to table7, figure1 to figure12')
    parser.add_argument('--run', action='store_true', help='execute the commands')
    parser.add_argument(
        '--estimate',
        action='store_true',
        help='estimate the hours of each run from a few steps of its network on these devices',
    )
    parser.add_argument(
        '--slurm',
        action='store_true',
        help='print the commands as a script for an array job of SLURM; submitted again, it resumes what was cut off',
    )
    parser.add_argument('--epochs', type=positive_int, help="the schedule of the runs (default: the paper's)")
    parser.add_argument('--seeds', type=seeds, metavar='K,K,…', help="seeds (default: as many as the paper's, from 1)")
    parser.add_argument(
        '--only',
        nargs='+',
        metavar='TEXT',
        default=[],
        help='runs with one of these in their directory, such as cifar10/dfn-mr-14',
    )
    parser.add_argument(
        '--per-gpu',
        type=positive_int,
        default=1,
        metavar='K',
        help='runs at a time on the same GPUs, which small networks leave idle: a line is a pack of K',
    )
    parser.add_argument('--pack', type=positive_int, metavar='I', help='with --run, the I-th pack alone')
    options.add_options(
        parser,
        ('log_dir', 'data_dir', 'gpus', 'cpus'),
        data_dir=dict(help='folder with the data set (default: datasets/DATASET)'),
        gpus=dict(help="GPUs of each run (default: the paper's number of them)"),
        cpus=dict(default=None, help='CPU contexts of each run instead'),
    )
    return parser


def seeds(text: str) -> list[int]:
    """argparse type: `1,2` → [1, 2]."""
    return [seed(word) for word in text.split(',')]


SLURM = """\
#!/bin/sh
#SBATCH --job-name=dfn-{target}
#SBATCH --array=1-{tasks}
#SBATCH --ntasks=1
#SBATCH {devices}
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
# Submit it from the project's folder, with --time, --partition and the like as your cluster wants them. Five minutes
# before the time is up, a run saves and ends; submitted again, the script resumes it.
set -e
command=$(sed -n "${{SLURM_ARRAY_TASK_ID}}p" <<'RUNS'
{lines}
RUNS
)
[ -f .venv/bin/activate ] && . .venv/bin/activate
eval "exec $command"
"""


def lines_of(todo: Sequence[Command], args: argparse.Namespace) -> list[str]:
    """What is not done: a line for each run, or one for each pack, which runs it by this script."""
    own = shlex.join(['python', 'reproduce.py', args.target, '--run', *_given(args)])
    lines = []
    for number, pack in enumerate(packs(todo, args.per_gpu), 1):
        pending = unfinished(pack)
        if pending:
            lines.append(pending[0].line() if args.per_gpu == 1 else f'{own} --pack {number}')
    return lines


def slurm_script(todo: Sequence[Command], pending: Sequence[Command], args: argparse.Namespace) -> str:
    """An array job with a task for each line.

    SLURM sends SIGTERM to the script's shell alone (`B:`), which the command has replaced by `exec`.
    """
    lines = lines_of(todo, args)
    if args.cpus:
        wanted = f'--cpus-per-task={args.cpus * args.per_gpu}'
    else:
        wanted = f'--gpus={max(len(gpus_of(command.experiment, args).split(",")) for command in pending)}'
    return SLURM.format(target=args.target, tasks=len(lines), devices=wanted, lines='\n'.join(lines))


def _given(args):
    """The options that make the same packs again."""
    words = []
    for name in ('epochs', 'per_gpu', 'log_dir', 'data_dir', 'gpus', 'cpus'):
        value = getattr(args, name)
        words += [f'--{name.replace("_", "-")}', str(value)] if value is not None else []
    words += ['--seeds', ','.join(map(str, args.seeds))] if args.seeds else []
    return words + (['--only', *args.only] if args.only else [])


def execute(todo: Sequence[Command], at_once: int = 1) -> int:
    """Run the commands that are not done, `at_once` at a time; returns how many did not reach their end."""
    failed = 0
    for pack in packs(todo, at_once):
        pending = unfinished(pack)
        for command in pending:
            print(command.line(), flush=True)
        statuses = _wait(
            [
                subprocess.Popen(
                    [sys.executable, os.path.join(ROOT, command.words[0]), *command.words[1:]],
                    env=environment_of_commands(),
                )
                for command in pending
            ]
        )
        failed += sum(status != 0 and not command.has_ended for status, command in zip(statuses, pending))
    return failed


def _wait(processes):
    """Their statuses. If this process is to end, they save and end first."""
    try:
        return [process.wait() for process in processes]
    except (KeyboardInterrupt, SystemExit) as end:
        for process in processes:
            if isinstance(end, SystemExit):  # Ctrl-C has reached them as well
                process.terminate()
        for process in processes:
            process.wait()
        raise


def images_per_second(experiment: Experiment, contexts: Sequence) -> float:
    """The speed of training steps on synthetic batches, without reading, evaluating or saving."""
    network, image_shape = results.network(experiment)
    steps = SyntheticSteps(
        initial_replicas(network, contexts, image_shape), BATCH.get(experiment.dataset, BATCH['others'])
    )
    steps.seconds(WARM)
    return steps.images / steps.seconds(TIMED)


def estimate(pending: Sequence[Command], args: argparse.Namespace) -> None:
    """Print the hours of each run, and of all; the speed of each network is measured once."""
    contexts = devices.contexts(args.gpus, args.cpus or 1)
    print(
        f'on {" ".join(map(str, contexts))}; training steps alone, of {BATCH["others"]} images a device, ImageNet '
        f'{BATCH["imagenet"]}; each run from its start'
    )
    print(f'{"hours":>9} {"images/s":>9}  run')
    speeds, total = {}, 0.0
    for command in pending:
        experiment = command.experiment
        key = experiment._replace(dataset='imagenet' if experiment.dataset == 'imagenet' else 'cifar10')
        if key not in speeds:
            speeds[key] = images_per_second(experiment, contexts)
        hours = (args.epochs or experiment.epochs) * IMAGES[experiment.dataset] / speeds[key] / 3600
        total += hours
        print(f'{hours:9.1f} {speeds[key]:9.1f}  {command.line()}', flush=True)
    print(f'{total:9.1f}            {len(pending)} runs')


def check(args: argparse.Namespace) -> None:
    """Raise UserError for what would make every command fail."""
    if args.run and args.estimate:
        raise UserError('choose one of --run and --estimate')
    if args.slurm and (args.run or args.estimate):
        raise UserError('--slurm prints a script: leave out --run and --estimate')
    if args.pack and not args.run:
        raise UserError('--pack is for --run')
    if os.path.exists(args.log_dir):
        results.check(args.log_dir)
    if args.gpus and not re.fullmatch(r'\d+(,\d+)*', args.gpus):
        raise UserError(f'--gpus {args.gpus}: give the numbers of the GPUs, such as --gpus 0,1')


def main() -> int:
    """Print, estimate or execute."""
    args = parser().parse_args()
    check(args)
    _, number = parsed(args.target)
    todo, after = commands(args)
    if args.only and not todo:
        raise UserError(f'--only {" ".join(args.only)}: {args.target} has no such run')
    if not todo:
        print(f'{args.target} needs no run: python plot.py figure {number} draws it', file=sys.stderr)
        return 0
    for place in other_devices(todo, args):
        print(
            f'{place} was made on another number of devices, and stays as it is; with another --log-dir it is made '
            'again',
            file=sys.stderr,
        )
    pending = unfinished(todo)
    if args.estimate:
        estimate(pending, args)
        return 0
    if args.run:
        return run_all(todo, pending, after, args)
    if args.slurm and pending:
        print(slurm_script(todo, pending, args), end='')
    else:
        print(*lines_of(todo, args), sep='\n', end='\n' if pending else '')
    evaluations = to_evaluate(after)
    for command in evaluations:
        print(command.line(), file=sys.stderr if args.slurm else sys.stdout)
    if pending and len(after) > len(evaluations):
        print('then the same command again, for what is evaluated of these runs together', file=sys.stderr)
    elif not pending and not evaluations:
        say_done(args)
    return 0


def say_done(args: argparse.Namespace) -> None:
    """Name the command that shows the runs."""
    kind, number = parsed(args.target)
    script = 'compare.py' if kind == 'table' else 'plot.py figure'
    named = ' that --only names' if args.only else ''
    epochs = f' --epochs {args.epochs}' if args.epochs and kind != 'table' else ''
    print(
        f'every run of {args.target}{named} is done: python {script} {number}{epochs} --log-dir '
        f'{shlex.quote(args.log_dir)}',
        file=sys.stderr,
    )


def run_all(
    todo: Sequence[Command], pending: Sequence[Command], after: Sequence[Command], args: argparse.Namespace
) -> int:
    """Execute what is not done; returns the exit status."""
    if pending and not args.cpus and not args.gpus and not devices.has_cuda():
        raise UserError("the paper's runs are on GPUs, and this MXNet has no CUDA: give --cpus 1 for the CPU")
    for gpus in sorted({gpus_of(command.experiment, args) for command in pending} if not args.cpus else ()):
        devices.contexts(gpus)  # or one line for all
    if args.pack:
        chosen = packs(todo, args.per_gpu)
        if args.pack > len(chosen):
            raise UserError(f'--pack {args.pack}: there are {len(chosen)}')
        todo = chosen[args.pack - 1]
    failed, evaluations = execute(todo, args.per_gpu), to_evaluate(after)
    if not pending and not evaluations:
        say_done(args)
    failed += execute(evaluations)
    if failed:
        print(f'{failed} of the runs did not reach their end; the same command resumes them', file=sys.stderr)
    return 1 if failed else 0


if __name__ == '__main__':
    run(main)
