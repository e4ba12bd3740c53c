"""train_cifar.py as a user runs it, on small files: the run directory, interruptions, mistakes."""
import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import symbols
import train_cifar
from common.mxnet import mx
from data import records
from symbols.analysis.summary import parameter_shapes
from tests.conftest import ROOT, one_line, write_cifar
from tests.training.test_optimiser import torch_nesterov
from tests.training.test_replicas import shard
from training.initialiser import initial_parameters

COLUMNS = 'epoch,lr,train_loss,train_error,test_loss,test_error,images_per_second,seconds'
MEASURED = COLUMNS.split(',')[:6]  # the rest are times


def words(data_dir, log_dir, *more):
    """A small run: 8 steps an epoch."""
    return ['train_cifar.py', '--net', 'plain', '--depth', '8', '--batch-size', '8', '--data-dir', str(data_dir),
            '--no-verify', '--log-dir', str(log_dir)] + [str(word) for word in more]


def only_run(log_dir):
    """The one run directory under a log directory."""
    runs = [folder for folder, _, files in os.walk(str(log_dir)) if 'config.json' in files]
    assert len(runs) == 1, runs
    return runs[0]


def read_csv(run):
    with open(os.path.join(run, 'metrics.csv'), newline='') as file:
        return list(csv.DictReader(file))


def read_json(run, name='config.json'):
    with open(os.path.join(run, name)) as file:
        return json.load(file)


def read_bytes(*path):
    with open(os.path.join(*path), 'rb') as file:
        return file.read()


def checkpoints(run):
    return sorted(name for name in os.listdir(run) if name.startswith('checkpoint-'))


def test_a_run_leaves_what_the_next_person_needs(command, small_cifar, tmp_path):
    _, out, err = command(*words(small_cifar, tmp_path / 'logs', '--epochs', 5, '--seed', 3), check=0)
    run = only_run(tmp_path / 'logs')
    assert os.path.relpath(run, str(tmp_path / 'logs')) == 'cifar10/plain-8/batch8-epochs5-seed3'
    assert set(os.listdir(run)) == {'config.json', 'metrics.csv', 'train.log'} | set(checkpoints(run))

    config = read_json(run)
    assert config['options']['lr'] == 0.1 and config['options']['net'] == 'plain'
    assert config['options']['no_verify'] is True and config['dataset']['splits']['train']['verified'] is False
    assert config['parameters'] == 75290 and config['environment']['devices'] == ['cpu(0)']
    assert config['outcome']['status'] == 'finished'

    rows = read_csv(run)
    assert ','.join(rows[0]) == COLUMNS and [row['epoch'] for row in rows] == list('12345')
    assert [float(row['lr']) for row in rows] == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.0001])
    assert all(0 <= float(row['test_error']) <= 100 and float(row['images_per_second']) > 1 for row in rows)
    # a network that guesses at noise is a "fail", as in the paper
    assert config['outcome']['fail'] == (float(rows[-1]['test_error']) > 50)
    assert ('which the paper prints as "fail"' in out) == config['outcome']['fail']
    assert '|' not in err and '\r' not in err  # no progress bar where there is no terminal

    # the newest two and the best
    best = min(rows, key=lambda row: float(row['test_error']))['epoch']
    assert checkpoints(run) == sorted({'checkpoint-0004', 'checkpoint-0005', 'checkpoint-000%s' % best})

    # The expressions of MXNet's tools/parse_log.py read the log.
    with open(os.path.join(run, 'train.log')) as file:
        lines = file.readlines()
    for expression, column in ((r'.*Epoch\[(\d+)\] Train-accuracy.*=([.\d]+)', 'train_error'),
                               (r'.*Epoch\[(\d+)\] Validation-accuracy.*=([.\d]+)', 'test_error'),
                               (r'.*Epoch\[(\d+)\] Time.*=([.\d]+)', 'seconds')):
        found = [match.groups() for match in (re.match(expression, line) for line in lines) if match]
        assert [int(epoch) for epoch, _ in found] == [0, 1, 2, 3, 4]
        for (_, value), row in zip(found, rows):
            expected = float(row[column]) if column == 'seconds' else 1 - float(row[column]) / 100
            assert float(value) == pytest.approx(expected, abs=2e-3)


