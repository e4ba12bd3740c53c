"""Distributed jobs with real processes: their results, and that nothing is left of them, whatever their end."""
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid

import pytest

from common.errors import UserError
from tests.conftest import ROOT
from distributed import launch
from distributed.launch import Host

SSHD = '/usr/sbin/sshd'
# Each worker's sums of what all of them have pushed; worker of rank 1 may come to an end between the two.
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
    sys.stdout.write('rank %d has %s\\n' % (kv.rank, value.asnumpy().tolist()))
    sys.stdout.flush()
"""
BOTH_SUMS = sorted('rank %d has %s' % (rank, [total] * 3) for rank in (0, 1) for total in (11.0, 22.0))
# The launcher without MXNet, which takes it a second or two to import, for jobs that have no use for it.
QUICK = """
import sys, threading, types
threading.Thread.isAlive = threading.Thread.is_alive
sys.modules['common.mxnet'] = types.ModuleType('common.mxnet')
from distributed import launch
launch.SETTLE, launch.SAVE = %r, %r
launch.run(launch.main)
"""
# Such jobs: workers do something, scheduler and servers wait to be ended.
WAIT = 'while :; do sleep 0.1; done'
ONLY_WORKERS = 'if [ $DMLC_ROLE != worker ]; then %s; fi; ' % WAIT


@pytest.fixture
def mark():
    """A variable for the environment by which processes are found, wherever they have gone; ends those left."""
    mark = 'LAUNCH_TEST', uuid.uuid4().hex
    yield mark
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def marked(mark):
    """Processes that have the mark in their environment; zombies have none."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/environ' % pid, 'rb') as file:
                if '='.join(mark).encode() in file.read().split(b'\0'):
                    found.append(int(pid))
        except OSError:  # ended meanwhile, or somebody else's
            pass
    return found


