"""The training loop on noise: what a run leaves, and how it is interrupted, goes on to the same bits, or diverges."""

import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
from distributed.collectives import Collectives
import symbols
from symbols.analysis.summary import parameter_shapes
from symbols.ensemble import COMPONENTS
from tests.reference import predict, torch_nesterov, train_pass
from tests.runs import COLUMNS, checkpoints, end, only_run, read_bytes, read_csv, read_json, rewrite
from tests.training import noise
from tests.training.noise import Noise, at, fit, kill
from training import loop
from training.initializer import initial_parameters, initial_replicas
from training.optimizer import NesterovSGD
from training.replicas import Replicas


def load(run, epoch):
    """(weights, statistics) of a checkpoint, by MXNet's own loader, as arrays."""
    _, *arrays = mx.model.load_checkpoint(os.path.join(run, f'checkpoint-{epoch:04}', 'model'), epoch)
    return [{name: value.asnumpy() for name, value in of_kind.items()} for of_kind in arrays]


def loss_and_error(probabilities, labels):
    """In nats, and in percent."""
    return (
        -np.log(probabilities[np.arange(len(labels)), labels]).mean(),
        100 * (probabilities.argmax(axis=1) != labels).mean(),
    )


def signal_self(number):
    """A function that sends this process a signal."""
    return lambda: os.kill(os.getpid(), number)


def test_an_epoch_is_the_same_computed_by_hand(tmp_path):
    """Two devices: shards, sums, updates, merged statistics, and the row of metrics.csv are written out here."""
    words = [
        '--cpus',
        2,
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
        '--bn-momentum',
        0.7,
        '--net',
        'resnet',
    ]
    assert fit(tmp_path, *words) == 0
    weights, statistics = load(only_run(tmp_path), 1)

    symbol, (data, labels) = symbols.get_symbol('resnet', 8, bn_momentum=0.7), Noise().train
    order = noise.order_of(5, 1)
    start = initial_parameters(parameter_shapes(symbol, noise.IMAGE_SHAPE), 5)
    expected, gradients, running, outputs = start, [], [None, None], []
    for step, middle, stop in ((0, 4, 8), (8, 12, 16), (16, 19, 22)):
        shards = [order[step:middle], order[middle:stop]]
        done = [train_pass(symbol, expected, data[s], labels[s], before) for s, before in zip(shards, running)]
        outputs += [shard.outputs[0] for shard in done]
        # as if every batch had eight images: the mean over six is a sum that is divided by six
        gradients.append(
            {name: (done[0].gradients[name] + done[1].gradients[name]) * (8 / (stop - step)) for name in start}
        )
        running = [shard.statistics for shard in done]
        expected = {
            name: value.astype(np.float32)
            for name, value in torch_nesterov(start, gradients, [0.05] * len(gradients), 0.8, 0.01, 8).items()
        }
    for name, value in expected.items():
        np.testing.assert_allclose(weights[name], value, rtol=1e-3, atol=1e-4, err_msg=name)
    for name in running[0]:
        np.testing.assert_allclose(statistics[name], (running[0][name] + running[1][name]) / 2, rtol=1e-3, atol=1e-4)

    (row,) = read_csv(only_run(tmp_path))
    assert [float(row[name]) for name in ('train_loss', 'train_error')] == pytest.approx(
        loss_and_error(np.concatenate(outputs), labels[order]), rel=1e-3
    )
    test, test_labels = Noise().test
    assert [float(row[name]) for name in ('test_loss', 'test_error')] == pytest.approx(
        loss_and_error(predict(symbol, weights, statistics, test)[0], test_labels), rel=1e-4
    )