def test_the_defaults_are_the_papers():
    """Section 6.2."""
    args = train_cifar.parser().parse_args([])
    assert (args.epochs, args.batch_size, args.lr, args.momentum, args.weight_decay) == (400, 64, 0.1, 0.9, 1e-4)
    assert (args.dataset, args.pad_value, args.widen, args.bn_momentum) == ('cifar10', 'zero', 1, 0.9)


def test_two_steps_of_the_command_equal_the_same_computed_by_hand(command, small_cifar, tmp_path):
    """Every option off its default, two devices; crops, shards, sums and updates are written out here."""
    command('train_cifar.py', '--net', 'resnet', '--depth', 8, '--data-dir', small_cifar, '--no-verify', '--log-dir',
            tmp_path / 'logs', '--cpus', 2, '--batch-size', 30, '--epochs', 1, '--lr', 0.05, '--momentum', 0.8,
            '--weight-decay', 0.01, '--seed', 5, '--pad-value', 'mean', '--bn-momentum', 0.7, check=0)
    prefix = os.path.join(only_run(tmp_path / 'logs'), 'checkpoint-0001', 'model')
    _, weights, statistics = mx.model.load_checkpoint(prefix, 1)

    images, labels = records.read(os.path.join(small_cifar, 'cifar10-train'))
    mean, std = np.array([125.307, 122.950, 113.865]), np.array([62.993, 62.089, 66.705])
    padded = np.pad((images - mean[:, None, None]) / std[:, None, None], ((0, 0), (0, 0), (4, 4), (4, 4)))
    random = np.random.RandomState([5, 1])
    order, (top, left), flip = random.permutation(60), random.randint(0, 9, (2, 60)), random.randint(0, 2, 60)
    crops = np.stack([padded[i, :, y:y + 32, x:x + 32][..., ::-1 if f else 1]
                      for i, y, x, f in zip(order, top, left, flip)])

    symbol = symbols.get_symbol('resnet', 8, bn_momentum=0.7)
    start = initial_parameters(parameter_shapes(symbol), 5)
    expected, gradients, running = start, [], [None, None]
    for step in (0, 30):
        shards = [slice(step, step + 15), slice(step + 15, step + 30)]
        done = [shard(symbol, expected, crops[s], labels[order[s]], before) for s, before in zip(shards, running)]
        gradients.append({name: done[0][0][name] + done[1][0][name] for name in start})
        running = [after for _, after in done]
        expected = {name: value.astype(np.float32) for name, value in
                    torch_nesterov(start, gradients, [0.05] * len(gradients), 0.8, 0.01, 30).items()}
    for name, value in expected.items():
        np.testing.assert_allclose(weights[name].asnumpy(), value, rtol=1e-3, atol=1e-4, err_msg=name)
    for name in running[0]:
        np.testing.assert_allclose(statistics[name].asnumpy(), (running[0][name] + running[1][name]) / 2,
                                   rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_checkpoint_is_mxnets(command, small_cifar, tmp_path):
    command(*words(small_cifar, tmp_path / 'logs', '--epochs', 1), check=0)
    prefix = os.path.join(only_run(tmp_path / 'logs'), 'checkpoint-0001', 'model')
    symbol, arguments, statistics = mx.model.load_checkpoint(prefix, 1)
    assert set(arguments) == set(symbol.list_arguments()) - {'data', 'softmax_label'}
    assert set(statistics) == set(symbol.list_auxiliary_states())
    block = mx.gluon.SymbolBlock.imports(prefix + '-symbol.json', ['data', 'softmax_label'], prefix + '-0001.params')
    assert block(mx.nd.zeros((2, 3, 32, 32)), mx.nd.zeros(2)).shape == (2, 10)


def test_a_finished_run_says_so_and_changes_nothing(command, small_cifar, tmp_path, monkeypatch):
    command(*words(small_cifar, tmp_path / 'logs', '--epochs', 1), check=0)
    run = only_run(tmp_path / 'logs')
    before = {name: read_bytes(run, name) for name in ('config.json', 'metrics.csv', 'train.log')}
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    _, out, _ = command(*words(small_cifar, tmp_path / 'logs', '--epochs', 1), check=0)
    assert re.search(r'is done: test error \d+\.\d\d % after 1 epochs', out)
    assert before == {name: read_bytes(run, name) for name in before}


def test_a_finished_run_of_official_data_needs_no_data(command):
    """The committed run, after a clone; it says so without a download."""
    _, out, _ = command('train_cifar.py', '--net', 'dfn-mr', '--depth', 14, '--epochs', 8,
                        '--data-dir', 'nowhere', check=0)
    assert re.search(r'logs/cifar10/dfn-mr-14/epochs8-seed1 is done: test error 15\.\d\d % after 8 epochs', out)
    assert not os.path.exists(os.path.join(ROOT, 'nowhere'))


class Interrupted:
    """Starts the same run again and again, each time ending it with a signal at some step."""

    def __init__(self, arguments, log_dir):
        self.arguments, self.log_dir = arguments, str(log_dir)

    def start_and_signal(self, number, after):
        """Send the signal when `after` new checkpoints were seen; returns (status, output)."""
        process = subprocess.Popen([sys.executable] + self.arguments, cwd=ROOT, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, universal_newlines=True)
        seen, limit = set(), time.time() + 60
        old = self._checkpoints()
        while len(seen) < after and process.poll() is None and time.time() < limit:
            seen |= self._checkpoints() - old
            time.sleep(0.002)
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
        return process.returncode, out

    def _checkpoints(self):
        return {name for _, folders, _ in os.walk(self.log_dir) for name in folders if name.startswith('checkpoint')}


@pytest.mark.parametrize('cpus, threads', [(1, 2), (2, 1)])
def test_a_killed_run_goes_on_to_the_same_bits(command, small_cifar, tmp_path, cpus, threads, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', str(threads))
    options = ['--epochs', '12', '--cpus', cpus]
    command(*words(small_cifar, tmp_path / 'whole', *options), check=0)
    arguments = words(small_cifar, tmp_path / 'killed', *options, '--checkpoint-minutes', '1e-5')
    interrupted = Interrupted(arguments, tmp_path / 'killed')
    for after in (3, 9, 17):
        status, out = interrupted.start_and_signal(signal.SIGKILL, after)
        assert status == -signal.SIGKILL, out
    _, out, _ = command(*arguments, check=0)
    assert 'resumed after' in out

    whole, killed = only_run(tmp_path / 'whole'), only_run(tmp_path / 'killed')
    for name in ('model-0012.params', 'momentum.params', 'model-symbol.json'):
        assert read_bytes(whole, 'checkpoint-0012', name) == read_bytes(killed, 'checkpoint-0012', name), name
    assert [[row[name] for name in MEASURED] for row in read_csv(whole)] == [
        [row[name] for name in MEASURED] for row in read_csv(killed)]
    assert '.unfinished-checkpoint' not in os.listdir(killed)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(command, small_cifar, tmp_path, number):
    options = ['--epochs', '20']
    command(*words(small_cifar, tmp_path / 'whole', *options), check=0)
    arguments = words(small_cifar, tmp_path / 'stopped', *options)
    status, out = Interrupted(arguments, tmp_path / 'stopped').start_and_signal(number, 2)
    assert status == 128 + number
    assert 'stopped and saved; go on with: python train_cifar.py --net plain' in out and 'Traceback' not in out
    _, out, _ = command(*arguments, check=0)
    assert 'resumed after' in out
    assert read_bytes(only_run(tmp_path / 'whole'), 'checkpoint-0020', 'model-0020.params') == read_bytes(
        only_run(tmp_path / 'stopped'), 'checkpoint-0020', 'model-0020.params')


def test_a_checkpoint_has_all_a_resume_needs(small_cifar, tmp_path):
    arguments = words(small_cifar, tmp_path, '--epochs', '40', '--cpus', '2', '--checkpoint-minutes', '1e-5')
    Interrupted(arguments, tmp_path).start_and_signal(signal.SIGTERM, 11)
    run = only_run(tmp_path)
    newest = os.path.join(run, max(checkpoints(run)))
    progress = read_json(newest, 'progress.json')
    assert progress['step'] > 0 and progress['options']['epochs'] == 40
    assert progress['generator'] == {'kind': 'numpy.random.RandomState([seed, epoch])', 'seed': 1,
                                     'epoch': progress['epoch'] + 1, 'step': progress['step']}
    arrays = mx.nd.load(os.path.join(newest, 'momentum.params'))
    assert any(name.startswith('momentum:') for name in arrays)
    # within an epoch the devices' statistics differ, and each is kept
    one, two = (arrays['aux%d:C_bn_moving_mean' % device].asnumpy() for device in (0, 1))
    assert (one != two).any()
    mean = mx.nd.load(os.path.join(newest, 'model-%04d.params' % progress['epoch']))['aux:C_bn_moving_mean'].asnumpy()
    assert mean == pytest.approx((one + two) / 2, rel=1e-6)


def test_a_loss_that_is_not_finite_ends_the_run_and_is_recorded(command, small_cifar, tmp_path):
    arguments = words(small_cifar, tmp_path / 'logs', '--lr', '1e18', '--epochs', '3')
    _, out, err = command(*arguments, check=1)
    assert re.search(r'the training loss is not finite at epoch \d, step \d', out) and 'Traceback' not in err
    run = only_run(tmp_path / 'logs')
    outcome = read_json(run)['outcome']
    assert outcome['status'] == 'not finite' and outcome['fail'] is True
    last = read_csv(run)[-1]
    assert int(last['epoch']) == outcome['epoch'] and last['train_loss'] in ('nan', 'inf') and last['test_error'] == ''
    _, out, _ = command(*arguments, check=1)
    assert 'has ended: the loss was not finite at epoch' in out
    _, out, _ = command('eval.py', run, '--no-verify')
    assert 'test error' not in out  # it never came to a checkpoint


def test_a_resume_is_recorded(small_cifar, tmp_path):
    arguments = words(small_cifar, tmp_path, '--epochs', '20')
    Interrupted(arguments, tmp_path).start_and_signal(signal.SIGTERM, 2)
    before = read_json(only_run(tmp_path))
    assert 'resumed' not in before
    Interrupted(arguments + ['--checkpoint-minutes', '3'], tmp_path).start_and_signal(signal.SIGTERM, 2)
    after = read_json(only_run(tmp_path))
    assert len(after['resumed']) == 1 and '--checkpoint-minutes 3' in after['resumed'][0]['command']
    assert after['resumed'][0]['environment']['mxnet'] == '1.9.1' and after['options'] == before['options']


@pytest.mark.parametrize('name, damage', [
    ('momentum.params', lambda content: content[:1000]), ('progress.json', lambda content: content[:100]),
    ('model-0001.params', lambda content: content[:5000] + b'x' * 64 + content[5064:])])
def test_a_damaged_checkpoint_is_one_line(command, small_cifar, tmp_path, name, damage):
    arguments = words(small_cifar, tmp_path / 'logs', '--epochs', 1)
    command(*arguments, check=0)
    run = only_run(tmp_path / 'logs')
    config = read_json(run)
    with open(os.path.join(run, 'config.json'), 'w') as file:
        json.dump(dict(config, outcome=None), file)  # as if it had been killed before its end
    path = os.path.join(run, 'checkpoint-0001', name)
    content = read_bytes(path)
    with open(path, 'wb') as file:
        file.write(damage(content))
    line = one_line(command(*arguments))
    assert 'checkpoint-0001 is damaged: delete it' in line
    os.remove(os.path.join(run, 'config.json'))
    assert 'has checkpoints but no config.json' in one_line(command(*arguments))


def test_a_terminal_shows_a_progress_bar(small_cifar, tmp_path):
    master, slave = pty.openpty()
    slow = ['--epochs', '2', '--depth', '26', '--batch-size', '2']  # an epoch takes several of the bar's 0.1 s
    process = subprocess.Popen([sys.executable] + words(small_cifar, tmp_path, *slow), cwd=ROOT, stdout=slave,
                               stderr=slave)
    os.close(slave)
    shown = b''
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        shown += piece
    os.close(master)
    assert process.wait() == 0
    assert b'epoch 1/2' in shown and b'img/s' in shown and b' left' in shown and b'error' in shown


@pytest.mark.parametrize('options, expected', [
    (['--depth', '57'], 'depth 57 is not 6n + 2: the nearest are 56 and 62'),
    (['--net', 'vgg'], "invalid choice: 'vgg'"),
    (['--gpus', '0'], 'no CUDA'),
    (['--gpus', 'all'], 'numbers of the GPUs'),
    (['--gpus', '0,0'], 'each GPU once'),
    (['--gpus', '0', '--cpus', '2'], 'not allowed with'),
    (['--cpus', '9'], 'a batch has 8 images, which cannot be split over 9 devices'),
    (['--cpus', '0'], '0 is not a whole number from 1'),
    (['--batch-size', '59', '--cpus', '2'],
     'the last batch of an epoch has 1 images, which cannot be split over 2 devices'),
    (['--epochs', '0'], 'whole number from 1'),
    (['--lr', '-1'], 'not a number above 0'),
    (['--momentum', '1'], '--momentum 1: choose a number from 0, below 1'),
    (['--seed', '-1'], '--seed -1: choose'),
    (['--weight-decay', 'nan'], '--weight-decay nan: choose'),
    (['--lr', 'fast'], 'fast is not a number above 0'),
])
def test_a_mistake_is_one_line_and_status_2(mistake, small_cifar, tmp_path, options, expected):
    assert expected in mistake(train_cifar.main, *words(small_cifar, tmp_path / 'logs', *options))
    assert not (tmp_path / 'logs').exists()


def test_data_that_is_not_official_is_one_line(command, small_cifar, tmp_path):
    arguments = [word for word in words(small_cifar, tmp_path / 'logs') if word != '--no-verify']
    assert 'is not the official data' in one_line(command(*arguments))


def test_a_truncated_record_file_without_its_source_is_one_line(command, small_cifar, tmp_path):
    command(*words(small_cifar, tmp_path / 'logs', '--epochs', 1), check=0)
    os.truncate(os.path.join(small_cifar, 'cifar10-train.rec'), 5000)
    os.remove(os.path.join(small_cifar, 'cifar-10-batches-bin', 'test_batch.bin'))
    status, out, err = command(*words(small_cifar, tmp_path / 'logs', '--epochs', 1))
    assert 'cifar10-train.rec does not match' in out and 'lacks test_batch.bin' in one_line((status, out, err))


def test_a_run_directory_of_another_configuration_is_one_line(command, small_cifar, tmp_path, random):
    arguments = ['--epochs', 1]
    command(*words(small_cifar, tmp_path / 'logs', *arguments), check=0)
    before = read_bytes(only_run(tmp_path / 'logs'), 'config.json')
    other = write_cifar(tmp_path / 'other', random)
    line = one_line(command(*words(other, tmp_path / 'logs', *arguments)))
    assert 'holds a run with another configuration (data ' in line and 'choose another --log-dir' in line
    for free in (['--kv-store', 'device'], ['--checkpoint-minutes', 3]):  # what changes no number
        assert 'is done' in command(*words(small_cifar, tmp_path / 'logs', *arguments, *free), check=0)[1]
    assert read_bytes(only_run(tmp_path / 'logs'), 'config.json') == before


def test_mirroring_changes_no_number_of_a_run(command, small_cifar, tmp_path):
    runs = []
    for mirror in ([], ['--mirror']):
        logs = tmp_path / ('logs%d' % len(mirror))
        command('train_cifar.py', '--net', 'dfn-mr', '--depth', 8, '--batch-size', 8, '--data-dir', small_cifar,
                '--no-verify', '--epochs', 1, '--log-dir', logs, *mirror, check=0)
        runs.append([read_bytes(only_run(logs), os.path.join('checkpoint-0001', name))
                     for name in ('model-0001.params', 'momentum.params')])
    assert runs[0] == runs[1]


def test_two_processes_in_one_run_directory_are_kept_apart(command, small_cifar, tmp_path):
    arguments = words(small_cifar, tmp_path / 'logs', '--epochs', '400')
    first = subprocess.Popen([sys.executable] + arguments, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        first.stdout.readline()  # it has its run directory
        assert 'another process is training' in one_line(command(*arguments))
    finally:
        first.kill()
        first.communicate()


def test_a_full_disk_is_one_line_and_loses_nothing(command, small_cifar, tmp_path):
    """RLIMIT_FSIZE stands for the disk: a checkpoint's files no longer fit."""
    arguments = words(small_cifar, tmp_path / 'logs', '--epochs', '2')
    command(*arguments, '--seed', '1', check=0)
    limit = 'import resource, signal, runpy, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); ' \
            'resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)); sys.argv = sys.argv[1:]; ' \
            'sys.path.insert(0, "."); runpy.run_path(sys.argv[0], run_name="__main__")'
    line = one_line(command('-c', limit, *arguments, '--seed', '2'))
    assert 'is the disk full?' in line
    run = str(tmp_path / 'logs' / 'cifar10' / 'plain-8' / 'batch8-epochs2-seed2')
    assert checkpoints(run) == []
    command(*arguments, '--seed', '2', check=0)  # with room again it goes through
    assert checkpoints(run)
