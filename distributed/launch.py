"""Start a job of several processes, or machines, on MXNet's parameter server, and watch over it:

    python -m distributed.launch -n 2 python train_cifar.py --kv-store dist_sync    # all on this machine
    python -m distributed.launch -n 4 -H hosts python train_imagenet.py --net dfn-mr --depth 44 --kv-store dist_sync

The command is started in every role: once as the scheduler, on this machine, and as servers and workers.
`import mxnet` makes a scheduler or a server of a process and ends it with the job; only workers go on from
there. What they print comes out here. The numbers of workers in messages are not their ranks.

A hosts file has a machine a line: `host`, `host:port` or `user@host`. Worker and server i go to line i, and
after the last to the first again. Each machine needs this directory and this Python at the same path, and
an ssh that asks for nothing. All of them, this one included, have to reach one another at any port.

The job ends when its workers have. Where a process fails, it is named, the others are ended, and its
exit status is returned. Ctrl-C and SIGTERM let the workers save and end, for up to a minute; a second
Ctrl-C ends all at once. Nothing is left running, even where this command is killed.
"""
import argparse
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import NamedTuple, Optional

from common.cli import Parser, positive_int, run

from common.errors import UserError
from distributed.node import GRACE
from training.stop import StopRequest

# Seconds: between two looks at the processes; for the rest of the job to end after its workers, or the
# workers after the rest; for workers to save.
LOOK, SETTLE, SAVE = 0.1, 10, 60
# The ssh of a machine that is lost ends after 40 s. No shared connection: its first ssh would outlive its worker.
SSH = 'ssh -o BatchMode=yes -o ServerAliveInterval=10 -o ServerAliveCountMax=3 -o ControlPath=none'.split()
SSH_FAILED = 255
HOST_LINE = re.compile(r'((?:[^@\s-][^@\s]*@)?([^@:\s-][^@:\s]*))(?::(\d+))?(?:\s+slots=.*)?$')
ALWAYS_PASSED = re.compile(r'(DMLC|MXNET|PS)_|OMP_NUM_THREADS$')
# Without the last two MXNet looks for a network and hangs where it takes one that leads nowhere.
LOOPBACK = '127.0.0.1'
ON_LOOPBACK = {'DMLC_NODE_HOST': LOOPBACK, 'DMLC_INTERFACE': 'lo'}


class Host(NamedTuple):
    """A line of the hosts file: the machine's name, the same with the user, as ssh is given it, and the port."""

    name: str
    target: str
    port: Optional[str] = None


def parser():
    """The command line."""
    options = Parser(prog='python -m distributed.launch', usage='%(prog)s -n N [options] COMMAND…', description=__doc__,
                     allow_abbrev=False)  # of the options of COMMAND, that is
    options.add_argument('-n', '--num-workers', type=positive_int, required=True, metavar='N', help='workers')
    options.add_argument('-s', '--num-servers', type=positive_int, metavar='N',
                         help='servers, over which the sums are spread (default: as many as workers)')
    options.add_argument('-H', '--hostfile', metavar='FILE', help='machines to run on; without it this one')
    options.add_argument('--launcher', choices=['local', 'ssh'],
                         help='where servers and workers are started (default: ssh with -H, local without)')
    options.add_argument('--host-ip', metavar='ADDRESS',
                         help='address of this machine at which the others reach the scheduler (default: a guess)')
    options.add_argument('--env', action='append', default=[], metavar='NAME',
                         help='pass this environment variable on by ssh, as are OMP_NUM_THREADS and all of DMLC_*, '
                              'MXNET_* and PS_*; may be given several times')
    options.add_argument('command', nargs=argparse.REMAINDER, metavar='COMMAND',
                         help='what to run; `python` stands for the Python that runs this')
    return options