def test_a_run_leaves_its_metrics_log_and_checkpoints(tmp_path, capsys):
    assert fit(tmp_path, '--epochs', 5, '--seed', 3) == 0
    run, out = only_run(tmp_path), capsys.readouterr().out
    assert os.path.relpath(run, tmp_path) == os.path.join('noise', 'plain-8', 'epochs5-seed3')
    assert set(os.listdir(run)) == {'config.json', 'metrics.csv', 'train.log', 'SHA256SUMS', *checkpoints(run)}

    rows = read_csv(run)
    assert list(rows[0]) == COLUMNS and [row['epoch'] for row in rows] == list('12345')
    assert [float(row['lr']) for row in rows] == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.0001])
    assert all(float(row['images_per_second']) > 1 and float(row['seconds']) > 0 for row in rows)
    best = min(rows, key=lambda row: float(row['test_error']))['epoch']
    assert checkpoints(run) == sorted({'checkpoint-0004', 'checkpoint-0005', f'checkpoint-000{best}'})

    config = read_json(run)
    assert config['options']['lr'] == 0.1 and config['options']['net'] == 'plain' and config['parameters'] == 75290
    assert config['command'].startswith('python train_noise.py --log-dir') and config['dataset']['name'] == 'noise'
    assert config['dataset']['tested_on'] == 'test' and config['dataset']['splits'] == Noise().about
    outcome, errors = config['outcome'], [float(row['test_error']) for row in rows]
    assert outcome.pop('peak_memory_mib') > 10
    # a network that guesses at noise is a "fail", as in the paper
    assert outcome == {
        'status': 'finished',
        'epochs': 5,
        'test_error': errors[-1],
        'best_test_error': min(errors),
        'fail': errors[-1] > 50,
    }
    assert ('which the paper prints as "fail"' in out) == outcome['fail']
    assert f'finished: test error {errors[-1]:.2f} %' in out and '\r' not in out


def test_mxnets_parser_reads_the_log(tmp_path, monkeypatch):
    """By the expressions of its tools/parse_log.py, and those of its Speedometer's line."""
    monkeypatch.setattr(loop, 'LOG_EVERY', 2)
    fit(tmp_path)
    run = only_run(tmp_path)
    with open(os.path.join(run, 'train.log')) as file:
        lines = file.readlines()
    for expression, column in (
        (r'.*Epoch\[(\d+)\] Train-accuracy.*=([.\d]+)', 'train_error'),
        (r'.*Epoch\[(\d+)\] Validation-accuracy.*=([.\d]+)', 'test_error'),
        (r'.*Epoch\[(\d+)\] Time.*=([.\d]+)', 'seconds'),
    ):
        found = [match.groups() for match in (re.match(expression, line) for line in lines) if match]
        assert [int(epoch) for epoch, _ in found] == [0, 1]
        for (_, value), row in zip(found, read_csv(run)):
            expected = float(row[column]) if column == 'seconds' else 1 - float(row[column]) / 100
            assert float(value) == pytest.approx(expected, abs=2e-3)
    speeds = [re.search(r'Epoch\[(\d)\] Batch \[2\]\tSpeed: ([\d.]+) samples/sec\taccuracy=', line) for line in lines]
    assert [found.group(1) for found in speeds if found] == ['0', '1']


