"""The machines of a job: the hosts file, and the ssh command that starts a process on one of them."""

import os
import re
import shlex
from typing import NamedTuple

from common.errors import UserError

# ssh gives up a lost machine after 40 s. Connections are not shared: the first ssh would outlive its worker.
SSH = 'ssh -o BatchMode=yes -o ServerAliveInterval=10 -o ServerAliveCountMax=3 -o ControlPath=none'.split()
SSH_FAILED = 255  # ssh's exit status when it cannot connect, or loses the connection
HOST_LINE = re.compile(r'((?:[^@\s-][^@\s]*@)?([^@:\s-][^@:\s]*))(?::(\d+))?(?:\s+slots=.*)?$')
ALWAYS_FORWARDED = re.compile(r'(DMLC|MXNET|PS)_|OMP_NUM_THREADS$')


class Host(NamedTuple):
    """One line of the hosts file: `target` is the name with the user, as ssh expects it."""

    name: str
    target: str
    port: str | None = None


def read_hosts(path: str) -> list[Host]:
    """Read the machines of a hosts file; `#` starts a comment, and Open MPI's `slots=` is ignored."""
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            lines = [line.partition('#')[0].strip() for line in file]
    except OSError as error:
        raise UserError(f'cannot read the hosts file {path}: {error.strerror}') from None
    hosts = []
    for number, line in enumerate(lines, 1):
        if match := HOST_LINE.match(line):
            target, name, port = match.groups()
            hosts.append(Host(name, target, port))
        elif line:
            raise UserError(f'{path}, line {number}: {line} is not host, host:port or user@host')
    if not hosts:
        raise UserError(f'{path} names no machine')
    return hosts


def forwarded(environment: dict[str, str], names: list[str]) -> dict[str, str]:
    """Select the variables to set on other machines, where ssh starts with a fresh environment."""
    for name in names:
        if name not in environment:
            raise UserError(f'--env {name}: there is no such environment variable')
    return {name: value for name, value in environment.items() if name in names or ALWAYS_FORWARDED.match(name)}


def ssh_command(host: Host, command: list[str], environment: dict[str, str]) -> list[str]:
    """Return the local command that runs `command` on another machine, in the same directory."""
    words = ['env'] + [f'{name}={value}' for name, value in sorted(environment.items())] + command
    line = f'cd {shlex.quote(os.getcwd())} && exec {shlex.join(words)}'
    return SSH + (['-p', host.port] if host.port else []) + [host.target, line]
