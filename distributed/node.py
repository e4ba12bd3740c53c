"""Run a command for as long as the other end of standard input stays open:

    python -m distributed.node COMMAND…

Every process of a distributed job runs under this program, on this machine and on others. Its standard input is a pipe
from the launcher, its life line. A pipe closes when its writer dies, even by SIGKILL, and ssh passes that on. So no
process of a job outlives the launcher.

A line `stop` on the life line asks the command to save and end: it gets SIGTERM. When the life line is cut, or this
program gets SIGTERM or SIGHUP, the command gets SIGTERM, and SIGKILL after GRACE seconds. Whatever the command started
and left running is killed too. The exit status is the command's, or 128 + the number of the signal that killed it.

This module needs the standard library alone. It must not import MXNet, which would turn it into a server.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time

GRACE = 3  # seconds from SIGTERM to SIGKILL
LIFE_LINE = 0  # standard input
PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def exit_status(returncode: int) -> int:
    """Convert Popen's return code as a shell does: death by a signal becomes 128 + its number."""
    return returncode if returncode >= 0 else 128 - returncode


def own_address() -> str:
    """Return the address of this machine on its way to the job's scheduler."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((os.environ['DMLC_PS_ROOT_URI'], int(os.environ['DMLC_PS_ROOT_PORT'])))  # sends nothing
        return probe.getsockname()[0]


def make_node_host_numeric() -> None:
    """Replace a name in DMLC_NODE_HOST by an address: MXNet listens there, and cannot listen at a name.

    The name is not looked up: many systems resolve their own name to 127.0.1.1, and some names are known to ssh alone.
    """
    try:
        socket.inet_aton(os.environ.get('DMLC_NODE_HOST', '127.0.0.1'))
    except OSError:
        os.environ['DMLC_NODE_HOST'] = own_address()


def signals_to_pipe() -> int:
    """Catch the signals that matter here; each writes its number to a pipe, whose end to read is returned."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    caught = {signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT}
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # nohup
        caught.remove(signal.SIGHUP)
    # The launcher deals with Ctrl-C. SIGINT is caught all the same: if it were ignored, the command would inherit that.
    for number in caught:
        signal.signal(number, lambda *_: None)
    return reader


def start(command: list[str]) -> subprocess.Popen:
    """Start the command in its own session, and so its own process group."""
    libc = ctypes.CDLL(None)

    def die_with_parent():  # even if the parent, this program, is killed by SIGKILL
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)


def has_ended(pid: int) -> bool:
    """Tell whether a child has ended, but leave it a zombie, so that its number is not used again."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def watch(pid: int, signals: int) -> None:
    """Pass on what the life line and the pipe of signals say, until the command has ended."""
    sources, received, deadline = [LIFE_LINE, signals], b'', None
    while not has_ended(pid):
        timeout = None if deadline is None else max(0, deadline - time.monotonic())
        ready = select.select(sources, [], [], timeout)[0]
        numbers = os.read(signals, 100) if signals in ready else b''
        over = signal.SIGTERM in numbers or signal.SIGHUP in numbers
        if LIFE_LINE in ready:
            text = os.read(LIFE_LINE, 100)
            received += text
            if not text:  # cut
                sources.remove(LIFE_LINE)
                over = True
        if b'stop\n' in received:
            os.kill(pid, signal.SIGTERM)
            received = b''
        if over and deadline is None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + GRACE
        if deadline is not None and time.monotonic() >= deadline:
            os.killpg(pid, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command; return its exit status."""
    signals = signals_to_pipe()
    try:
        make_node_host_numeric()
        process = start(command)
    except OSError as error:
        print(f'error: {command[0]} cannot be started: {error.strerror}', file=sys.stderr)
        return 127
    watch(process.pid, signals)
    os.killpg(process.pid, signal.SIGKILL)  # what is left, such as the data loaders of a worker that was killed
    return exit_status(process.wait())


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