def complete(args):
    """Fill in the defaults that depend on other options, and check what can be checked."""
    args.num_servers = args.num_servers or args.num_workers
    args.launcher = args.launcher or ('ssh' if args.hostfile else 'local')
    if args.launcher == 'ssh' and not args.hostfile:
        raise UserError('--launcher ssh needs the machines: name them in a file, one a line, and give it with -H')
    if args.launcher == 'local' and args.hostfile:
        raise UserError('-H %s is of no use to --launcher local: leave one of them out' % args.hostfile)
    if args.launcher == 'ssh' and not shutil.which('ssh'):
        raise UserError('there is no ssh: install it (sudo apt install openssh-client)')
    args.command = complete_command(args.command[1:] if args.command[:1] == ['--'] else args.command)


def complete_command(command):
    """The command with this Python for `python`; UserError where it cannot be started."""
    if not command:
        raise UserError('give the command to run, such as: python train_cifar.py --kv-store dist_sync')
    if command[0] in ('python', 'python3'):
        command = [sys.executable] + command[1:]
        if len(command) > 1 and command[1].endswith('.py') and not os.path.exists(command[1]):
            raise UserError('there is no file %s' % command[1])
    if not shutil.which(command[0]):
        raise UserError('there is no program %s' % command[0])
    return command


def read_hosts(path):
    """The machines of a hosts file."""
    try:
        with open(path, errors='replace') as file:
            lines = [line.partition('#')[0].strip() for line in file]
    except OSError as error:
        raise UserError('the hosts file %s cannot be read: %s' % (path, error.strerror)) from None
    hosts = []
    for number, line in enumerate(lines, 1):
        match = HOST_LINE.match(line)
        if match:
            hosts.append(Host(match.group(2), match.group(1), match.group(3)))
        elif line:
            raise UserError('%s, line %d: %s is not host, host:port or user@host' % (path, number, line))
    if not hosts:
        raise UserError('%s names no machine' % path)
    return hosts


def passed_on(environment, names):
    """The part of an environment that ssh, which begins with a new one, is told to set."""
    for name in names:
        if name not in environment:
            raise UserError('--env %s: there is no such variable in the environment' % name)
    return {name: value for name, value in environment.items() if name in names or ALWAYS_PASSED.match(name)}


def ssh_command(host, command, environment):
    """A command, in the same directory of another machine: the words to start here."""
    words = ['env'] + ['%s=%s' % pair for pair in sorted(environment.items())] + command
    line = 'cd %s && exec %s' % (shlex.quote(os.getcwd()), shlex.join(words))
    return SSH + (['-p', host.port] if host.port else []) + [host.target, line]


def exit_status(returncode):
    """What a shell makes of Popen's return code: 128 + the number of the signal that killed a process."""
    return returncode if returncode >= 0 else 128 - returncode


def describe(status):
    """How a process with this exit status has ended."""
    try:
        return 'was killed by signal %d (%s)' % (status - 128, signal.Signals(status - 128).name)
    except ValueError:
        return 'ended with status %d' % status


class Member:
    """A server or a worker, here or behind ssh. The pipe to its standard input is its life line (distributed/node.py)."""

    def __init__(self, name, command, environment=None):
        self.name = name
        # In a session of its own, or the terminal's Ctrl-C would end ssh and with it the worker that is to save.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, env=environment,
                                         start_new_session=True)

    def status(self):
        """None while it runs, then its exit status, or 128 + the number of the signal that killed it."""
        status = self._process.poll()
        return None if status is None else exit_status(status)

    def ending(self):
        """How it has ended."""
        lost = self.status() == SSH_FAILED and self._process.args[0] == SSH[0]
        return 'was not reached, or is lost (ssh says why)' if lost else describe(self.status())

    def ask_to_stop(self):
        """Let it save and end."""
        try:
            self._process.stdin.write(b'stop\n')
        except BrokenPipeError:  # it has ended by itself
            pass

    def end(self):
        """Let it be ended."""
        self._process.stdin.close()

    def kill(self):
        """End what should have ended long ago, such as an ssh whose machine no longer answers."""
        self._process.kill()
        self._process.wait()


