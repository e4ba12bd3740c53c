"""A run of a training script: its options, devices and workers, and what its directory holds already."""

from common.cli import Parser

import argparse
from collections.abc import Callable
import os
import platform
import shlex
import subprocess
import sys
from typing import NamedTuple

import numpy as np

from common import mxnet
from common.errors import UserError
from common.files import check_folder
from common.mxnet import mx
from distributed.collectives import Collectives
from symbols.fused import fuse
from training import checkpoint, devices, options, run_directory, symbol_file, transfer


class Run(NamedTuple):
    """A run before it begins.

    config: what config.json will hold. outcome: how the run in the directory ended; None for a new one, and for one to
    be resumed.
    """

    args: argparse.Namespace
    contexts: list[mx.Context]
    collectives: Collectives
    directory: str
    config: dict
    outcome: dict | None

    @property
    def shard(self):
        """The devices of this process among all of the job."""
        return self.collectives.shard

    @property
    def network(self) -> str:
        """The network's name and depth. GluonCV's have their depth in the name."""
        return self.args.net if self.args.depth is None else f'{self.args.net} {self.args.depth}'

    @property
    def source(self) -> str | None:
        """What --init-from names, if this process has to read it: rank 0 does, where the run is not resumed."""
        if self.collectives.rank != 0 or checkpoint.find(self.directory):
            return None
        return self.args.init_from

    def check(self, network: Callable, image_shape: tuple[int, int, int]) -> None:
        """Find out what cannot be trained before any image is read, which may take hours.

        Args:
            network: (dtype, loss_scale) → symbol.
            image_shape: (channels, height, width).

        Raises:
            UserError: there is no such network, or not in the form that is trained; its checkpoints could not be read
                back; --init-from names another one; a device would get no image; --log-dir cannot be written to.
        """
        if self.collectives.rank == 0 and not run_directory.find_outcome(self.directory, self.config):
            check_folder(self.directory, '--log-dir')
        batch_size, total = self.args.batch_size, self.shard.total
        if batch_size < total:
            raise UserError(
                f'--batch-size {batch_size} leaves some of {total} devices without an image: choose {total} or more'
            )
        symbol = network(dtype=self.args.dtype)
        symbol_file.check_readable(self.network, symbol, image_shape, total)
        if self.args.mirror:
            fuse(symbol, mirror=True)
        if self.source:
            transfer.read(self.source, symbol, image_shape)

    def report(self, outcome: dict) -> int:
        """Say how the run ended; returns the exit status that it ended with."""
        if outcome['status'] == 'finished':
            fail = ' (a "fail")' if outcome.get('fail') else ''
            line = (
                f'{self.directory} is done: test error {outcome["test_error"]:.2f} % after {outcome["epochs"]} '
                f'epochs{fail}'
            )
        else:
            line = f'{self.directory} has ended: it diverged in epoch {outcome["epoch"]}; delete it to begin again'
        if self.collectives.rank == 0:
            print(line)
        return 0 if outcome['status'] == 'finished' else 1


def open_run(parser: Parser, complete: Callable[[argparse.Namespace], None] = lambda args: None) -> Run:
    """Read the command line, join the job, and look what the run directory holds. Changes nothing on the disk.

    With --no-verify a finished run is not recognized here: its images may have changed, and have to be read first.

    Args:
        complete: gives values to options that follow from others.

    Raises:
        UserError: an option is wrong, or the directory holds another run.
    """
    args = options.read(parser)
    complete(args)
    options.check(args)
    contexts = devices.contexts(args.gpus, args.cpus)
    directory = options.directory_of(vars(args), vars(parser.parse_args([])))
    args.kv_store = args.kv_store or ('device' if args.gpus and len(contexts) > 1 else 'local')
    _keep_threads(directory)
    collectives = Collectives(args.kv_store, len(contexts))
    config = {
        'command': shlex.join(['python', *sys.argv]),
        'options': vars(args),
        'environment': {**_environment(), 'workers': collectives.num_workers, **devices.describe(contexts)},
        'outcome': None,
    }
    look = collectives.rank == 0 and not args.no_verify
    outcome = collectives.broadcast_object(run_directory.find_outcome(directory, config) if look else None)
    return Run(args, contexts, collectives, directory, config, outcome)


def _keep_threads(directory):
    """Go on with the number of threads that a run began with, unless the user chose another: its bits depend on it."""
    if mxnet.THREADS_GIVEN or 'DMLC_ROLE' in os.environ or not run_directory.is_there(directory):
        return
    config = run_directory.read_config(directory)
    began = config['environment'].get('threads')
    if not config['outcome'] and isinstance(began, int) and 0 < began != int(os.environ['OMP_NUM_THREADS']):
        mxnet.restart_with_threads(began)


def _environment():
    return {
        'python': platform.python_version(),
        'numpy': np.__version__,
        'mxnet': mx.__version__,
        'threads': int(os.environ['OMP_NUM_THREADS']),
        'commit': _commit(),
    }


def _commit():
    """The commit of the code, `-dirty` with uncommitted changes outside logs/; None outside a checkout of its own."""
    git = ['git', '-C', os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    try:
        found = subprocess.run([*git, 'rev-parse', '--show-prefix', 'HEAD'], capture_output=True, check=True)
        *prefix, head = os.fsdecode(found.stdout).splitlines()
        if any(prefix):  # it is another repository's, which this copy lies in
            return None
        dirty = subprocess.run(
            [*git, 'diff', '--quiet', 'HEAD', '--', ':/', ':(exclude,top)logs'], stderr=subprocess.DEVNULL
        ).returncode
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ('-dirty' if dirty else '')