def wait_for(condition, seconds=20):
    """Whether something has come true within some seconds."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


class Launcher:
    """The launcher as a user has it in the foreground of a terminal: in a process group of its own.

    mxnet: whether the job's processes use it; settle, save: seconds, instead of the launcher's constants.
    """

    def __init__(self, tmp_path, mark, words, path=None, mxnet=False, settle=launch.SETTLE, save=launch.SAVE):
        command = ['-m', 'distributed.launch'] if mxnet else ['-c', QUICK % (settle, save)]
        self.output, self.errors = [str(tmp_path / uuid.uuid4().hex) for _ in range(2)]
        environment = dict(os.environ, PYTHONPATH=ROOT, **dict([mark]))
        if path:
            environment['PATH'] = '%s:%s' % (path, environment['PATH'])
        with open(self.output, 'w') as output, open(self.errors, 'w') as errors:
            self.process = subprocess.Popen(
                [sys.executable] + command + [str(word) for word in words], cwd=ROOT, env=environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True)

    def press_ctrl_c(self):
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, seconds=40):
        """(status, lines of standard output, lines of standard error)."""
        status = self.process.wait(seconds)
        return status, read(self.output).splitlines(), read(self.errors).splitlines()


def read(path):
    with open(str(path)) as file:
        return file.read()


@pytest.fixture
def start(tmp_path, mark):
    """A function that starts the launcher with some words, as a `Launcher`."""
    def start(*words, **options):
        return Launcher(tmp_path, mark, words, **options)
    return start


@pytest.fixture
def sums(tmp_path):
    """The path of the script SUMS."""
    path = tmp_path / 'sums.py'
    path.write_text(SUMS)
    return path


# What MXNet does with it


def test_two_workers_get_the_sums_and_nothing_is_left(start, mark, sums):
    status, output, errors = start('-n', 2, '-s', 1, 'python', sums, 'pass', mxnet=True).wait()
    assert (status, sorted(output), errors) == (0, BOTH_SUMS, []) and marked(mark) == []


def test_a_worker_that_is_killed_while_another_waits_for_it_ends_the_job(start, mark, sums):
    begin = time.monotonic()
    status, output, errors = start('-n', 2, '-s', 1, 'python', sums, 'os.kill(os.getpid(), 9)', mxnet=True).wait()
    assert status == 137 and len(errors) == 1 and time.monotonic() - begin < 20
    assert errors[0].startswith('error: worker ') and errors[0].endswith(
        ' on localhost was killed by signal 9 (SIGKILL); the job is ended, the same command takes it up again')
    assert sorted(output) == [line for line in BOTH_SUMS if '11.0' in line] and marked(mark) == []


def test_jobs_that_start_at_once_use_different_ports(start):
    """dmlc_tracker by itself would have them use the same, and one hang."""
    code = ONLY_WORKERS + 'echo $DMLC_PS_ROOT_PORT; sleep 1'
    jobs = [start('-n', 1, 'sh', '-c', code, settle=1).wait for _ in range(4)]
    assert len({output[0] for _, output, _ in [wait() for wait in jobs]}) == 4


# The ends of a job


def test_whatever_fails_is_named_and_the_rest_is_ended(start, mark):
    code = 'if [ $DMLC_ROLE$DMLC_TASK_ID = %s ]; then %s; fi; ' + WAIT
    cases = [(start('-n', 2, 'sh', '-c', code % (role, ending)), expected) for role, ending, *expected in [
        ('worker1', 'exit 3', 3, 'worker 1 on localhost ended with status 3'),
        ('worker1', 'exit 255', 255, 'worker 1 on localhost ended with status 255'),
        ('server0', 'kill -TERM $$', 143, 'server 0 on localhost was killed by signal 15 (SIGTERM)'),
        ('scheduler', 'exit 4', 4, 'the scheduler ended with status 4')]]
    for launcher, (expected, what) in cases:
        status, _, errors = launcher.wait()
        assert status == expected
        again = ', the same command takes it up again' if expected > 128 else ''
        assert errors == ['error: %s; the job is ended%s' % (what, again)]
    assert marked(mark) == []


def test_of_workers_that_fail_together_one_is_named(start):
    status, _, errors = start('-n', 4, 'sh', '-c', ONLY_WORKERS + 'exit 2').wait()
    assert status == 2 and len(errors) == 1 and 'ended with status 2' in errors[0]


def test_servers_may_end_a_little_before_the_workers_but_no_more(start, mark):
    code = 'case $DMLC_ROLE in server) exit;; worker) sleep %g;; *) ' + WAIT + ';; esac'
    little, more = [start('-n', 1, 'sh', '-c', code % seconds, settle=1) for seconds in (0.5, 60)]
    assert little.wait()[0] == 0
    status, _, errors = more.wait()
    assert status == 1 and 'server 0 on localhost ended before the workers' in errors[0] and marked(mark) == []


def test_nothing_outlives_a_launcher_that_is_killed(start, mark, tmp_path):
    """Not even what takes no notice of SIGTERM."""
    launcher = start('-n', 2, 'sh', '-c', "trap '' TERM; touch %s/$DMLC_ROLE$DMLC_TASK_ID; %s" % (tmp_path, WAIT))
    assert wait_for(lambda: {'scheduler', 'server0', 'server1', 'worker0', 'worker1'} <= set(os.listdir(str(tmp_path))))
    launcher.process.kill()
    launcher.wait()
    assert len(marked(mark)) >= 10 and wait_for(lambda: not marked(mark), 8)


SAVING = ONLY_WORKERS + "trap 'sleep 1; echo saved; exit 143' TERM; touch {0}/ready$DMLC_TASK_ID$SECOND; " + WAIT


def test_workers_save_before_a_job_that_is_stopped_ends(start, mark, tmp_path, monkeypatch):
    by_key = start('-n', 2, 'sh', '-c', SAVING.format(tmp_path))
    monkeypatch.setenv('SECOND', '-second')
    by_signal = start('-n', 2, 'sh', '-c', SAVING.format(tmp_path))
    assert wait_for(lambda: len(list(tmp_path.glob('ready*'))) == 4)
    by_key.press_ctrl_c()
    by_signal.process.terminate()
    stopping = 'stopping: the workers save and end; Ctrl-C ends them at once'
    assert by_key.wait() == (130, ['saved'] * 2, [stopping]) and by_signal.wait() == (143, ['saved'] * 2, [stopping])
    assert marked(mark) == []


def test_workers_that_do_not_end_when_they_are_asked_to(start, mark, tmp_path):
    """They are killed at the second Ctrl-C, or after a time."""
    code = ONLY_WORKERS + "trap '' TERM; touch %s/ready$$; " % tmp_path + WAIT
    twice, once = start('-n', 1, 'sh', '-c', code), start('-n', 1, 'sh', '-c', code, save=1)
    assert wait_for(lambda: len(list(tmp_path.glob('ready*'))) == 2)
    begin = time.monotonic()
    for launcher in twice, once:
        launcher.press_ctrl_c()
        assert wait_for(lambda: 'stopping' in read(launcher.errors))
    twice.press_ctrl_c()
    for launcher, error in (twice, 'interrupted'), (once, 'worker 0 on localhost did not end and is killed'):
        status, _, errors = launcher.wait()
        assert status == 130 and errors[1:] == ['error: ' + error]
    assert time.monotonic() - begin < 10 and marked(mark) == []


# One process: distributed.node


@pytest.fixture
def node(mark):
    """A function that starts distributed.node with a shell script; its standard input is the life line."""
    def start(code, **environment):
        return subprocess.Popen([sys.executable, '-m', 'distributed.node', 'sh', '-c', code], cwd=ROOT, bufsize=0,
                                env=dict(os.environ, **dict([mark]), **environment), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, universal_newlines=True)
    return start


@pytest.mark.parametrize('code, expected', [('exit 0', 0), ('exit 7', 7), ('kill -9 $$', 137)])
def test_a_node_returns_the_status_of_its_command_and_leaves_nothing(node, mark, code, expected):
    assert node('sleep 60 & ' + code).wait(10) == expected and wait_for(lambda: not marked(mark), 1)


@pytest.mark.parametrize('how', ['stop', 'end of the life line', 'SIGTERM', 'SIGHUP', 'SIGKILL'])
def test_what_ends_the_command_of_a_node(node, mark, how):
    process = node('echo ready; ' + WAIT)
    assert process.stdout.readline() == 'ready\n'
    if how == 'stop':
        os.write(process.stdin.fileno(), b'stop\n')
    elif how.startswith('SIG'):
        process.send_signal(getattr(signal, how))
    else:
        process.stdin.close()
    assert process.wait(10) == (-9 if how == 'SIGKILL' else 143) and wait_for(lambda: not marked(mark), 1)


def test_a_node_takes_no_notice_of_ctrl_c_but_its_command_may(node):
    process = node("trap 'exit 5' INT; echo $$; " + WAIT)
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    os.kill(pid, signal.SIGINT)
    assert process.wait(10) == 5


@pytest.mark.parametrize('given, expected', [('a-name-of-ssh-only', '127.0.0.1'), ('10.1.2.3', '10.1.2.3')])
def test_a_node_makes_an_address_of_its_name(node, given, expected):
    """MXNet's server fails to listen at a name."""
    process = node('echo $DMLC_NODE_HOST', DMLC_NODE_HOST=given, DMLC_PS_ROOT_URI='127.0.0.1', DMLC_PS_ROOT_PORT='9091')
    assert process.stdout.readline() == expected + '\n'


