"""Run a command for as long as somebody holds the other end of standard input, its life line:

    python -m distributed.node COMMAND…

Every process of a distributed job (distributed/launch.py) is started through this one, here and on other
machines. A pipe ends with its writer, even one killed by SIGKILL, and ssh passes the end on: nothing of a
job outlives its launcher.

A line `stop` asks the command to save and end: it gets SIGTERM. When the life line ends, and at SIGTERM and
SIGHUP, it gets SIGTERM and GRACE seconds later SIGKILL. What it started and left behind is killed too. The
exit status is the command's, or 128 + the number of the signal that killed it.

Needs the standard library only, and not MXNet, which would turn this process into a server.
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
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def own_address():
    """The address of this machine from which it reaches the job's scheduler."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((os.environ['DMLC_PS_ROOT_URI'], int(os.environ['DMLC_PS_ROOT_PORT'])))  # sends nothing
        return probe.getsockname()[0]


def replace_name():
    """Make DMLC_NODE_HOST an address: MXNet listens there, and cannot listen at a name.

    The name is not looked up. Many systems have 127.0.1.1 for their own, and ssh knows names that nobody else does.
    """
    try:
        socket.inet_aton(os.environ.get('DMLC_NODE_HOST', '127.0.0.1'))
    except OSError:
        os.environ['DMLC_NODE_HOST'] = own_address()


def catch_signals():
    """Let every signal that matters here write its number to a pipe; returns the pipe's end to read from."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    caught = {signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT}
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # nohup
        caught.remove(signal.SIGHUP)
    for number in caught:  # Ctrl-C is the launcher's affair; handled here, and not ignored, or the command would too
        signal.signal(number, lambda *_: None)
    return reader


def start(command):
    """The command as a process with a session, and so a process group, of its own."""
    libc = ctypes.CDLL(None)

    def die_with_node():  # where somebody kills this process by SIGKILL
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_node)


def has_ended(pid):
    """Whether a child has ended; it stays a zombie, so that nobody else gets its number."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def watch(pid, signals):
    """Return when the command has ended, passing on what the life line and the signals say."""
    sources, said, deadline = [0, signals], b'', None
    while not has_ended(pid):
        left = None if deadline is None else max(0, deadline - time.monotonic())
        ready = select.select(sources, [], [], left)[0]
        numbers = os.read(signals, 100) if signals in ready else b''
        over = signal.SIGTERM in numbers or signal.SIGHUP in numbers
        if 0 in ready:
            text = os.read(0, 100)
            said += text
            if not text:
                sources.remove(0)
                over = True
        if b'stop\n' in said:
            os.kill(pid, signal.SIGTERM)
            said = b''
        if over and deadline is None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + GRACE
        if deadline is not None and time.monotonic() >= deadline:
            os.killpg(pid, signal.SIGKILL)


def main(command):
    """Run the command; returns its exit status."""
    signals = catch_signals()
    try:
        replace_name()
        process = start(command)
    except OSError as error:
        print('error: %s cannot be started: %s' % (command[0], error.strerror), file=sys.stderr)
        return 127
    watch(process.pid, signals)
    os.killpg(process.pid, signal.SIGKILL)  # such as the data loaders of a worker that was killed
    status = process.wait()
    return status if status >= 0 else 128 - status


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
