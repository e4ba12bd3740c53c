"""Start a job of several processes on MXNet's parameter server, on this machine or on several, and watch over it:

    python -m distributed.launch -n 2 python train_cifar.py --kv-store dist_sync    # all on this machine
    python -m distributed.launch -n 4 -H hosts python train_imagenet.py --net dfn-mr --depth 44 --kv-store dist_sync

COMMAND runs once as the scheduler, on this machine, and once for each server and worker. Schedulers and servers
stay inside `import mxnet` until the job ends; only workers get past it. All output appears here. The numbers in
messages count processes from 0; a worker's number is not its rank.

A hosts file names a machine on each line: `host`, `host:port` or `user@host`. Workers are assigned to the lines in
turn, and so are servers. Every machine needs this directory and this Python at the same path, and an ssh that asks
for no password. The machines, this one included, must reach one another at any port.

MXNet knows no password and unpickles what it is sent: whoever reaches the job's ports can run programs as you. Without
a hosts file the job listens at 127.0.0.1 alone, where the other users of this machine still reach it; with one, each
process listens at its machine's address in the job. Keep those ports behind a firewall.

The job ends when its workers end. If a process fails, the launcher names it, ends the others and returns its exit
status. Ctrl-C and SIGTERM give the workers up to a minute to save and end; a second one ends everything at once.
Nothing is left running, even if the launcher is killed.
"""

from common.cli import Parser, positive_int, run

import argparse
from collections.abc import Sequence
import os
import shutil
import sys

from common.errors import UserError
from common.signals import StopRequest
from distributed.hosts import Host, forwarded, read_hosts, ssh_command
from distributed.job import Job, Process, Starter
from distributed.scheduler import Scheduler, scheduler_address

NODE = [sys.executable, '-m', 'distributed.node']  # what every process of a job runs under
LOOPBACK = '127.0.0.1'
# Without these two MXNet picks a network interface, and hangs if that one leads nowhere.
ON_LOOPBACK = {'DMLC_NODE_HOST': LOOPBACK, 'DMLC_INTERFACE': 'lo'}


def parser() -> Parser:
    """Return the command line."""
    # No abbreviations: they may be options of COMMAND.
    options = Parser(
        prog='python -m distributed.launch',
        usage='%(prog)s -n N [options] COMMAND…',
        description=__doc__,
        allow_abbrev=False,
    )
    options.add_argument('-n', '--num-workers', type=positive_int, required=True, metavar='N', help='number of workers')
    options.add_argument(
        '-s',
        '--num-servers',
        type=positive_int,
        metavar='N',
        help='number of servers, which share the work of summing (default: as many as workers)',
    )
    options.add_argument('-H', '--hostfile', metavar='FILE', help='machines to run on (default: this machine)')
    options.add_argument(
        '--launcher',
        choices=['local', 'ssh'],
        help='how to start servers and workers (default: ssh with -H, local without)',
    )
    options.add_argument(
        '--host-ip',
        metavar='ADDRESS',
        help='address of this machine at which the others reach the scheduler (default: a guess)',
    )
    options.add_argument(
        '--env',
        action='append',
        default=[],
        metavar='NAME',
        help='also pass this environment variable to other machines, as OMP_NUM_THREADS and all of '
        'DMLC_*, MXNET_* and PS_* always are; may be repeated',
    )
    options.add_argument(
        'command',
        nargs=argparse.REMAINDER,
        metavar='COMMAND',
        help='what to run; `python` stands for the Python that runs the launcher',
    )
    return options


def complete(args: argparse.Namespace) -> None:
    """Fill in the defaults that depend on other options, and check the options against each other."""
    args.num_servers = args.num_servers or args.num_workers
    args.launcher = args.launcher or ('ssh' if args.hostfile else 'local')
    if args.launcher == 'ssh' and not args.hostfile:
        raise UserError('--launcher ssh needs a hosts file: name the machines in it, one a line, and give it with -H')
    if args.launcher == 'local' and args.hostfile:
        raise UserError(f'--launcher local cannot use -H {args.hostfile}: leave one of them out')
    if args.launcher == 'ssh' and not shutil.which('ssh'):
        raise UserError('there is no ssh: install it (sudo apt install openssh-client)')
    args.command = complete_command(args.command[1:] if args.command[:1] == ['--'] else args.command)


def complete_command(command: list[str]) -> list[str]:
    """Replace `python` by this Python, and check that the command can be started."""
    if not command:
        raise UserError('give the command to run, such as: python train_cifar.py --kv-store dist_sync')
    if command[0] in ('python', 'python3'):
        command = [sys.executable] + command[1:]
        if len(command) > 1 and command[1].endswith('.py') and not os.path.exists(command[1]):
            raise UserError(f'there is no file {command[1]}')
    if not shutil.which(command[0]):
        raise UserError(f'there is no program {command[0]}')
    return command


def workers_here(settings: dict[str, str], machines: Sequence[str], machine: str) -> dict[str, str]:
    """Say how many workers share the cores of a machine, for common/mxnet.py; the machines take turns."""
    turns = (machines[worker % len(machines)] for worker in range(int(settings['DMLC_NUM_WORKER'])))
    return {'WORKERS_HERE': str(max(1, sum(turn == machine for turn in turns)))}


def local_starter(command: list[str], environment: dict[str, str]) -> Starter:
    """Return a function that starts a server or worker on this machine."""

    def start(role: str, number: int, settings: dict[str, str]) -> Process:
        return Process(
            f'{role} {number} on localhost',
            command,
            {**environment, **ON_LOOPBACK, **workers_here(settings, ['localhost'], 'localhost'), **settings},
        )

    return start


def ssh_starter(command: list[str], environment: dict[str, str], hosts: list[Host]) -> Starter:
    """Return a function that starts a server or worker on the machine whose turn it is."""

    def start(role: str, number: int, settings: dict[str, str]) -> Process:
        host = hosts[number % len(hosts)]
        own = {**workers_here(settings, [one.name for one in hosts], host.name), 'DMLC_NODE_HOST': host.name}
        return Process(
            f'{role} {number} on {host.name}', ssh_command(host, command, {**environment, **own, **settings})
        )

    return start


def main() -> int:
    """Start the job, and return its exit status when it has ended."""
    args = parser().parse_args()
    complete(args)
    node, environment = NODE + args.command, dict(os.environ)
    if args.launcher == 'ssh':
        start = ssh_starter(node, forwarded(environment, args.env), read_hosts(args.hostfile))
        address = scheduler_address(args.host_ip or 'auto')
        own = {'DMLC_NODE_HOST': address}
    else:
        start = local_starter(node, environment)
        address = scheduler_address(args.host_ip or LOOPBACK)
        own = ON_LOOPBACK
    with StopRequest() as stop:
        scheduler = Scheduler(node, address, args.num_workers, args.num_servers, own)
        return Job(scheduler, start, stop).run(args.num_workers, args.num_servers)


if __name__ == '__main__':
    run(main)
