"""The scheduler of a job, started by dmlc_tracker, the launcher that comes with MXNet.

dmlc_tracker chooses the port and starts the scheduler. Servers and workers are started in distributed/job.py instead:
dmlc_tracker does not notice when a worker dies, while the others wait for it forever; it does not quote the command's
arguments; and it leaves processes behind.
"""

import contextlib
import os
import shlex
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO

from common.errors import UserError
from common.files import lock
from common.role import OWN_ROLE
from distributed.node import exit_status

POLL, TIMEOUT = 0.1, 60  # seconds between two tries to get the lock, and until the last one


def load_tracker():
    """Import dmlc_tracker, which comes with MXNet but does not spend the seconds of importing it."""
    try:
        from dmlc_tracker import tracker
    except ImportError:
        raise UserError(
            f'this Python ({sys.executable}) has no MXNet: run `make .venv`, then `. .venv/bin/activate`'
        ) from None
    return tracker


def scheduler_address(host: str) -> str:
    """Return the address of a host, or of this machine for 'auto'. A number: MXNet cannot listen at a name."""
    tracker = load_tracker()
    try:
        return tracker.get_some_ip(tracker.get_host_ip(host))
    except OSError as error:
        what = 'this machine does not know its own address' if host == 'auto' else f'there is no host {host}'
        raise UserError(f'{what} ({error.strerror}): give an address of this machine with --host-ip') from None


class Scheduler:
    """The running scheduler, on this machine.

    dmlc_tracker runs the command in a thread and lets it inherit standard input, which therefore becomes its life line
    (see distributed/node.py). The thread ends with the command, by an exception if the command failed.

    Args:
        command: the words to run.
        address: where servers and workers reach the scheduler.
        environment: variables for the scheduler alone.
    """

    name, behind_ssh = 'the scheduler', False

    def __init__(
        self, command: list[str], address: str, num_workers: int, num_servers: int, environment: dict[str, str]
    ):
        tracker = load_tracker()
        self._replace_standard_input()
        self._failure = 0
        self._default_hook, threading.excepthook = threading.excepthook, self._note_failure
        counts = {'DMLC_NUM_WORKER': str(num_workers), 'DMLC_NUM_SERVER': str(num_servers)}
        # bash is in the terminal's foreground: Ctrl-C must not kill it before it becomes the command.
        line = "trap '' INT; exec " + shlex.join(command)
        with lock_launchers():
            started = tracker.PSTracker(address, line, envs={**environment, **counts, OWN_ROLE: 'scheduler'})
            self._port = reserve_port(started.port)
        self._thread = started.thread
        #: The variables that tell every server and worker about the job.
        self.settings = {**counts, **{name: str(value) for name, value in started.slave_envs().items()}}

    def _replace_standard_input(self):
        reader, self._life_line = os.pipe()  # no child inherits the end to write to
        if reader != 0:  # it is 0 if standard input was closed
            os.dup2(reader, 0)
            os.close(reader)
        os.set_inheritable(0, True)

    def _note_failure(self, args):
        if isinstance(args.exc_value, subprocess.CalledProcessError):
            self._failure = exit_status(args.exc_value.returncode)
        else:
            self._default_hook(args)

    def status(self) -> int | None:
        """Return None while the scheduler runs, then its exit status."""
        return None if self._thread.is_alive() else self._failure

    def cut_life_line(self) -> None:
        os.close(self._life_line)


def lock_launchers() -> IO[bytes]:
    """Return an open file that one launcher of this user has at a time.

    dmlc_tracker looks for a free port but does not keep it: two launchers that look at once find the same one.
    """
    path, deadline = os.path.join(runtime_folder(), 'distributed.launch.lock'), time.monotonic() + TIMEOUT
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), 'rb')
    while True:
        try:
            lock(file.fileno(), path, 'start one job at a time')
            return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise UserError(
                    'another job on this machine has been starting for a minute: end its launcher, '
                    'then start this job again'
                ) from None
            time.sleep(POLL)


def runtime_folder() -> str:
    """The folder for what this user's processes share while they run; no other user can write there."""
    given = os.environ.get('XDG_RUNTIME_DIR', '')
    if _is_own(given) and os.access(given, os.W_OK):
        return given
    folder = os.path.join(tempfile.gettempdir(), f'deep-fusion-{os.getuid()}')
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    if not _is_own(folder):
        raise UserError(f'{folder} is not a folder of yours alone: delete it, or set XDG_RUNTIME_DIR to one that is')
    return folder


def _is_own(folder):
    try:
        about = os.lstat(folder)  # a link is nobody's
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o077


def reserve_port(port: int) -> socket.socket:
    """Return an open socket that keeps the port from other jobs while the scheduler is importing MXNet.

    The socket first takes the port for itself and only then permits its reuse. MXNet's socket permits reuse too, so it
    can listen there.
    """
    keeper = socket.socket()
    try:
        keeper.bind(('', port))
    except OSError as error:  # another user's launcher was faster
        raise UserError(f'port {port} cannot be used ({error.strerror}): start the job again') from None
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return keeper
