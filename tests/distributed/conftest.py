"""Fixtures for tests that start the launcher: run it, find the processes of its job, and end those that are left."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest

from tests.conftest import ROOT

# Shell scripts for jobs without MXNet.
WAIT = 'sleep 600 & wait'  # a trap interrupts `wait`
ONLY_WORKERS = f'if [ $DMLC_ROLE != worker ]; then {WAIT}; fi; '
# Workers take half a second to save when they are asked to stop, longer than the GRACE of the tests.
SAVING = ONLY_WORKERS + "trap 'sleep 0.5; echo saved; exit 143' TERM; touch {0}/ready$DMLC_TASK_ID; " + WAIT

# Programs with shorter times than the real ones.
NODE = 'import sys; from distributed import node; node.GRACE = {grace}; sys.exit(node.main(sys.argv[1:]))'
LAUNCHER = """
import sys
from distributed import job, launch
job.SETTLE, job.SAVE = {settle}, {save}
launch.NODE = [sys.executable, '-c', {node!r}]
launch.run(launch.main)
"""

# A worker prints its rank and the sum of what all workers pushed, in two steps. Before the second, rank 1 runs the
# Python code in the first argument.
SUMS = """
import os, sys
from common.mxnet import mx
kv = mx.kv.create('dist_sync')
value = mx.nd.zeros(3)
kv.init(0, value)
for step in 1, 2:
    if step == 2 and kv.rank == 1:
        exec(sys.argv[1])
    kv.push(0, mx.nd.full(3, step * 10 ** kv.rank))
    kv.pull(0, out=value)
    sys.stdout.write(f'rank {kv.rank} has {value.asnumpy().tolist()}\\n')
    sys.stdout.flush()
"""
FIRST_SUMS, ALL_SUMS = (
    sorted(f'rank {rank} has {[total] * 3}' for rank in (0, 1) for total in totals) for totals in ([11.0], [11.0, 22.0])
)


@pytest.fixture
def mark():
    """A variable for the environment that identifies a test's processes; those still there at the end are killed."""
    mark = 'LAUNCH_TEST', uuid.uuid4().hex
    yield mark
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def marked(mark):
    """The processes with a mark in their environment. Zombies have no environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/environ', 'rb') as file:
                if '='.join(mark).encode() in file.read().split(b'\0'):
                    found.append(int(pid))
        except OSError:  # it has ended, or is another user's
            pass
    return found


def wait_for(condition, seconds=60):
    """Wait until a condition holds; returns whether it does."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


class Launcher:
    """The launcher, as in the foreground of a terminal: in its own process group.

    With `real` it is the command itself. Otherwise `settle`, `save` and `grace` replace its times, in seconds.
    """

    def __init__(self, tmp_path, mark, words, path=None, real=False, settle=0.3, save=60, grace=0.2):
        code = LAUNCHER.format(settle=settle, save=save, node=NODE.format(grace=grace))
        program = ['-m', 'distributed.launch'] if real else ['-c', code]
        environment = dict(os.environ, PYTHONPATH=ROOT, **dict([mark]))
        if path:
            environment['PATH'] = f'{path}:{environment["PATH"]}'
        self._output, self._errors = (tmp_path / uuid.uuid4().hex for _ in range(2))
        with open(self._output, 'w') as output, open(self._errors, 'w') as errors:
            self.process = subprocess.Popen(
                [sys.executable, *program, *map(str, words)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def press_ctrl_c(self):
        os.killpg(self.process.pid, signal.SIGINT)

    def errors(self):
        return self._errors.read_text()

    def wait(self, seconds=90):
        """Returns the exit status, the lines of standard output and those of standard error."""
        status = self.process.wait(seconds)
        return status, self._output.read_text().splitlines(), self.errors().splitlines()


@pytest.fixture
def start(tmp_path, mark):
    """A function that starts the launcher with some arguments, and returns a `Launcher`."""

    def start(*words, **options):
        return Launcher(tmp_path, mark, words, **options)

    return start


@pytest.fixture
def sums(tmp_path):
    """The path of the script SUMS."""
    path = tmp_path / 'sums.py'
    path.write_text(SUMS)
    return path
