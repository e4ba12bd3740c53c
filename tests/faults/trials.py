"""A command in a process of its own, forked from one that has MXNet already, and how it ended."""

from collections.abc import Callable, Sequence
import faulthandler
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from typing import NamedTuple

from tqdm import tqdm

from common import cli
from common.mxnet import mx

MEMORY = 8 << 30  # bytes; a command that wants more has lost its bounds
HANG, CRASH, TRACEBACK, ONE_LINE, DONE = 'hang', 'crash', 'traceback', 'one line', 'done'


class Ended(NamedTuple):
    """How a command ended: its status, -n after signal n, or None where it had to be killed; and what it wrote."""

    status: int | None
    out: str
    err: str

    @property
    def kind(self) -> str:
        """One of the five kinds above."""
        if self.status is None:
            return HANG
        if self.status < 0:
            return CRASH
        if 'Traceback' in self.err or 'not enough memory' in self.err or self.status == 1:  # of so much, none is needed
            return TRACEBACK
        if self.status == 2:
            errors = [line for line in self.err.splitlines() if not line.startswith(('warning: ', 'note: '))]
            return ONE_LINE if len(errors) == 1 and errors[0].startswith('error: ') else TRACEBACK
        return DONE


def forked(
    main: Callable, *words: object, cwd: str = '.', seconds: float = 120, kill_after: float | None = None
) -> Ended:
    """Call a script's main() on a command line as a user does, in a fork.

    Args:
        words: as in sys.argv, from the script's name on.
        cwd: its working directory.
        seconds: until it counts as hanging.
        kill_after: seconds after which it is killed, which is no hang then.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    folder = tempfile.mkdtemp(prefix='trial-')
    paths = [os.path.join(folder, name) for name in ('out', 'err')]
    try:
        child = os.fork()
        if child == 0:
            _run(main, words, cwd, paths)
        handle = os.pidfd_open(child)
        over, _, _ = select.select([handle], [], [], seconds if kill_after is None else kill_after)
        if not over:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(handle)
        code = os.waitstatus_to_exitcode(status) if over or kill_after is not None else None
        return Ended(code, *(_read(path) for path in paths))
    finally:
        shutil.rmtree(folder)


def _run(main: Callable, words: Sequence[object], cwd: str, paths: Sequence[str]) -> None:
    """The child: never returns."""
    code: object = 70
    try:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        for number, path in enumerate(paths, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        sys.stdout, sys.stderr = (os.fdopen(number, 'w', closefd=False) for number in (1, 2))
        sys.argv = [str(word) for word in words]
        os.chdir(cwd)
        tqdm.set_lock(threading.RLock())  # its own lock is shared with forks, and a killed one may hold it
        try:
            with mx.name.NameManager():  # which counts operators without a name, from 0 in a process of its own
                cli.run(main)
        except SystemExit as ended:
            code = ended.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code if isinstance(code, int) else 1)


def _read(path: str) -> str:
    try:
        with open(path, errors='replace') as file:
            return file.read()
    except FileNotFoundError:
        return ''