@pytest.mark.parametrize('cpus', [1, 2])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, cpus):
    """Killed before each step, with a checkpoint after every step or after every epoch."""
    words = ['--epochs', 3, '--cpus', cpus]
    fit(tmp_path / 'whole', *words)
    for every_step in (True, False):
        minutes = ['--checkpoint-minutes', '1e-9' if every_step else 10]
        killed = tmp_path / f'killed{every_step}'
        for place in [(1, 1), (1, 2), (2, 0), (2, 2), (3, 0), (3, 1)]:
            assert fit(killed, *words, *minutes, noise=Noise(at(*place, do=kill))) is None
        assert fit(killed, *words, *minutes) == 0
        run = only_run(killed)
        assert end(run) == end(only_run(tmp_path / 'whole'))
        assert len(read_json(run)['resumed']) == 6 and '.unfinished-checkpoint' not in os.listdir(run)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('place, position', [((1, 1), '0 epochs and 1 steps'), ((2, 2), '1 epochs and 2 steps')])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, capsys, number, place, position):
    """The loop prepares a batch while the step before it is under way, and ends after that step."""
    fit(tmp_path / 'whole')
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    stopped = tmp_path / 'stopped'
    assert fit(stopped, noise=Noise(at(*place, do=signal_self(number)))) == 128 + number
    assert handlers == [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    assert f'stopped and saved; go on with: python train_noise.py --log-dir {stopped}' in capsys.readouterr().out
    assert read_json(only_run(stopped))['outcome'] is None
    assert fit(stopped) == 0
    assert f'resumed after {position}' in capsys.readouterr().out
    assert end(only_run(stopped)) == end(only_run(tmp_path / 'whole'))


def test_a_checkpoint_says_where_the_run_stands_and_what_is_drawn_next(tmp_path):
    fit(tmp_path, '--seed', 3, noise=Noise(at(2, 2, do=signal_self(signal.SIGTERM))))
    run = only_run(tmp_path)
    progress = read_json(os.path.join(run, 'checkpoint-0001-00002'), 'progress.json')
    assert (progress['epoch'], progress['step'], progress['rate'], len(progress['rows'])) == (1, 2, 0.0001, 1)
    assert progress['options'] == read_json(run)['options'] and progress['tally']['seen'] == 16
    assert progress['generator'] == {
        'kind': 'numpy.random.RandomState([seed, epoch])',
        'seed': 3,
        'epoch': 2,
        'step': 2,
    }


def test_a_signal_in_the_last_step_or_the_evaluation_ends_the_run_after_the_epoch(tmp_path):
    class Late(Noise):
        def evaluation_batches(self, split, batch_size):
            signal_self(signal.SIGTERM)()
            return super().evaluation_batches(split, batch_size)

    assert fit(tmp_path, noise=Late()) == 128 + signal.SIGTERM
    run = only_run(tmp_path)
    assert checkpoints(run) == ['checkpoint-0001'] and len(read_csv(run)) == 1


def test_the_loop_saves_within_an_epoch_when_it_is_asked_to(tmp_path):
    """But not after the last step, because the end of an epoch has a checkpoint of its own."""
    seen = []
    watch = Noise(lambda epoch, step: seen.append(checkpoints(only_run(tmp_path))[-1:]))
    fit(tmp_path, '--epochs', 1, '--checkpoint-minutes', '1e-9', noise=watch)
    # a batch is prepared before the checkpoint of the step before it
    assert seen == [[], [], ['checkpoint-0000-00001']]
    assert checkpoints(only_run(tmp_path)) == ['checkpoint-0000-00002', 'checkpoint-0001']


def test_devices_begin_an_epoch_with_the_same_statistics(tmp_path):
    fit(tmp_path, '--cpus', 2)
    for name in checkpoints(only_run(tmp_path)):
        arrays = mx.nd.load(os.path.join(only_run(tmp_path), name, 'momentum.params'))
        one, two = (arrays[f'aux{device}:C_bn_moving_mean'].asnumpy() for device in (0, 1))
        np.testing.assert_array_equal(one, two)


def test_a_run_saves_only_at_the_end_of_an_epoch_otherwise(tmp_path):
    fit(tmp_path, '--epochs', 1)
    assert checkpoints(only_run(tmp_path)) == ['checkpoint-0001']


def test_a_training_loss_that_is_not_finite_ends_the_run_and_is_recorded(tmp_path, capsys):
    assert fit(tmp_path, '--lr', '1e18', '--epochs', 3) == 1
    out, run = capsys.readouterr().out, only_run(tmp_path)
    assert re.search(r'the training loss is not finite at epoch 1, step [23]: try a smaller --lr', out)
    outcome, last = read_json(run)['outcome'], read_csv(run)[-1]
    assert outcome['status'] == 'not finite' and outcome['fail'] is True and outcome['epoch'] == 1
    assert outcome['step'] in (2, 3) and checkpoints(run) == []
    assert last['epoch'] == '1' and last['train_loss'] in ('nan', 'inf')
    assert last['test_error'] == last['test_loss'] == ''
    assert fit(tmp_path, '--lr', '1e18', '--epochs', 3) == 1
    assert 'has ended: it diverged in epoch 1; delete it to begin again' in capsys.readouterr().out


def test_a_test_loss_that_is_not_finite_ends_the_run_too(tmp_path, capsys, monkeypatch):
    """The one step of an epoch has a finite loss; the weights after it give none."""
    monkeypatch.setattr(Replicas, 'find_not_finite', lambda replicas: None)
    assert fit(tmp_path, '--lr', '1e20', '--batch-size', 22) == 1
    assert 'the test loss is not finite after epoch' in capsys.readouterr().out
    run = only_run(tmp_path)
    assert read_json(run)['outcome']['status'] == 'not finite'
    assert np.isfinite(float(read_csv(run)[0]['train_loss'])) and read_csv(run)[-1]['test_error'] == ''


def test_a_weight_that_is_not_finite_ends_the_run_though_a_relu_hides_it(tmp_path, capsys, monkeypatch):
    merge = Replicas.merge_statistics

    def break_a_weight(replicas):
        merge(replicas)
        replicas.replicas[0].parameters['C_bn_gamma'][0] = np.nan

    monkeypatch.setattr(Replicas, 'merge_statistics', break_a_weight)
    assert fit(tmp_path, '--epochs', 2) == 1
    assert 'C_bn_gamma is not finite in epoch 1: try a smaller --lr' in capsys.readouterr().out
    run = only_run(tmp_path)
    assert read_json(run)['outcome']['status'] == 'not finite' and checkpoints(run) == []


def test_no_checkpoint_is_saved_within_an_epoch_of_weights_that_are_not_finite(tmp_path, capsys, monkeypatch):
    """It could not be read back, and would take the place of the sound ones."""
    step = NesterovSGD.step

    def break_a_weight(optimizer, *args):
        step(optimizer, *args)
        if len(taken) == 3:
            optimizer.replicas.replicas[0].parameters['C_bn_gamma'][0] = np.nan
        taken.append(args)

    taken = []
    monkeypatch.setattr(NesterovSGD, 'step', break_a_weight)
    assert fit(tmp_path, '--epochs', 1, '--batch-size', 4, '--checkpoint-minutes', '1e-9') == 1
    assert 'C_bn_gamma is not finite in epoch 1: try a smaller --lr' in capsys.readouterr().out
    assert checkpoints(only_run(tmp_path)) == ['checkpoint-0000-00002', 'checkpoint-0000-00003']


@pytest.mark.parametrize('device', [0, 1])
def test_the_statistics_of_every_device_are_looked_at(device):
    symbol = symbols.get_symbol('plain', 8)
    replicas = initial_replicas(
        lambda **_: symbol, [mx.cpu(0), mx.cpu(1)], noise.IMAGE_SHAPE, 1, Collectives('local', 2)
    )
    assert replicas.find_not_finite() is None
    replicas.replicas[device].statistics['C_bn_moving_var'][0] = np.inf
    assert replicas.find_not_finite() == 'C_bn_moving_var'


def test_a_finished_run_says_so_and_changes_nothing(tmp_path, capsys, monkeypatch):
    fit(tmp_path, '--epochs', 1)
    run = only_run(tmp_path)
    before = {name: read_bytes(run, name) for name in ('config.json', 'metrics.csv', 'train.log')}
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    capsys.readouterr()
    assert fit(tmp_path, '--epochs', 1, '--no-verify') == 0
    assert re.search(r'is done: test error \d+\.\d\d % after 1 epochs', capsys.readouterr().out)
    assert before == {name: read_bytes(run, name) for name in before}


def test_an_ensembles_rows_have_every_component_and_all_without_it(tmp_path):
    words = ['--net', 'ensemble', '--lr', '0.01', '--epochs', 1]
    fit(tmp_path, *words)
    run, (data, labels) = only_run(tmp_path), Noise().test
    (row,) = read_csv(run)
    found = predict(symbols.get_symbol('ensemble', 8), *load(run, 1), data)
    errors = [loss_and_error(probabilities, labels) for probabilities in found]
    assert len({error for _, error in errors}) > 2  # they differ, so a mix-up shows
    assert float(row['test_error']) == pytest.approx(loss_and_error(np.mean(found, axis=0), labels)[1])
    assert float(row['test_loss']) == pytest.approx(np.mean([loss for loss, _ in errors]), rel=1e-4)
    assert 1.5 < float(row['train_loss']) < 4  # the mean over components; eight of them together begin near 8 log 10
    for index, (path, (_, error)) in enumerate(zip(COMPONENTS, errors)):
        others = np.mean(found[:index] + found[index + 1 :], axis=0)
        assert float(row[f'test_error_{path}']) == pytest.approx(error)
        assert float(row[f'test_error_without_{path}']) == pytest.approx(loss_and_error(others, labels)[1])
    with open(os.path.join(run, 'train.log')) as file:
        assert f'Validation errors (%): LLL {float(row["test_error_LLL"]):.2f}, RLL' in file.read()


def test_an_ensemble_goes_on_with_the_errors_of_its_components(tmp_path):
    words = ['--net', 'ensemble', '--lr', '0.01']
    fit(tmp_path / 'whole', *words)
    fit(tmp_path / 'killed', *words, noise=Noise(at(2, 1, do=kill)))
    fit(tmp_path / 'killed', *words)
    assert end(only_run(tmp_path / 'killed')) == end(only_run(tmp_path / 'whole'))


def test_top_5_errors_are_shown_where_the_papers_tables_have_them(tmp_path):
    fit(tmp_path, noise=Noise(has_top5=True))
    row, *_ = read_csv(only_run(tmp_path))
    assert list(row) == [*COLUMNS[:6], 'train_top5_error', 'test_top5_error', *COLUMNS[6:]]
    assert 0 <= float(row['train_top5_error']) <= float(row['train_error']) <= 100
    with open(os.path.join(only_run(tmp_path), 'train.log')) as file:
        assert 'Epoch[0] Validation-top_k_accuracy_5=' in file.read()


def test_mirroring_changes_no_number_of_a_run_and_may_change_when_it_is_resumed(tmp_path):
    words = ['--net', 'dfn-mr']
    fit(tmp_path / 'without', *words)
    fit(tmp_path / 'with', *words, noise=Noise(at(2, 1, do=kill)))
    fit(tmp_path / 'with', *words, '--mirror')
    assert end(only_run(tmp_path / 'with')) == end(only_run(tmp_path / 'without'))


def test_a_run_made_before_some_options_existed_is_resumed(tmp_path):
    fit(tmp_path / 'whole')
    fit(tmp_path / 'old', noise=Noise(at(2, 1, do=kill)))
    run = only_run(tmp_path / 'old')
    config = read_json(run)
    for name in ('dtype', 'loss_scale', 'mirror', 'tensorboard', 'schedule'):
        del config['options'][name]
    rewrite(run, 'config.json', config)
    assert fit(tmp_path / 'old') == 0
    assert end(run) == end(only_run(tmp_path / 'whole'))


def test_workers_with_other_images_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Collectives, 'broadcast_object', lambda self, value: 'f' * 12 if value == '0' * 12 else value)
    with pytest.raises(UserError, match='has other images to train on than worker 0'):
        fit(tmp_path)