class Scheduler:
    """The scheduler, which dmlc_tracker starts in a thread and lets have the standard input of this process.

    So that becomes its life line. Its end is the thread's; its failure is the thread's exception, which is
    kept here instead of being printed.
    """

    name = 'the scheduler'

    def __init__(self):
        reader, self._line = os.pipe()  # no child inherits the end to write to
        if reader != 0:  # it is where standard input was closed
            os.dup2(reader, 0)
            os.close(reader)
        os.set_inheritable(0, True)
        self._failure = 0
        self._before, self._thread = threading.enumerate(), None
        self._show, threading.excepthook = threading.excepthook, self._keep

    def _keep(self, args):
        if isinstance(args.exc_value, subprocess.CalledProcessError):
            self._failure = exit_status(args.exc_value.returncode)
        else:
            self._show(args)

    def find_thread(self):
        """To be called when the tracker has started it."""
        new = [thread for thread in threading.enumerate() if thread not in self._before]
        self._thread = new[0] if new else None

    def status(self):
        """As of a member."""
        return None if self._thread and self._thread.is_alive() else self._failure

    def ending(self):
        """How it has ended."""
        return describe(self._failure)

    def end(self):
        """Let it be ended."""
        if self._line is not None:
            os.close(self._line)
            self._line = None


