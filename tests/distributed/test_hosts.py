"""Other machines: the hosts file, and jobs over ssh."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys

import pytest

from common.errors import UserError
from distributed import launch
from distributed.hosts import Host, read_hosts
from tests.conftest import ROOT
from tests.distributed.conftest import ALL_SUMS, SAVING, WAIT, marked, wait_for

SSHD = '/usr/sbin/sshd'


def test_hosts_are_read_from_a_file(tmp_path):
    path = tmp_path / 'hosts'
    path.write_text('# ours\nfirst\n\n  second:2222  slots=4\nme@third # slow\nme@10.0.0.4:22 slots=1 max=2\n')
    assert read_hosts(str(path)) == [
        Host('first', 'first'),
        Host('second', 'second', '2222'),
        Host('third', 'me@third'),
        Host('10.0.0.4', 'me@10.0.0.4', '22'),
    ]


@pytest.mark.parametrize(
    'text',
    ['', '# none\n', 'a b\n', 'a:port\n', 'a:\n', '@a\n', '-oProxyCommand=x\n', 'me@-x\n', '-x@a\n', 'fe80::1\n'],
)
def test_hosts_files_that_make_no_sense(tmp_path, text):
    path = tmp_path / 'hosts'
    path.write_text(text)
    with pytest.raises(UserError):
        read_hosts(str(path))


# Stands for ssh: runs the command on this machine in a bare environment, and logs its own arguments.
FAKE_SSH = """#!{python}
import json, os, sys
with open({log!r}, 'a') as file:
    file.write(json.dumps(sys.argv[1:]) + '\\n')
os.chdir('/')
os.execve('/bin/sh', ['sh', '-c', sys.argv[-1]], dict(HOME='/', PATH=os.environ['PATH']))
"""
AWKWARD = ['two words', "it's", '"quoted"', '$HOME `id` $(id)', 'a;b', '*', '', '--net', '\\', 'ü\n2']
SHOW = """
import json, os, sys, time
if os.environ['DMLC_ROLE'] != 'worker':
    time.sleep(600)