def test_a_last_batch_smaller_than_the_devices_makes_no_directory(tmp_path):
    with pytest.raises(
        UserError, match='the last batch of an epoch has 6 images, which cannot be split over 7 devices'
    ):
        fit(tmp_path / 'logs', '--cpus', 7)
    assert not (tmp_path / 'logs').exists()


def test_a_terminal_shows_a_progress_bar(tmp_path, monkeypatch):
    """A pseudoterminal of 80 columns stands for standard error; what is written there is read as it comes."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('4H', 24, 80, 0, 0))  # a new one has no columns
    shown = []

    def read():
        while True:
            try:
                shown.append(os.read(master, 4096))
            except OSError:  # the other end is closed
                return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, 'w') as terminal, monkeypatch.context() as patched:
        patched.setattr(sys, 'stderr', terminal)
        fit(tmp_path, noise=Noise(lambda epoch, step: time.sleep(0.15)))  # the bar is drawn every 0.1 s
    reader.join()
    os.close(master)
    text = b''.join(shown)
    for part in (b'epoch 1/2', b'epoch 2/2', b'img/s', b' left', b'error'):
        assert part in text
    assert max(len(line) for line in re.split('[\r\n]', text.decode())) <= 80


def test_without_a_terminal_there_is_no_bar(tmp_path, capsys):
    fit(tmp_path)
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize(
    'seconds, expected',
    [
        (20, 'less than a minute'),
        (60, 'about a minute'),
        (1800, 'about 30 min'),
        (7200, 'about 2.0 h'),
        (40000, 'about 11 h'),
    ],
)
def test_a_duration_in_words(seconds, expected):
    assert loop.duration(seconds) == expected


def test_a_run_tells_once_how_long_it_will_take(tmp_path, monkeypatch):
    """By the steps after the first ones; here the clock goes on by a second with each batch."""
    monkeypatch.setattr(loop, 'WARM_UP', 2)
    monkeypatch.setattr(loop, 'TIMED', 3)
    clock = SimpleNamespace(monotonic=lambda: clock.time, time=0.0)
    monkeypatch.setattr(loop, 'time', clock)

    def tick(epoch, step):
        clock.time += 1

    fit(tmp_path, '--epochs', 3, noise=Noise(tick))
    with open(os.path.join(only_run(tmp_path), 'train.log')) as file:
        lines = [line for line in file if 'to go on this machine' in line]
    assert len(lines) == 1 and 'less than a minute to go on this machine, at 7 images/s' in lines[0]  # 22 in 3 s