def test_a_node_whose_command_is_not_there_says_so():
    done = subprocess.run([sys.executable, '-m', 'distributed.node', 'no-such-program'], cwd=ROOT, stdin=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    assert (done.returncode, done.stderr) == (
        127, 'error: no-such-program cannot be started: No such file or directory\n')


# Other machines


def test_hosts_are_read_from_a_file(tmp_path):
    path = tmp_path / 'hosts'
    path.write_text('# ours\nfirst\n\n  second:2222  slots=4\nme@third # slow\nme@10.0.0.4:22 slots=1 max=2\n')
    assert launch.read_hosts(str(path)) == [Host('first', 'first'), Host('second', 'second', '2222'),
                                            Host('third', 'me@third'), Host('10.0.0.4', 'me@10.0.0.4', '22')]


@pytest.mark.parametrize('text', ['', '# none\n', 'a b\n', 'a:port\n', 'a:\n', '@a\n', '-oProxyCommand=x\n',
                                  'me@-x\n', '-x@a\n', 'fe80::1\n'])
def test_hosts_files_that_make_no_sense(tmp_path, text):
    path = tmp_path / 'hosts'
    path.write_text(text)
    with pytest.raises(UserError):
        launch.read_hosts(str(path))


FAKE_SSH = """#!{python}
import json, os, sys
with open({log!r}, 'a') as file:
    file.write(json.dumps(sys.argv[1:]) + '\\n')
environment = dict(HOME='/', PATH=os.environ['PATH'])
os.chdir('/')
os.execve('/bin/sh', ['sh', '-c', sys.argv[-1]], environment)
"""
AWKWARD = ['two words', "it's", '"quoted"', '$HOME `id` $(id)', 'a;b', '*', '', '--net', '\\', 'ü\n2']
SHOW = """
import json, os, sys, time
if os.environ['DMLC_ROLE'] != 'worker':
    time.sleep(60)
print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))
"""


@pytest.fixture
def fake_ssh(tmp_path):
    """A folder with an `ssh` that runs its command here, in a bare environment; its options go to ssh.log."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    (folder / 'ssh').write_text(FAKE_SSH.format(python=sys.executable, log=str(tmp_path / 'ssh.log')))
    (folder / 'ssh').chmod(0o755)
    return folder


def test_what_ssh_is_told(start, mark, tmp_path, fake_ssh, monkeypatch):
    """Words, directory and environment arrive as they were, at the machines whose turn it is."""
    (tmp_path / 'hosts').write_text('first\nme@second:2222 slots=4\n')
    (tmp_path / 'show.py').write_text(SHOW)
    monkeypatch.setenv('PS_VERBOSE', '0')
    monkeypatch.setenv('AWKWARD', AWKWARD[3])
    monkeypatch.setenv('NOT_PASSED', '1')
    monkeypatch.delenv('OMP_NUM_THREADS')
    status, output, errors = start('-n', 3, '-s', 1, '-H', tmp_path / 'hosts', '--host-ip', '127.0.0.1', '--env',
                                   'AWKWARD', '--env', mark[0], 'python', tmp_path / 'show.py', *AWKWARD,
                                   path=fake_ssh, settle=1).wait()
    assert (status, errors) == (0, []) and marked(mark) == []
    arrived = [json.loads(line) for line in output]
    for words, folder, environment in arrived:
        assert words == AWKWARD and folder == ROOT
        assert (environment['AWKWARD'], environment['PS_VERBOSE']) == (AWKWARD[3], '0')
        assert not {'NOT_PASSED', 'OMP_NUM_THREADS', 'PYTHONPATH'} & set(environment)
        assert (environment['DMLC_NUM_WORKER'], environment['DMLC_NUM_SERVER']) == ('3', '1')
    assert sorted(environment['DMLC_TASK_ID'] for _, _, environment in arrived) == ['0', '1', '2']
    told = [json.loads(line) for line in read(tmp_path / 'ssh.log').splitlines()]
    options = 'BatchMode=yes ServerAliveInterval=10 ServerAliveCountMax=3 ControlPath=none'.split()
    assert all(words[:8] == [part for option in options for part in ('-o', option)] for words in told)
    where = sorted((words[8:-1], shlex.split(words[-1])) for words in told)
    first, second = ['first'], ['-p', '2222', 'me@second']
    assert [place for place, _ in where] == [second] + [first] * 3
    assert all('DMLC_NODE_HOST=' + place[-1].split('@')[-1] in words for place, words in where)


@pytest.fixture
def real_ssh(tmp_path):
    """(folder with an `ssh` that needs no password, port of a real sshd of our own on this machine)."""
    if not os.path.exists(SSHD) or not shutil.which('ssh'):
        pytest.skip('no sshd: sudo apt install openssh-server')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    for key in 'host_key', 'user_key':
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', str(tmp_path / key)], check=True)
    (tmp_path / 'known').write_text(''.join('[%s]:%d %s' % (name, port, read(tmp_path / 'host_key.pub'))
                                            for name in ('localhost', '127.0.0.1')))
    (tmp_path / 'sshd_config').write_text(
        'ListenAddress 127.0.0.1:%d\nHostKey %s/host_key\nAuthorizedKeysFile %s/user_key.pub\nPidFile none\n'
        'StrictModes no\nUsePAM no\nPasswordAuthentication no\n' % (port, tmp_path, tmp_path))
    (tmp_path / 'ssh_config').write_text(
        'Host other-name\nHostName 127.0.0.1\nPort %d\nHost *\nIdentityFile %s/user_key\nIdentitiesOnly yes\n'
        'UserKnownHostsFile %s/known\n' % (port, tmp_path, tmp_path))
    folder = tmp_path / 'bin'
    folder.mkdir()
    (folder / 'ssh').write_text('#!/bin/sh\nexec %s -F %s/ssh_config "$@"\n' % (shutil.which('ssh'), tmp_path))
    (folder / 'ssh').chmod(0o755)
    server = subprocess.Popen([SSHD, '-D', '-e', '-f', str(tmp_path / 'sshd_config')], stderr=subprocess.PIPE,
                              universal_newlines=True)
    try:
        if not wait_for(lambda: server.poll() is not None or not subprocess.call(
                [str(folder / 'ssh'), '-o', 'BatchMode=yes', 'other-name', 'true'], stderr=subprocess.DEVNULL), 5):
            server.kill()
        if server.poll() is not None:
            pytest.skip('sshd does not work here: %s' % server.communicate()[1])
        yield folder, port
    finally:
        server.kill()
        server.wait()


def test_jobs_over_a_real_ssh(start, mark, tmp_path, sums, real_ssh):
    """One to its end, one whose launcher is killed, one that is stopped. The machines are one, under two names, one of
    which only ssh knows."""
    folder, port = real_ssh
    (tmp_path / 'hosts').write_text('other-name\nlocalhost:%d\n' % port)
    words = ['-n', 2, '-s', 1, '-H', tmp_path / 'hosts', '--host-ip', '127.0.0.1', '--env', mark[0]]
    whole = start(*words, '--env', 'PYTHONPATH', 'python', sums, 'pass', path=folder, mxnet=True)
    killed = start(*words, 'sh', '-c', "trap '' TERM; touch %s/is$DMLC_ROLE; " % tmp_path + WAIT, path=folder)
    stopped = start(*words, 'sh', '-c', SAVING.format(tmp_path), path=folder)

    assert wait_for(lambda: len(list(tmp_path.glob('is*'))) == 3)
    killed.process.kill()
    assert wait_for(lambda: len(list(tmp_path.glob('ready*'))) == 2)
    stopped.press_ctrl_c()
    assert stopped.wait()[:2] == (130, ['saved'] * 2)
    status, output, errors = whole.wait()
    assert (status, sorted(output), errors) == (0, BOTH_SUMS, []) and wait_for(lambda: not marked(mark), 5)


@pytest.mark.skipif(not shutil.which('ssh'), reason='no ssh: sudo apt install openssh-client')
def test_a_machine_that_ssh_does_not_reach(start, mark, tmp_path):
    (tmp_path / 'hosts').write_text('host.invalid\n')
    status, _, errors = start('-n', 1, '-H', tmp_path / 'hosts', '--host-ip', '127.0.0.1', '--env', mark[0], 'sh', '-c',
                              WAIT).wait()
    assert status == 255 and ' 0 on host.invalid was not reached, or is lost (ssh says why); ' in '\n'.join(errors)
    assert marked(mark) == []


# Mistakes


@pytest.mark.parametrize('words, expected', [
    (['true'], 'arguments are required: -n'), (['-n', '0', 'true'], '0 is not a whole number from 1'),
    (['-n', '1'], 'give the command'), (['-n', '1', '--'], 'give the command'),
    (['-n', '1', '--no-such', 'true'], 'unrecognized arguments: --no-such'),
    (['-n', '1', 'no-such-program'], 'there is no program no-such-program'),
    (['-n', '1', 'python', 'no_such.py'], 'there is no file no_such.py'),
    (['-n', '1', '-H', 'no-such-hosts', 'true'], 'no-such-hosts cannot be read: No such file'),
    (['-n', '1', '-H', 'no-such-hosts', '--launcher', 'local', 'true'], 'leave one of them out'),
    (['-n', '1', '--launcher', 'ssh', 'true'], '-H'),
    (['-n', '1', '-H', 'LICENSE', '--env', 'NO_SUCH', 'true'], '--env NO_SUCH'),
    (['-n', '1', '--host-ip', 'host.invalid', 'true'], 'there is no host host.invalid')])
def test_mistakes_are_one_line(command, words, expected):
    status, _, errors = command('-m', 'distributed.launch', *words)
    assert status == 2 and errors.count('\n') == 1 and errors.startswith('error: ') and expected in errors


def test_without_ssh_or_mxnet(command, tmp_path):
    (tmp_path / 'hosts').write_text('first\n')
    words = '-m', 'distributed.launch', '-n', 1, '-H', tmp_path / 'hosts', sys.executable
    status, _, errors = command(*words, env=dict(os.environ, PATH=str(tmp_path)))
    assert (status, errors) == (2, 'error: there is no ssh: install it (sudo apt install openssh-client)\n')
    status, _, errors = command('-S', '-m', 'distributed.launch', '-n', 1, 'true')
    assert status == 2 and errors.count('\n') == 1 and 'has no MXNet' in errors


def test_options_of_the_command_are_left_to_it():
    """Even those that look like the launcher's, whole or shortened."""
    args = launch.parser().parse_args('-n 1 -s 2 python x.py -n 5 --host h --env E -h -- --launcher'.split())
    assert (args.num_workers, args.num_servers, args.env, args.hostfile) == (1, 2, [], None)
    assert args.command == 'python x.py -n 5 --host h --env E -h -- --launcher'.split()