print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))
"""


def write_program(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path.parent


def test_what_ssh_is_told(start, mark, tmp_path, monkeypatch):
    """Words, directory and environment arrive unchanged, at the machines whose turn it is."""
    log = tmp_path / 'ssh.log'
    fake = write_program(tmp_path / 'bin' / 'ssh', FAKE_SSH.format(python=sys.executable, log=str(log)))
    (tmp_path / 'hosts').write_text('first\nme@second:2222 slots=4\n')
    (tmp_path / 'show.py').write_text(SHOW)
    monkeypatch.setenv('PS_VERBOSE', '0')
    monkeypatch.setenv('AWKWARD', AWKWARD[3])
    monkeypatch.setenv('NOT_PASSED', '1')
    monkeypatch.delenv('OMP_NUM_THREADS')
    options = f'-n 3 -s 1 -H {tmp_path}/hosts --host-ip 127.0.0.1 --env AWKWARD --env {mark[0]}'.split()
    status, output, errors = start(*options, 'python', tmp_path / 'show.py', *AWKWARD, path=fake).wait()
    assert (status, errors) == (0, []) and marked(mark) == []
    arrived = [json.loads(line) for line in output]
    for words, folder, environment in arrived:
        assert words == AWKWARD and folder == ROOT
        assert (environment['AWKWARD'], environment['PS_VERBOSE']) == (AWKWARD[3], '0')
        assert not {'NOT_PASSED', 'OMP_NUM_THREADS', 'PYTHONPATH'} & set(environment)
        assert [environment['DMLC_NUM_' + what] for what in ('WORKER', 'SERVER')] == ['3', '1']
        assert environment['WORKERS_HERE'] == {'0': '2', '1': '1', '2': '2'}[environment['DMLC_TASK_ID']]
    assert sorted(environment['DMLC_TASK_ID'] for _, _, environment in arrived) == ['0', '1', '2']
    told = [json.loads(line) for line in log.read_text().splitlines()]
    options = 'BatchMode=yes ServerAliveInterval=10 ServerAliveCountMax=3 ControlPath=none'.split()
    assert all(words[:8] == [part for option in options for part in ('-o', option)] for words in told)
    where = sorted((words[8:-1], shlex.split(words[-1])) for words in told)
    first, second = ['first'], ['-p', '2222', 'me@second']
    assert [place for place, _ in where] == [second] + [first] * 3
    assert all('DMLC_NODE_HOST=' + place[-1].split('@')[-1] in words for place, words in where)


def test_a_machine_that_is_listed_twice_shares_its_cores():
    machines, settings = ['node1', 'node1', 'node2'], {'DMLC_NUM_WORKER': '3'}
    shares = [launch.workers_here(settings, machines, machine)['WORKERS_HERE'] for machine in ('node1', 'node2')]
    assert shares == ['2', '1']


@pytest.fixture
def real_ssh(tmp_path):
    """The folder of an `ssh` that asks for no password, and the port of an sshd of our own on this machine."""
    if not os.path.exists(SSHD) or not shutil.which('ssh'):
        pytest.skip('no sshd: sudo apt install openssh-server')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    for key in 'host_key', 'user_key':
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', str(tmp_path / key)], check=True)
    host_key = (tmp_path / 'host_key.pub').read_text()
    (tmp_path / 'known').write_text(''.join(f'[{name}]:{port} {host_key}' for name in ('localhost', '127.0.0.1')))
    (tmp_path / 'sshd_config').write_text(
        f'ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path}/host_key\nAuthorizedKeysFile {tmp_path}/user_key.pub\n'
        'PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n'
    )
    (tmp_path / 'ssh_config').write_text(
        f'Host other-name\nHostName 127.0.0.1\nPort {port}\nHost *\nIdentityFile {tmp_path}/user_key\n'
        f'IdentitiesOnly yes\nUserKnownHostsFile {tmp_path}/known\n'
    )
    folder = write_program(
        tmp_path / 'bin' / 'ssh', f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/ssh_config "$@"\n'
    )
    server = subprocess.Popen(
        [SSHD, '-D', '-e', '-f', str(tmp_path / 'sshd_config')], text=True, stderr=subprocess.PIPE
    )
    try:
        if not wait_for(
            lambda: (
                server.poll() is not None
                or not subprocess.call(
                    [str(folder / 'ssh'), '-o', 'BatchMode=yes', 'other-name', 'true'], stderr=subprocess.DEVNULL
                )
            ),
            5,
        ):
            server.kill()
        if server.poll() is not None:
            pytest.skip(f'sshd does not work here: {server.communicate()[1]}')
        yield folder, port
    finally:
        server.kill()
        server.wait()


def test_jobs_over_a_real_ssh(start, mark, tmp_path, sums, real_ssh):
    """One runs to its end, one loses its launcher, one is stopped.

    The two machines are this one under two names, one of which only ssh knows.
    """
    folder, port = real_ssh
    (tmp_path / 'hosts').write_text(f'other-name\nlocalhost:{port}\n')
    words = ['-n', 2, '-s', 1, '-H', tmp_path / 'hosts', '--host-ip', '127.0.0.1', '--env', mark[0]]
    whole = start(*words, '--env', 'PYTHONPATH', 'python', sums, 'pass', path=folder, real=True)
    killed = start(*words, 'sh', '-c', f"trap '' TERM; touch {tmp_path}/is$DMLC_ROLE; " + WAIT, path=folder)
    stopped = start(*words, 'sh', '-c', SAVING.format(tmp_path), path=folder)

    assert wait_for(lambda: len(list(tmp_path.glob('is*'))) == 3)
    killed.process.kill()
    assert wait_for(lambda: len(list(tmp_path.glob('ready*'))) == 2)
    stopped.press_ctrl_c()
    assert stopped.wait()[:2] == (130, ['saved'] * 2)
    status, output, errors = whole.wait()
    assert (status, sorted(output), errors) == (0, ALL_SUMS, []) and wait_for(lambda: not marked(mark), 20)


@pytest.mark.skipif(not shutil.which('ssh'), reason='no ssh: sudo apt install openssh-client')
def test_a_machine_that_ssh_does_not_reach(start, mark, tmp_path):
    (tmp_path / 'hosts').write_text('host.invalid\n')
    options = f'-n 1 -H {tmp_path}/hosts --host-ip 127.0.0.1 --env {mark[0]}'.split()
    status, _, errors = start(*options, 'sh', '-c', WAIT).wait()
    assert status == 255 and marked(mark) == []
    assert ' 0 on host.invalid was not reached, or its connection was lost (ssh says why); ' in '\n'.join(errors)
