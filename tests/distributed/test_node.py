"""One process of a job: what ends it, and that it leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.distributed.conftest import NODE, WAIT, marked, wait_for


@pytest.fixture
def node(mark):
    """A function that starts distributed.node with a shell script; standard input is the life line."""

    def start(code, program=('-m', 'distributed.node'), **environment):
        return subprocess.Popen(
            [sys.executable, *program, 'sh', '-c', code],
            cwd=ROOT,
            bufsize=0,
            text=True,
            env={**os.environ, **dict([mark]), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    return start


@pytest.mark.parametrize('code, expected', [('exit 0', 0), ('exit 7', 7), ('kill -9 $$', 137)])
def test_a_node_returns_the_status_of_its_command_and_leaves_nothing(node, mark, code, expected):
    assert node('sleep 60 & ' + code).wait(60) == expected and wait_for(lambda: not marked(mark), 10)


@pytest.mark.parametrize('how', ['stop', 'end of the life line', 'SIGTERM', 'SIGHUP', 'SIGKILL'])
def test_what_ends_the_command_of_a_node(node, mark, how):
    process = node('echo ready; exec sleep 600')
    assert process.stdout.readline() == 'ready\n'
    if how == 'stop':
        os.write(process.stdin.fileno(), b'stop\n')
    elif how.startswith('SIG'):
        process.send_signal(getattr(signal, how))
    else:
        process.stdin.close()
    assert process.wait(60) == (-9 if how == 'SIGKILL' else 143) and wait_for(lambda: not marked(mark), 10)


def test_a_command_that_ignores_sigterm_is_killed_after_a_time(node, mark):
    process = node("trap '' TERM; echo ready; " + WAIT, ['-c', NODE.format(grace=0.3)])
    assert process.stdout.readline() == 'ready\n'
    begin = time.monotonic()
    process.stdin.close()
    assert process.wait(60) == 137 and time.monotonic() - begin >= 0.3 and wait_for(lambda: not marked(mark), 10)


def test_a_node_takes_no_notice_of_ctrl_c_but_its_command_may(node):
    process = node("trap 'exit 5' INT; echo $$; " + WAIT)
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    os.kill(pid, signal.SIGINT)
    assert process.wait(60) == 5


@pytest.mark.parametrize('given, expected', [('a-name-of-ssh-only', '127.0.0.1'), ('10.1.2.3', '10.1.2.3')])
def test_a_node_makes_an_address_of_its_name(node, given, expected):
    """MXNet's server fails to listen at a name."""
    process = node('echo $DMLC_NODE_HOST', DMLC_NODE_HOST=given, DMLC_PS_ROOT_URI='127.0.0.1', DMLC_PS_ROOT_PORT='9091')
    assert process.stdout.readline() == expected + '\n'


def test_a_command_that_does_not_exist(command):
    done = command('-m', 'distributed.node', 'no-such-program', stdin=subprocess.PIPE)
    assert done == (127, '', 'error: no-such-program cannot be started: No such file or directory\n')
