"""How arguments are read, and how a command ends."""

import argparse
import errno
import signal
import subprocess
import sys

import pytest

from common import cli
from common.errors import UserError
from tests.conftest import ROOT


def end(main):
    """Run main() as a command does and return its status."""
    with pytest.raises(SystemExit) as ended:
        cli.run(main)
    return ended.value.code


def raising(error):
    def main():
        raise error

    return main


# Arguments


@pytest.mark.parametrize(
    'read, good, value',
    [
        (cli.positive_int, '1', 1),
        (cli.positive_float, '1e-4', 1e-4),
        (cli.fraction, '0', 0),
        (cli.fraction, '0.99', 0.99),
        (cli.seed, '0', 0),
        (cli.seed, '4294967295', 2**32 - 1),
    ],
)
def test_numbers(read, good, value):
    assert read(good) == value


@pytest.mark.parametrize(
    'read, bad, what',
    [
        (cli.positive_int, '0', 'a whole number from 1'),
        (cli.positive_int, '1.5', 'a whole number from 1'),
        (cli.positive_int, 'x', 'a whole number from 1'),
        (cli.positive_float, '0', 'a number above 0'),
        (cli.positive_float, 'nan', 'a number above 0'),
        (cli.positive_float, 'inf', 'a number above 0'),
        (cli.positive_float, '1e-40', 'a number above 0'),
        (cli.fraction, '1', 'a number from 0, below 1'),
        (cli.fraction, '-0.1', 'a number from 0, below 1'),
        (cli.seed, '-1', 'a whole number from 0, below 2^32'),
        (cli.seed, '4294967296', 'a whole number from 0, below 2^32'),
    ],
)
def test_numbers_that_do_not_fit(read, bad, what):
    with pytest.raises(argparse.ArgumentTypeError) as raised:
        read(bad)
    assert str(raised.value) == f'{bad} is not {what}'


def test_help_keeps_its_lines_and_shows_the_defaults_that_say_something():
    parser = cli.Parser(description='one\n  two')
    parser.add_argument('--epochs', default=400, help='how long')
    for name, default in [('--path', None), ('--quiet', False), ('--names', [])]:
        parser.add_argument(name, default=default, help='no more')
    text = parser.format_help()
    assert 'one\n  two' in text and 'how long (default: 400)' in text and text.count('default') == 1


def test_a_wrong_argument_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.Parser(prog='eval.py').parse_args(['--no-such'])
    assert ended.value.code == 2
    assert capsys.readouterr().err == 'error: unrecognized arguments: --no-such (eval.py --help lists the options)\n'


# Ends


@pytest.mark.parametrize('status', [None, 0, 3])
def test_the_status_of_a_command_is_mains(status):
    assert end(lambda: status) == status
    assert end(lambda: sys.exit(status)) == status


@pytest.mark.parametrize(
    'error, status, line',
    [
        (UserError('there is no file x'), 2, 'error: there is no file x\n'),
        (
            OSError(errno.ENOSPC, 'No space left on device'),
            2,
            'error: No space left on device: make room, and start the command again\n',
        ),
        (PermissionError(errno.EACCES, 'Permission denied', 'x'), 2, 'error: x: Permission denied\n'),
        (KeyboardInterrupt(), 130, 'error: interrupted\n'),
    ],
)
def test_a_mistake_of_the_user_is_one_line(capsys, error, status, line):
    assert end(raising(error)) == status
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    'error',
    [ValueError('ours'), OSError(errno.EBADF, 'ours'), ImportError('ours: cannot allocate memory in static TLS block')],
)
def test_a_mistake_of_ours_keeps_its_traceback(capsys, error):
    assert end(raising(error)) == 1
    assert 'Traceback' in (err := capsys.readouterr().err) and 'ours' in err


def shell(main, command='exec {python}', **options):
    """Run the lines of a main() as a command in a shell."""
    program = f'import os, signal, sys\nfrom common import cli\ndef main():\n    {main}\ncli.run(main)'
    return subprocess.run(
        ['bash', '-c', command.format(python='"$0" -c "$1"'), sys.executable, program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    'greedy',
    [
        'bytearray(1 << 40)',
        'import numpy; numpy.ones(1 << 40)',
        'import cv2, numpy; cv2.resize(numpy.zeros((1, 1)), (100000, 100000))',
        'from common.mxnet import mx; mx.nd.zeros((45000, 45000)).asnumpy()',
        'raise RuntimeError("Check failed: e == cudaSuccess: cudaMalloc retry failed: out of memory")',
        'raise RuntimeError("cuDNN: Check failed: e == CUDNN_STATUS_SUCCESS (CUDNN_STATUS_ALLOC_FAILED)")',
    ],
)
def test_too_little_memory_is_one_line(greedy):
    done = shell(greedy, 'ulimit -v 8000000; exec {python}')  # KiB
    line = (
        'error: not enough memory: free some, or use a smaller --batch-size or more devices if the command has them\n'
    )
    assert (done.returncode, done.stderr) == (2, line)


def test_a_reader_of_a_pipe_may_leave():
    done = shell('[print(i) for i in range(10 ** 5)]', '{python} | head -1; exit ${{PIPESTATUS[0]}}')
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGPIPE, '0\n', '')


def test_sigterm_lets_files_be_tidied_up():
    done = shell('\n    try:\n        os.kill(os.getpid(), signal.SIGTERM)\n    finally:\n        print("tidy")')
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, 'tidy\n')


@pytest.mark.parametrize('role, expected', [('worker', ''), ('', 'at exit\n')])
def test_a_failed_worker_does_not_wait_at_its_exit(monkeypatch, role, expected):
    """MXNet waits for the other workers in a handler like this one."""
    monkeypatch.setenv('DMLC_ROLE', role)
    done = shell('import atexit; atexit.register(print, "at exit"); print("before"); return 3')
    assert (done.returncode, done.stdout) == (3, 'before\n' + expected)
