"""The launcher: its command line, and real jobs of MXNet."""

import os

import pytest

from distributed import launch
from tests.conftest import ROOT
from tests.distributed.conftest import ALL_SUMS, FIRST_SUMS, marked

# Real jobs


def test_two_workers_get_the_sums_and_nothing_is_left(start, mark, sums):
    status, output, errors = start('-n', 2, '-s', 1, 'python', sums, 'pass', real=True).wait()
    assert (status, sorted(output), errors) == (0, ALL_SUMS, []) and marked(mark) == []


def test_a_worker_that_is_killed_while_another_waits_for_it_ends_the_job(start, mark, sums):
    """The other one is inside MXNet, and takes no notice of SIGTERM."""
    status, output, errors = start('-n', 2, '-s', 1, 'python', sums, 'os.kill(os.getpid(), 9)').wait()
    assert status == 137 and sorted(output) == FIRST_SUMS and marked(mark) == []
    what = 'on localhost was killed by signal 9 (SIGKILL); ending the job (the same command resumes it)'
    assert errors in ([f'error: worker 0 {what}'], [f'error: worker 1 {what}'])


# The command line


def test_options_of_the_command_are_left_to_it():
    """Even those that look like the launcher's, whole or abbreviated."""
    args = launch.parser().parse_args('-n 1 -s 2 python x.py -n 5 --host h --env E -h -- --launcher'.split())
    assert (args.num_workers, args.num_servers, args.env, args.hostfile) == (1, 2, [], None)
    assert args.command == 'python x.py -n 5 --host h --env E -h -- --launcher'.split()


def test_the_old_name_is_the_same_command(command):
    old, new = (command('-m', name, '--help') for name in ('training.launch', 'distributed.launch'))
    assert old == new and old[0] == 0 and '--num-workers' in old[1]


@pytest.mark.parametrize(
    'words, expected',
    [
        (['true'], 'arguments are required: -n'),
        (['-n', '0', 'true'], '0 is not a whole number from 1'),
        (['-n', '1'], 'give the command'),
        (['-n', '1', '--'], 'give the command'),
        (['-n', '1', '--no-such', 'true'], 'unrecognized arguments: --no-such'),
        (['-n', '1', 'no-such-program'], 'there is no program no-such-program'),
        (['-n', '1', 'python', 'no_such.py'], 'there is no file no_such.py'),
        (['-n', '1', '-H', 'no-such-hosts', 'true'], 'cannot read the hosts file no-such-hosts: No such file'),
        (['-n', '1', '-H', 'no-such-hosts', '--launcher', 'local', 'true'], 'leave one of them out'),
        (['-n', '1', '--launcher', 'ssh', 'true'], '-H'),
        (['-n', '1', '-H', 'LICENSE', '--env', 'NO_SUCH', 'true'], '--env NO_SUCH'),
        (['-n', '1', '--host-ip', 'host.invalid', 'true'], 'there is no host host.invalid'),
    ],
)
def test_mistakes_are_one_line(mistake, monkeypatch, words, expected):
    monkeypatch.chdir(ROOT)
    assert expected in mistake(launch.main, 'launch', *words)


def test_a_machine_without_ssh(mistake, monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    line = mistake(launch.main, 'launch', '-n', 1, '-H', 'hosts', 'true')
    assert line == 'error: there is no ssh: install it (sudo apt install openssh-client)\n'


def test_a_python_without_mxnet(command):
    status, _, errors = command('-S', '-m', 'distributed.launch', '-n', 1, 'true', env={**os.environ, 'PYTHONPATH': ''})
    assert status == 2 and errors.count('\n') == 1 and 'has no MXNet' in errors


LISTENERS = """
import glob, os
from common.mxnet import mx
kv = mx.kv.create('dist_sync')  # returns when all processes listen
if kv.rank == 0:
    owned = set()
    for link in glob.glob('/proc/[0-9]*/fd/*'):
        try:
            with open(link.partition('fd/')[0] + 'environ', 'rb') as file:
                if os.environb[b'LAUNCH_TEST'] in file.read():
                    owned.add(os.readlink(link))
        except OSError:  # it has been closed
            pass
    for table in 'tcp', 'tcp6':
        with open(f'/proc/net/{table}') as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if fields[3] == '0A' and f'socket:[{fields[9]}]' in owned:  # listening
                    print(fields[1].split(':')[0])
kv._barrier()  # nobody ends before
"""


def test_a_local_job_listens_on_loopback_alone(start, tmp_path):
    program = tmp_path / 'listeners.py'
    program.write_text(LISTENERS)
    status, output, errors = start('-n', 2, '-s', 1, 'python', program, real=True).wait()
    assert (status, output) == (0, ['0100007F'] * 4), errors  # 127.0.0.1, for a scheduler, a server and two workers