def workers_here(settings, hosts):
    """How many workers share a machine's cores, as common/mxnet.py reads it."""
    return {'WORKERS_HERE': str(-(-int(settings['DMLC_NUM_WORKER']) // hosts))}


def local_members(command, environment):
    """A function (role, number, settings) that starts a member on this machine."""
    def start(role, number, settings):
        here = workers_here(settings, 1)
        return Member('%s %d on localhost' % (role, number), command,
                      {**environment, **ON_LOOPBACK, **here, **settings})
    return start


def ssh_members(command, environment, hosts):
    """A function (role, number, settings) that starts a member on its machine."""
    def start(role, number, settings):
        host = hosts[number % len(hosts)]
        here = dict(workers_here(settings, len(hosts)), DMLC_NODE_HOST=host.name)
        return Member('%s %d on %s' % (role, number, host.name),
                      ssh_command(host, command, {**environment, **here, **settings}))
    return start


def take_turn():
    """A socket that one launcher of a machine has at a time: while dmlc_tracker looks for a port nobody else should."""
    turn, deadline = socket.socket(socket.AF_UNIX), time.monotonic() + SETTLE
    while True:
        try:
            turn.bind('\0distributed.launch')  # \0: a name without a file, which ends with the process
            return turn
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK)


def keep_port(port):
    """A socket that keeps the scheduler's port from other jobs, until the scheduler has imported MXNet and listens.

    dmlc_tracker only looks for a free one. A second socket may listen at a port where both allow its reuse, as
    MXNet's does and this one, but not before it has the port for itself.
    """
    keeper = socket.socket()
    keeper.bind(('', int(port)))
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return keeper


class Job:
    """All processes of a job, from their start to their end.

    dmlc_tracker has the port chosen and the scheduler started, but its own way to start the rest takes no
    notice of a worker that dies, for which the others then wait for ever; it quotes nothing of the command,
    and leaves running what it started. So it is handed `run` instead.
    """

    def __init__(self, start, stop):
        self.result = 1  # exit status
        self._start, self._stop, self._turn = start, stop, take_turn()
        self._scheduler, self._servers, self._workers = Scheduler(), [], []

    def run(self, workers, servers, environment):
        """Start, watch and end servers and workers, as dmlc_tracker.tracker.submit wants it done."""
        self._scheduler.find_thread()
        settings = {name: str(value) for name, value in environment.items()}
        try:
            with keep_port(settings['DMLC_PS_ROOT_PORT']):
                self._turn.close()
                for members, role, count in (self._servers, 'server', servers), (self._workers, 'worker', workers):
                    for i in range(count):
                        members.append(self._start(role, i, dict(settings, DMLC_ROLE=role, DMLC_TASK_ID=str(i))))
                self.result = self._watch()
        finally:
            self.end()

    def _watch(self):
        """Wait for the job's end, for a failure or to be stopped; returns the exit status."""
        others, deadline = self._servers + [self._scheduler], None
        while not self._stop.signal:
            for member in self._workers + others:
                if member.status():
                    return report(member, member.ending())
            if all(worker.status() == 0 for worker in self._workers):
                self._wait(others, SETTLE)
                return 0
            # MXNet ends the others when the workers are done with it, so these are about to end too.
            gone = [member for member in others if member.status() == 0]
            deadline = deadline or (time.monotonic() + SETTLE if gone else None)
            if gone and time.monotonic() > deadline:
                return report(gone[0], 'ended before the workers')
            time.sleep(LOOK)
        return self._stop_workers()

    def _stop_workers(self):
        """Have the workers save and end; a second Ctrl-C is a KeyboardInterrupt. Returns the exit status."""
        number = self._stop.signal
        print('stopping: the workers save and end; Ctrl-C ends them at once', file=sys.stderr)
        for worker in self._workers:
            worker.ask_to_stop()
        self._wait(self._workers, SAVE)
        for worker in self._workers:
            if worker.status() is None:
                print('error: %s did not end and is killed' % worker.name, file=sys.stderr)
            elif worker.status() not in (0, 128 + signal.SIGTERM):
                print('error: %s %s' % (worker.name, worker.ending()), file=sys.stderr)
        return 128 + number

    def _wait(self, members, seconds):
        """Wait until members have ended; no longer than some seconds, or until another signal than before."""
        before, deadline = self._stop.signal, time.monotonic() + seconds
        while (any(member.status() is None for member in members) and time.monotonic() < deadline
               and self._stop.signal == before):
            time.sleep(LOOK)

    def end(self):
        """End what is still there; dmlc_tracker then waits for the scheduler."""
        for member in self._workers + self._servers + [self._scheduler]:
            member.end()
        self._wait(self._workers + self._servers, 2 * GRACE)
        for member in self._workers + self._servers:
            if member.status() is None:
                member.kill()


def report(member, what):
    """Say what has ended the job; returns the exit status."""
    by_itself = 0 < (member.status() or 0) < 128  # and it has said why
    print('error: %s %s; the job is ended%s' % (
        member.name, what, '' if by_itself else ', the same command takes it up again'), file=sys.stderr)
    return member.status() or 1


def load_tracker():
    """dmlc_tracker of MXNet's wheel, which needs what compat mends."""
    os.environ.pop('DMLC_ROLE', None)  # left over from another job, it would make a server of this process
    try:
        import common.mxnet  # noqa: F401  here, because it changes the environment and takes a second or two
    except ImportError as error:
        raise UserError(error) from None
    from dmlc_tracker import tracker
    return tracker


def scheduler_address(tracker, given):
    """The address at which the scheduler is reached: a number, because it cannot listen at a name."""
    try:
        return tracker.get_some_ip(tracker.get_host_ip(given))
    except OSError as error:
        raise UserError('%s (%s): give an address of this machine with --host-ip' % (
            'there is no host %s' % given if given != 'auto' else 'this machine does not know its address',
            error.strerror)) from None


def main():
    """Scheduler, servers and workers, through dmlc_tracker."""
    args = parser().parse_args()
    complete(args)
    node = [sys.executable, '-m', 'distributed.node'] + args.command
    environment = dict(os.environ)
    if args.launcher == 'ssh':
        start = ssh_members(node, passed_on(environment, args.env), read_hosts(args.hostfile))
    else:
        start = local_members(node, environment)
    tracker = load_tracker()
    address = scheduler_address(tracker, args.host_ip or ('auto' if args.launcher == 'ssh' else LOOPBACK))
    os.environ.update(ON_LOOPBACK if args.launcher == 'local' else {'DMLC_NODE_HOST': address})  # the scheduler's
    with StopRequest() as stop:
        job = Job(start, stop)
        try:
            # From its first moment bash, in the terminal's foreground, must not die of Ctrl-C.
            tracker.submit(args.num_workers, args.num_servers, job.run, hostIP=address,
                           pscmd="trap '' INT; exec " + shlex.join(node))
        finally:
            job.end()
    return job.result


if __name__ == '__main__':
    run(main)
