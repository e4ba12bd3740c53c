"""train_cifar.py on small files: from its options to the numbers, signals, and mistakes in one line."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from common.mxnet import mx
from data import records
import eval as evaluation
import symbols
from symbols.analysis.summary import parameter_shapes
from symbols.ensemble import COMPONENTS
from tests.conftest import ROOT, in_process, one_line, write_cifar
from tests.reference import torch_nesterov, train_pass
from tests.runs import MEASURED, end, only_run, read_bytes, read_csv, read_json, rewrite
import train_cifar
from training.initializer import initial_parameters


def words(data_dir, log_dir, *more):
    """A small run: 8 steps an epoch."""
    return [
        'train_cifar.py',
        '--net',
        'plain',
        '--depth',
        '8',
        '--batch-size',
        '8',
        '--data-dir',
        str(data_dir),
        '--no-verify',
        '--log-dir',
        str(log_dir),
        *map(str, more),
    ]


def train(*words, check=None):
    """train_cifar.py in this process: (status, standard output, standard error)."""
    return in_process(train_cifar.main, *words, check=check)


def test_the_defaults_are_the_papers():
    """Section 6.2."""
    args = train_cifar.parser().parse_args([])
    assert (args.net, args.depth) == ('dfn-mr', 56)
    assert (args.epochs, args.batch_size, args.lr, args.momentum, args.weight_decay) == (400, 64, 0.1, 0.9, 1e-4)
    assert (args.dataset, args.pad_value, args.widen, args.bn_momentum) == ('cifar10', 'zero', 1, 0.9)
    assert args.schedule == 'fractions'


def test_two_steps_of_the_command_equal_the_same_computed_by_hand(small_cifar, tmp_path):
    """Every option off its default, two devices; crops, shards, sums and updates are written out here."""
    train(
        'train_cifar.py',
        '--net',
        'resnet',
        '--depth',
        8,
        '--data-dir',
        small_cifar,
        '--no-verify',
        '--log-dir',
        tmp_path / 'logs',
        '--cpus',
        2,
        '--batch-size',
        30,
        '--epochs',
        1,
        '--lr',
        0.05,
        '--momentum',
        0.8,
        '--weight-decay',
        0.01,
        '--seed',
        5,
        '--pad-value',
        'mean',
        '--bn-momentum',
        0.7,
        check=0,
    )
    run = only_run(tmp_path / 'logs')
    assert os.path.relpath(run, tmp_path / 'logs') == (
        'cifar10/resnet-8/padmean-batch30-lr0.05-momentum0.8-decay0.01-bnmomentum0.7-cpus2-epochs1-seed5'
    )
    _, weights, statistics = mx.model.load_checkpoint(os.path.join(run, 'checkpoint-0001', 'model'), 1)

    images, labels = records.read(os.path.join(small_cifar, 'cifar10-train'))
    mean, std = np.array([125.307, 122.950, 113.865]), np.array([62.993, 62.089, 66.705])
    padded = np.pad((images - mean[:, None, None]) / std[:, None, None], ((0, 0), (0, 0), (4, 4), (4, 4)))
    random = np.random.RandomState([5, 1])
    order, (top, left), flip = random.permutation(60), random.randint(0, 9, (2, 60)), random.randint(0, 2, 60)
    crops = np.stack(
        [padded[i, :, y : y + 32, x : x + 32][..., :: -1 if f else 1] for i, y, x, f in zip(order, top, left, flip)]
    )

    symbol = symbols.get_symbol('resnet', 8, bn_momentum=0.7)
    start = initial_parameters(parameter_shapes(symbol), 5)
    expected, gradients, running = start, [], [None, None]
    for step in (0, 30):
        shards = [slice(step, step + 15), slice(step + 15, step + 30)]
        done = [train_pass(symbol, expected, crops[s], labels[order[s]], before) for s, before in zip(shards, running)]
        gradients.append({name: done[0].gradients[name] + done[1].gradients[name] for name in start})
        running = [shard.statistics for shard in done]
        expected = {
            name: value.astype(np.float32)
            for name, value in torch_nesterov(start, gradients, [0.05] * len(gradients), 0.8, 0.01, 30).items()
        }
    for name, value in expected.items():
        np.testing.assert_allclose(weights[name].asnumpy(), value, rtol=1e-3, atol=1e-4, err_msg=name)
    for name in running[0]:
        np.testing.assert_allclose(
            statistics[name].asnumpy(), (running[0][name] + running[1][name]) / 2, rtol=1e-3, atol=1e-4, err_msg=name
        )
    config = read_json(run)
    assert config['options']['no_verify'] is True and config['dataset']['splits']['train']['verified'] is False


class Interrupted:
    """Starts the same run again and again, each time ending it with a signal at some step."""

    def __init__(self, arguments, log_dir):
        self.arguments, self.log_dir = arguments, str(log_dir)

    def start_and_signal(self, number, after):
        """Send the signal when `after` new checkpoints were seen; returns (status, output)."""
        process = subprocess.Popen(
            [sys.executable, *self.arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        seen, limit = set(), time.monotonic() + 60
        old = self._checkpoints()
        while len(seen) < after and process.poll() is None and time.monotonic() < limit:
            seen |= self._checkpoints() - old
            time.sleep(0.002)
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
        return process.returncode, out

    def _checkpoints(self):
        return {name for _, folders, _ in os.walk(self.log_dir) for name in folders if name.startswith('checkpoint')}


def test_a_run_that_was_killed_and_stopped_goes_on_to_the_same_bits(command, small_cifar, tmp_path, monkeypatch):
    """In processes with two threads, on two contexts; at every step of one: training/test_loop.py."""
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    options = ['--epochs', 4, '--cpus', 2]
    command(*words(small_cifar, tmp_path / 'whole', *options), check=0)
    arguments = words(small_cifar, tmp_path / 'killed', *options)
    interrupted = Interrupted([*arguments, '--checkpoint-minutes', '1e-5'], tmp_path / 'killed')
    status, out = interrupted.start_and_signal(signal.SIGKILL, 3)
    assert status == -signal.SIGKILL, out
    status, out = interrupted.start_and_signal(signal.SIGINT, 8)
    assert status == 128 + signal.SIGINT and 'resumed after' in out and 'Traceback' not in out
    assert 'stopped and saved; go on with: python train_cifar.py --net plain' in out
    _, out, err = command(*arguments, check=0)
    assert 'resumed after' in out and '|' not in err and '\r' not in err  # no bar where there is no terminal

    whole, killed = only_run(tmp_path / 'whole'), only_run(tmp_path / 'killed')
    for name in ('model-0004.params', 'momentum.params', 'model-symbol.json'):
        assert read_bytes(whole, 'checkpoint-0004', name) == read_bytes(killed, 'checkpoint-0004', name), name
    assert [[row[name] for name in MEASURED] for row in read_csv(whole)] == [
        [row[name] for name in MEASURED] for row in read_csv(killed)
    ]


def test_a_finished_run_of_official_data_needs_no_data(monkeypatch):
    """The committed run, after a clone; it says so without a download."""
    monkeypatch.chdir(ROOT)
    _, out, _ = train(
        'train_cifar.py', '--net', 'dfn-mr', '--depth', 14, '--epochs', 8, '--data-dir', 'nowhere', check=0
    )
    assert re.search(r'logs/cifar10/dfn-mr-14/epochs8-seed1 is done: test error 15\.\d\d % after 8 epochs', out)
    assert not os.path.exists('nowhere')


def test_a_run_on_other_images_is_one_line(small_cifar, tmp_path, random):
    train(*words(small_cifar, tmp_path / 'logs', '--epochs', 1), check=0)
    before = read_bytes(only_run(tmp_path / 'logs'), 'config.json')
    other = write_cifar(tmp_path / 'other', random)
    line = one_line(train(*words(other, tmp_path / 'logs', '--epochs', 1)))
    assert 'holds a run with another configuration (data ' in line and 'choose another --log-dir' in line
    for free in (['--kv-store', 'device'], ['--checkpoint-minutes', 3]):  # what changes no number
        assert 'is done' in train(*words(small_cifar, tmp_path / 'logs', '--epochs', 1, *free), check=0)[1]
    assert read_bytes(only_run(tmp_path / 'logs'), 'config.json') == before


@pytest.mark.parametrize(
    'options, expected',
    [
        (['--depth', '57'], 'depth 57 is not 6n + 2: the nearest are 56 and 62'),
        (['--net', 'vgg'], "invalid choice: 'vgg'"),
        (['--gpus', '0'], 'no CUDA'),
        (['--gpus', 'all'], 'numbers of the GPUs'),
        (['--gpus', '0', '--cpus', '2'], 'not allowed with'),
        (['--cpus', '9'], '--batch-size 8 leaves some of 9 devices without an image'),
        (
            ['--batch-size', '59', '--cpus', '2'],
            'the last batch of an epoch has 1 images, which cannot be split over 2 devices',
        ),
        (['--lr', '-1'], 'not a number above 0'),
        (['--kv-store', 'dist_sync'], 'start them with python -m distributed.launch'),
        (['--mirror'], 'nothing to --mirror'),
        (['--net', 'component'], 'which component network? Give its path'),
        (['--net', 'component', '--path', 'RXR'], "invalid choice: 'RXR'"),
        (['--net', 'ensemble', '--components', 'LLL,XYZ'], 'unknown component network XYZ: choose from LLL, RLL'),
        (['--net', 'ensemble', '--components', ','], 'no component network is named'),
        (['--net', 'ensemble', '--components', ''], 'no component network is named'),
        (['--net', 'ensemble', '--path', 'RLR'], 'ensemble has no --path'),
        (['--net', 'resnet', '--components', '7'], 'resnet has no --components'),
        (['--net', 'ensemble', '--depth', '15'], 'depth 15 is not 6n + 2'),
        (['--net', 'gluoncv:cifar_resnet20_v1'], 'gluoncv:cifar_resnet20_v1 has no --depth'),
    ],
)
def test_a_mistake_is_one_line_and_status_2(mistake, small_cifar, tmp_path, options, expected):
    assert expected in mistake(train_cifar.main, *words(small_cifar, tmp_path / 'logs', *options))
    assert not (tmp_path / 'logs').exists()


def test_data_that_is_not_official_is_one_line(mistake, small_cifar, tmp_path):
    arguments = [word for word in words(small_cifar, tmp_path / 'logs') if word != '--no-verify']
    assert 'is not the official data' in mistake(train_cifar.main, *arguments)


def test_a_truncated_record_file_without_its_source_is_one_line(small_cifar, tmp_path):
    train(*words(small_cifar, tmp_path / 'logs', '--epochs', 1), check=0)
    os.truncate(os.path.join(small_cifar, 'cifar10-train.rec'), 5000)
    os.remove(os.path.join(small_cifar, 'cifar-10-batches-bin', 'test_batch.bin'))
    result = train(*words(small_cifar, tmp_path / 'logs', '--epochs', 1))
    assert 'cifar10-train.rec does not match' in result[1] and 'lacks test_batch.bin' in one_line(result)


def test_a_damaged_checkpoint_is_one_line(small_cifar, tmp_path):
    arguments = words(small_cifar, tmp_path / 'logs', '--epochs', 1)
    train(*arguments, check=0)
    run = only_run(tmp_path / 'logs')
    rewrite(run, 'config.json', {**read_json(run), 'outcome': None})  # as if it had been killed before its end
    os.truncate(os.path.join(run, 'checkpoint-0001', 'momentum.params'), 1000)
    assert 'checkpoint-0001 is damaged: momentum.params is not as it was written, and no other' in one_line(
        train(*arguments)
    )
    os.remove(os.path.join(run, 'config.json'))
    assert 'has checkpoint-0001, metrics.csv, train.log but no config.json' in one_line(train(*arguments))


@pytest.mark.parametrize(
    'words_, folder',
    [
        (['--components', '7'], 'ensemble-8/components7-batch60-epochs1-seed1'),
        (['--components', ','.join(COMPONENTS)], 'ensemble-8/batch60-epochs1-seed1'),
    ],
)
def test_an_ensemble_of_some_components_is_another_run(small_cifar, tmp_path, words_, folder):
    train(
        'train_cifar.py',
        '--net',
        'ensemble',
        '--depth',
        8,
        '--epochs',
        1,
        '--batch-size',
        60,
        '--data-dir',
        small_cifar,
        '--no-verify',
        '--log-dir',
        tmp_path,
        *words_,
        check=0,
    )
    (row,) = read_csv(tmp_path / 'cifar10' / folder)
    assert ('test_error_RRR' in row) == (folder == 'ensemble-8/batch60-epochs1-seed1') and 'test_error_LLL' in row


def test_a_network_of_gluoncvs_trains_resumes_and_is_evaluated(small_cifar, tmp_path):
    log_dir = tmp_path / 'logs'
    words_ = ['train_cifar.py', '--net', 'gluoncv:cifar_resnet20_v1', '--epochs', 1, '--batch-size', 30]
    words_ += ['--data-dir', small_cifar, '--no-verify', '--log-dir', log_dir, '--checkpoint-minutes', '1e-9']
    _, out, _ = train(*words_, check=0)
    run = only_run(log_dir)
    assert os.path.relpath(run, log_dir) == 'cifar10/gluoncv-cifar_resnet20_v1/batch30-epochs1-seed1'
    assert 'gluoncv:cifar_resnet20_v1 on cifar10: 272,474 parameters' in out
    config, expected = read_json(run), end(run)
    assert config['options']['depth'] is None

    shutil.rmtree(os.path.join(run, 'checkpoint-0001'))
    rewrite(run, 'config.json', {**config, 'outcome': None})
    assert 'resumed after 0 epochs and 1 steps' in train(*words_, check=0)[1] and end(run) == expected
    out = in_process(evaluation.main, 'eval.py', run, '--no-verify', check=0)[1]
    assert f'test error {float(expected[1][-1]["test_error"]):.2f} %' in out
