"""How commands end: signals at any moment, a terminal or a reader that goes away, another job's environment."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, one_line
from tests.runs import checkpoints, only_run, read_csv

INTERRUPT = 1 << (signal.SIGINT - 1)


def wait_for(condition, seconds=120):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def caught(pid):
    """The mask of the signals for which a process has handlers."""
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith('SigCgt'))


@pytest.mark.parametrize('role', ['server', 'scheduler', 'worker', ''])
def test_another_jobs_role_is_named_before_mxnet_takes_it_on(command, monkeypatch, role):
    monkeypatch.setenv('DMLC_ROLE', role)
    assert f'DMLC_ROLE={role} ' in one_line(command('compare.py', '4', timeout=60))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_imports_ends_the_command_without_a_word(number):
    """From the first line that is ours on. Before it, Python itself starts."""
    for delay in (0, 0.2, 0.5, 1):
        process = subprocess.Popen(
            [sys.executable, 'eval.py', 'logs/no-such'], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_for(lambda process=process: caught(process.pid) & INTERRUPT)
        wait_for(lambda process=process: not caught(process.pid) & INTERRUPT)
        time.sleep(delay)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (-number, 2)  # 2: the imports were over, and there is no such run
        assert err == b'' or process.returncode == 2


class Training:
    """A run that goes on for long, in short epochs. `ignore`: signals that it is started with ignored."""

    def __init__(self, folder, data_dir, stdout, stderr, ignore=()):
        self.folder = folder
        words = '--net plain --depth 8 --batch-size 30 --no-verify --epochs 100000'.split()

        def prepare():
            os.setsid()
            if os.isatty(1):
                os.close(os.open(os.ttyname(1), os.O_RDWR))  # the terminal becomes this session's
            for number in ignore:
                signal.signal(number, signal.SIG_IGN)

        self.process = subprocess.Popen(
            [sys.executable, 'train_cifar.py', *words, '--data-dir', data_dir, '--log-dir', str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=prepare,
        )
        os.close(stdout)

    def epochs(self):
        with contextlib.suppress(ValueError, OSError):
            return len(read_csv(only_run(self.folder)))
        return 0

    def log(self):
        with open(os.path.join(only_run(self.folder), 'train.log'), encoding='utf-8') as file:
            return file.read()


def test_training_outlives_its_terminal_or_saves(tmp_path, small_cifar):
    ends = [pty.openpty(), pty.openpty(), os.pipe()]
    errors = open(tmp_path / 'stderr', 'wb')
    closed, ignoring, piped = (
        Training(tmp_path / name, small_cifar, end[1], errors, ignore)
        for name, end, ignore in zip(('closed', 'ignoring', 'piped'), ends, ((), (signal.SIGHUP,), ()))
    )
    trainings = (closed, ignoring, piped)
    try:
        wait_for(lambda: all(training.epochs() >= 2 for training in trainings))
        before = ignoring.epochs()
        for reader, _ in ends:
            os.close(reader)
        assert closed.process.wait(60) == 128 + signal.SIGHUP
        assert piped.process.wait(60) == 128 + signal.SIGTERM
        wait_for(lambda: ignoring.epochs() >= before + 3)
        ignoring.process.terminate()
        assert ignoring.process.wait(60) == 128 + signal.SIGTERM
    finally:
        for training in trainings:
            training.process.kill()
            training.process.wait()
    for training in trainings:
        assert 'stopped and saved' in training.log()
        assert checkpoints(only_run(training.folder))[-1] >= f'checkpoint-{training.epochs():04}'
    assert ignoring.log().count('standard output is gone (Input/output error): train.log goes on') == 1
    assert 'standard output is gone (Broken pipe): stopping' in piped.log()
    assert (tmp_path / 'stderr').read_bytes() == b''


def test_a_home_that_cannot_be_written_is_not_worth_a_word():
    """/proc stands for it. matplotlib would say in four lines where its cache is instead."""
    nowhere = dict.fromkeys(('HOME', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME'), '/proc')
    code = 'import common, matplotlib; print(matplotlib.get_cachedir(), matplotlib.get_configdir())'
    environment = {name: value for name, value in os.environ.items() if name != 'MPLCONFIGDIR'} | nowhere
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == '' and '/proc' not in done.stdout
