"""Fixtures and helpers that several test files share."""

import contextlib
import gc
import io
import json
import logging
import os
from pathlib import Path
import resource
import signal
import subprocess
import sys
from unittest import mock

# The tests' networks are too small for two threads, which only get in each other's way on a busy machine.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from common import cli  # noqa: E402
import common.mxnet  # noqa: E402,F401  sets MXNet up before any test module imports it
from common.mxnet import mx  # noqa: E402
import train_cifar  # noqa: E402
from training import options, run_directory  # noqa: E402

# Under nohup, or in a script's background, these are ignored, and what the tests start would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# pytest would keep what a run logs, and with it an exception, its frames, and the run that has its directory locked.
logging.getLogger('train').propagate = False

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(autouse=True)
def _keep_signal_handlers():
    """Commands change them, also where a test calls them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def random():
    """A generator with a fixed seed."""
    return np.random.RandomState(0)


@pytest.fixture
def command():
    """Run a script of the repository as a user does: (status, standard output, standard error)."""

    def run(*words, check=None, **options):
        options = {'capture_output': True, **options}
        done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, text=True, **options)
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def in_process(main, *words, check=None):
    """As `command`, by a call of a script's main(), without the seconds of a new process.

    Args:
        words: as in sys.argv, from the script's name on.
    """
    out, err, before = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mx.name.NameManager(),
        mock.patch('sys.argv', [str(word) for word in words]),
        pytest.raises(SystemExit) as ended,
    ):
        cli.run(main)
    signal.signal(signal.SIGTERM, before)
    result = ended.value.code or 0, out.getvalue(), err.getvalue()
    del ended
    if result[0]:
        gc.collect()  # an error keeps a run, and with it the lock on its directory
    assert check in (None, result[0]), result
    return result


@pytest.fixture
def mistake(monkeypatch, capfd):
    """Run a script's main() on arguments that are wrong, without the seconds of a new process: its one line."""

    def run(main, *words):
        monkeypatch.setattr(sys, 'argv', [str(word) for word in words])
        before = signal.getsignal(signal.SIGTERM)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.run(main)
        signal.signal(signal.SIGTERM, before)
        return one_line((ended.value.code, *capfd.readouterr()))

    return run


def one_line(result):
    """The mistake's line; fails unless it is one line on standard error and status 2."""
    status, _, err = result
    assert status == 2, err
    assert err.count('\n') == 1 and err.startswith('error: '), err
    return err


def write_cifar(folder, random, train=60, test=20, folder_name='cifar-10-batches-bin'):
    """Small files in CIFAR-10's binary layout, five of train/5 records and one of test; returns the folder."""
    where = os.path.join(str(folder), folder_name)
    os.makedirs(where)
    for name, count in [(f'data_batch_{i}.bin', train // 5) for i in range(1, 6)] + [('test_batch.bin', test)]:
        records = random.randint(0, 256, (count, 3073)).astype(np.uint8)
        records[:, 0] = np.arange(count) % 10
        records.tofile(os.path.join(where, name))
    return str(folder)


@pytest.fixture
def small_cifar(tmp_path, random):
    """A folder with a CIFAR-10 of 60 training and 20 test images of noise; for --no-verify."""
    return write_cifar(tmp_path / 'small', random)


def write_run(log_dir, words, errors, status='finished', devices=2, script=train_cifar, verified=True, **columns):
    """A run directory without checkpoints as the script's command line has it; returns its path.

    Args:
        errors: test errors of its epochs; of a finished run those of the last ones, after others of 99 %.
        status: of its end, None for a run that is not at it.
        columns: more of metrics.csv, {name: values}.
    """
    args = options.read(script.parser(), [*map(str, words), '--log-dir', str(log_dir)])
    place = options.directory_of(vars(args), vars(script.parser().parse_args([])))
    os.makedirs(place)
    with open(os.path.join(place, 'config.json'), 'w') as file:
        json.dump(
            {
                'command': f'python {" ".join(map(str, words))}',
                'options': vars(args),
                'environment': {
                    **dict.fromkeys(('python', 'numpy', 'mxnet', 'processor'), '1'),
                    'threads': 1,
                    'commit': None,
                    'devices': [f'gpu({i})' for i in range(devices)],
                    'workers': 1,
                },
                'parameters': 1000,
                'dataset': {
                    'splits': {split: {'verified': verified, 'records': 100} for split in ('train', 'test', 'val')}
                },
                'outcome': status and {'status': status, 'epochs': args.epochs, 'test_error': errors[-1]},
            },
            file,
        )
    columns = {'train_loss': [1.0] * len(errors), 'test_error': errors, **columns}
    before = args.epochs - len(errors) if status == 'finished' else 0
    columns = {name: [99.0] * before + values for name, values in columns.items()}
    with open(os.path.join(place, 'metrics.csv'), 'w') as file:
        file.write(f'epoch,{",".join(columns)}\n')
        for epoch, values in enumerate(zip(*columns.values()), 1):
            file.write(f'{epoch},{",".join(map(str, values))}\n')
    return place


def committed_files():
    """The files of logs/ in git, from ROOT, without those of runs trained in this checkout; outside git all."""
    git = ['git', '-C', ROOT, 'ls-files', 'logs']
    listed = subprocess.run(git, capture_output=True, text=True).stdout.splitlines()
    return listed or [str(path.relative_to(ROOT)) for path in Path(ROOT, 'logs').rglob('*') if path.is_file()]


def committed_runs():
    """The run directories among them."""
    return [os.path.dirname(path) for path in committed_files() if os.path.basename(path) == run_directory.CONFIG]


@pytest.fixture(scope='session')
def committed(tmp_path_factory):
    """A folder with the committed logs/ alone: what the documentation shows, whatever a user trained beside them."""
    folder = tmp_path_factory.mktemp('committed')
    for name in committed_files():
        os.makedirs(folder / os.path.dirname(name), exist_ok=True)
        os.symlink(os.path.join(ROOT, name), folder / name)
    return folder


def official_folder(name):
    """The folder of DFN_DATA that holds official files; skips the test where there is none."""
    folder = os.path.join(os.environ.get('DFN_DATA', ''), name)
    if not os.environ.get('DFN_DATA') or not os.path.exists(folder):
        pytest.skip(f'no {name} in the folder that DFN_DATA names')
    return folder


@pytest.fixture
def full_disk():
    """A context in which no file can be longer than so many bytes; it stands for a full disk."""

    @contextlib.contextmanager
    def limited(size):
        before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
            signal.signal(signal.SIGXFSZ, handler)

    return limited
