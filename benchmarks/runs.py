"""Whole runs of the training scripts: an epoch beside its steps, the time to the first step, memory."""
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks.rounds import Row
from benchmarks.subject import ROOT, Remote

NOISE = {'train': 50000, 'test': 100}  # images; few to test with, because an evaluation is no overhead
STEPS = 782                            # of an epoch of CIFAR-10: 781 of 64 images, one of 16
FIRST_STEP = '''
import os, runpy, sys
from training.evaluation import Tally
Tally.count = lambda *numbers: os._exit(0)  # the loop calls it at the end of a step
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
'''


def write_noise(folder, test=NOISE['test']):
    """CIFAR-10's files of blurred noise."""
    import cv2
    random, where = np.random.RandomState(0), os.path.join(folder, 'cifar-10-batches-bin')
    os.makedirs(where)
    files = [('data_batch_%d.bin' % number, NOISE['train'] // 5) for number in range(1, 6)] + [('test_batch.bin', test)]
    for name, count in files:
        records = np.empty((count, 3073), np.uint8)
        records[:, 0] = np.arange(count) % 10
        for record in records:
            record[1:] = cv2.resize(random.randint(0, 256, (6, 6, 3)).astype(np.uint8), (32, 32)).transpose(
                2, 0, 1).ravel()
        records.tofile(os.path.join(where, name))


def epoch(setting):
    """An epoch of train_cifar.py, with its log, its metrics and its checkpoint, beside the time of its steps alone.

    From the first line of the log to the last; steps alone before and after each epoch. Median of three epochs.
    """
    words = ['--net', 'dfn-mr', '--depth', 14, *setting.devices]
    with tempfile.TemporaryDirectory() as folder, Remote(sys.executable, 'subjects', 'training', *words) as steps:
        write_noise(folder)
        steps.seconds(20)
        pairs, before = [], steps.seconds(100)
        for seed in range(1, min(3, setting.rounds) + 1):
            taken = _epoch(folder, words, seed)
            after = steps.seconds(100)
            pairs.append((STEPS * (before + after) / 2, taken))
            before = after
    alone, taken = (statistics.median(values) for values in zip(*pairs))
    yield Row('steps of an epoch / the whole epoch of CIFAR-10, dfn-mr 14 (s)', alone, taken,
              statistics.median(a / b for a, b in pairs), 0.97)


def _epoch(folder, words, seed):
    subprocess.run([sys.executable, 'train_cifar.py', *map(str, words), '--epochs', '1', '--seed', str(seed),
                    '--data-dir', folder, '--no-verify', '--log-dir', folder], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    with open(os.path.join(folder, 'cifar10', 'dfn-mr-14', 'epochs1-seed%d' % seed, 'train.log')) as file:
        lines = [line for line in file if 'Change learning rate' in line or 'finished' in line]
    first, last = (datetime.datetime.strptime(line[:23], '%Y-%m-%d %H:%M:%S,%f') for line in (lines[0], lines[-1]))
    return (last - first).total_seconds()


def start(setting):
    """From the command to the first step counted, on the digits and on CIFAR-10; the first time they are packed too."""
    with tempfile.TemporaryDirectory() as folder:
        write_noise(folder, test=10000)
        for dataset, wanted in (('digits', 6), ('cifar10', 15)):
            first = _start(folder, dataset, setting)  # packs the images as well
            again = statistics.median(_start(folder, dataset, setting) for _ in range(3))
            yield Row('%d s / first start to first step, %s (s)' % (wanted, dataset), first, wanted, wanted / first,
                      None)
            yield Row('%d s / start to first step, %s (s)' % (wanted, dataset), again, wanted, wanted / again, 1.0)


def _start(folder, dataset, setting):
    with tempfile.TemporaryDirectory() as logs:
        begun = time.perf_counter()
        subprocess.run([sys.executable, '-c', FIRST_STEP, 'train_cifar.py', '--dataset', dataset, '--net', 'dfn-mr',
                        '--depth', '14', '--data-dir', folder, '--no-verify', '--log-dir', logs, *setting.devices],
                       cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun


def memory(setting):
    """Most memory of a process that trains, at batch 64, beside PyTorch's; with --mirror too. On the CPU alone."""
    if setting.gpus is not None:
        return
    for net, depth in (('dfn-mr', 98), ('resnet', 194)):
        words = ['training', '--net', net, '--depth', depth]
        peer = _peak(setting.torch, 'torch_subjects', *words)
        for mirror in ([], ['--mirror']):
            ours = _peak(sys.executable, 'subjects', *words, *mirror)
            yield Row('memory of PyTorch / %s %d%s (GB)' % (net, depth, ', mirrored' * bool(mirror)), ours, peer,
                      peer / ours, 1.0)


def _peak(*words):
    with Remote(*words) as subject:
        subject.seconds(3)
        return subject.peak_memory()
