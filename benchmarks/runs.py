"""Whole runs of the training scripts: an epoch beside its steps, and the time to the first step."""

from collections.abc import Iterator
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import inputs
from benchmarks.remote import ROOT
from benchmarks.rounds import Row, Setting, median_ratio

STEPS = 782  # in an epoch of CIFAR-10: 781 of 64 images, and one of 16

# Runs a script to the end of its first training step.
TO_FIRST_STEP = """
import os, runpy, sys
from training.evaluation import Tally
Tally.count = lambda *numbers: os._exit(0)  # the loop calls it at the end of a step
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def epoch(setting: Setting) -> Iterator[Row]:
    """An epoch of train_cifar.py, with log, metrics and checkpoint, beside the time of its steps alone.

    The epoch lasts from the first line of the log to the last. Its steps are timed before and after it. Few images are
    tested, because an evaluation is no overhead. The ratio is the median of three epochs.
    """
    with tempfile.TemporaryDirectory() as folder, setting.ours('training', net='dfn-mr', depth=14) as steps:
        inputs.write_cifar10(folder, test=100)
        steps.seconds(20)
        pairs, before = [], steps.seconds(100)
        for seed in range(1, min(3, setting.rounds) + 1):
            _train_cifar(setting, folder, folder, '--epochs', '1', '--seed', str(seed))
            logged = _logged_seconds(os.path.join(folder, 'cifar10', 'dfn-mr-14', f'epochs1-seed{seed}', 'train.log'))
            after = steps.seconds(100)
            pairs.append((STEPS * (before + after) / 2, logged))
            before = after
    alone, taken = zip(*pairs, strict=True)
    yield Row(
        'steps of an epoch / the whole epoch of CIFAR-10, dfn-mr 14 (s)',
        statistics.median(alone),
        statistics.median(taken),
        median_ratio(alone, taken),
        0.97,
    )


def _train_cifar(setting, data_dir, log_dir, *words, code=()):
    """Run train_cifar.py on DFN-MR 14, by other Python code if there is any."""
    devices = [word for name, value in setting.devices.items() for word in (f'--{name}', value)]
    subprocess.run(
        [
            sys.executable,
            *code,
            'train_cifar.py',
            '--net',
            'dfn-mr',
            '--depth',
            '14',
            '--no-verify',
            '--data-dir',
            data_dir,
            '--log-dir',
            log_dir,
            *devices,
            *words,
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _logged_seconds(path):
    with open(path, encoding='utf-8') as file:
        lines = [line for line in file if 'Change learning rate' in line or 'finished' in line]
    first, last = (datetime.datetime.strptime(line[:23], '%Y-%m-%d %H:%M:%S,%f') for line in (lines[0], lines[-1]))
    return (last - first).total_seconds()


def start(setting: Setting) -> Iterator[Row]:
    """From the command to the end of the first step, on the digits and on CIFAR-10.

    The first start of each packs the images as well.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs.write_cifar10(folder)
        for dataset, wanted in (('digits', 6), ('cifar10', 15)):
            first = _seconds_to_first_step(setting, folder, dataset)
            again = statistics.median(_seconds_to_first_step(setting, folder, dataset) for _ in range(3))
            yield Row(f'{wanted} s / first start to first step, {dataset} (s)', first, wanted, wanted / first)
            yield Row(f'{wanted} s / start to first step, {dataset} (s)', again, wanted, wanted / again, 1.0)


def _seconds_to_first_step(setting, folder, dataset):
    with tempfile.TemporaryDirectory() as logs:
        begun = time.perf_counter()
        _train_cifar(setting, folder, logs, '--dataset', dataset, code=('-c', TO_FIRST_STEP))
        return time.perf_counter() - begun
