"""Checkpoints: what is in them, that all of it is put back, which are kept, and damage."""

import os
import resource
import signal

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
import symbols
from training import checkpoint, devices
from training.initializer import initial_replicas
from training.optimizer import NesterovSGD
from training.replicas import outputs

SHAPE = (3, 8, 8)
SYMBOL = symbols.get_symbol('plain', 8)
PROGRESS = {'epoch': 1, 'step': 2, 'rows': [], 'tally': {'loss': 0.5}}


def network(**_):
    return SYMBOL


def make(steps=0, cpus=2):
    """(replicas, optimizer) after some steps on noise."""
    replicas = initial_replicas(network, devices.contexts(cpus=cpus), SHAPE)
    optimizer, random = NesterovSGD(replicas), np.random.RandomState(0)
    for _ in range(steps):
        parts = [(random.randn(4, *SHAPE).astype(np.float32), np.arange(4, dtype=np.float32)) for _ in range(cpus)]
        outputs(replicas.gradients(parts))
        optimizer.step(0.1, 4 * cpus)
    return replicas, optimizer


def arrays(replicas, optimizer):
    """Everything that training changes, of each device."""
    statistics = replicas.statistics()
    return [
        {
            **{f'weight {name}': value.asnumpy() for name, value in replica.parameters.items()},
            **{f'momentum {name}': value.asnumpy() for name, value in buffers.arrays.items()},
            **{f'statistic {name}': value for name, value in own.items()},
        }
        for replica, buffers, own in zip(replicas.replicas, optimizer.buffers, statistics, strict=True)
    ]


@pytest.fixture
def saved(tmp_path):
    """(folder of a checkpoint in the middle of an epoch, what was trained)."""
    trained = make(steps=3)
    checkpoint.save(str(tmp_path), SYMBOL, *trained, PROGRESS)
    (folder,) = checkpoint.find(str(tmp_path))
    return folder, trained


def test_all_that_was_trained_is_put_back_on_every_device(saved):
    folder, trained = saved
    replicas, optimizer = make(steps=1)  # some others
    assert checkpoint.restore(folder, replicas, optimizer)['tally'] == {'loss': 0.5}
    assert optimizer.learning_rate == 0.1
    for found, expected in zip(arrays(replicas, optimizer), arrays(*trained), strict=True):
        assert set(found) == set(expected)
        for name in found:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_within_an_epoch_the_devices_statistics_differ_and_the_network_has_their_mean(saved):
    folder, _ = saved
    assert sorted(os.listdir(folder)) == ['model-0001.params', 'model-symbol.json', 'momentum.params', 'progress.json']
    kept = mx.nd.load(os.path.join(folder, 'momentum.params'))
    one, two = (kept[f'aux{device}:C_bn_moving_mean'].asnumpy() for device in (0, 1))
    assert (one != two).any()
    _, _, statistics = checkpoint.load_model(folder)
    assert statistics['C_bn_moving_mean'].asnumpy() == pytest.approx((one + two) / 2, rel=1e-6)
    assert {name.partition(':')[0] for name in kept} == {'momentum', 'aux0', 'aux1'}


def test_a_checkpoint_is_mxnets(saved):
    prefix = os.path.join(saved[0], 'model')
    symbol, arguments, statistics = mx.model.load_checkpoint(prefix, 1)
    assert symbol.tojson() == SYMBOL.tojson()  # as drawn, whatever the form that is trained
    assert set(arguments) == set(symbol.list_arguments()) - {'data', 'softmax_label'}
    assert set(statistics) == set(symbol.list_auxiliary_states())
    block = mx.gluon.SymbolBlock.imports(f'{prefix}-symbol.json', ['data', 'softmax_label'], f'{prefix}-0001.params')
    assert block(mx.nd.zeros((2, *SHAPE)), mx.nd.zeros(2)).shape == (2, 10)


def test_a_checkpoint_that_is_there_already_is_left_as_it_is(saved):
    folder, _ = saved
    before = os.stat(os.path.join(folder, 'progress.json')).st_mtime_ns
    checkpoint.save(os.path.dirname(folder), SYMBOL, *make(), PROGRESS)
    assert os.stat(os.path.join(folder, 'progress.json')).st_mtime_ns == before


@pytest.mark.parametrize(
    'name, epoch, step',
    [('checkpoint-0008', 8, 0), ('checkpoint-0008-00412', 8, 412), ('checkpoint-12345-123456', 12345, 123456)],
)
def test_names(name, epoch, step):
    assert checkpoint.folder_name(epoch, step) == name and checkpoint.position(f'logs/{name}') == (epoch, step)


def test_checkpoints_are_found_in_the_order_of_training(tmp_path):
    names = ['checkpoint-0001', 'checkpoint-0001-00002', 'checkpoint-0001-00010', 'checkpoint-0002', 'checkpoint-10000']
    for name in [*reversed(names), '.unfinished-checkpoint', 'checkpoint-0003.old']:
        os.mkdir(tmp_path / name)
    assert [os.path.basename(path) for path in checkpoint.find(str(tmp_path))] == names


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    trained, errors = make(cpus=1), [40, 20, 30, 20, 25]
    for epoch in range(1, 6):
        rows = [{'epoch': number, 'test_error': error} for number, error in enumerate(errors[:epoch], 1)]
        checkpoint.save(str(tmp_path), SYMBOL, *trained, {'epoch': epoch, 'step': 0, 'rows': rows})
    checkpoint.save(str(tmp_path), SYMBOL, *trained, {'epoch': 5, 'step': 1, 'rows': rows})
    assert [checkpoint.position(folder) for folder in checkpoint.find(str(tmp_path))] == [(2, 0), (5, 0), (5, 1)]


@pytest.mark.parametrize(
    'name, damage',
    [
        ('momentum.params', lambda content: content[:1000]),
        ('progress.json', lambda content: content[:100]),
        ('model-0001.params', lambda content: content[:5000] + b'x' * 64 + content[5064:]),
    ],
)
def test_damage_is_noticed(saved, name, damage):
    folder, _ = saved
    path = os.path.join(folder, name)
    with open(path, 'rb') as file:
        content = file.read()
    with open(path, 'wb') as file:
        file.write(damage(content))
    with pytest.raises(UserError, match='checkpoint-0001-00002 is damaged: delete it to go on'):
        checkpoint.load_progress(folder)
    os.remove(path)
    with pytest.raises(UserError, match='is damaged'):
        checkpoint.load_progress(folder)


def test_a_full_disk_loses_nothing(saved):
    """RLIMIT_FSIZE stands for the disk: a checkpoint's files no longer fit."""
    folder, trained = saved
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    later = {**PROGRESS, 'step': 3}
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100000, limits[1]))
        with pytest.raises(UserError, match='cannot be written: is the disk full'):
            checkpoint.save(os.path.dirname(folder), SYMBOL, *trained, later)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert checkpoint.find(os.path.dirname(folder)) == [folder] and checkpoint.load_progress(folder)['step'] == 2
    checkpoint.save(os.path.dirname(folder), SYMBOL, *trained, later)  # with room again it goes through
    assert len(checkpoint.find(os.path.dirname(folder))) == 2 and not os.path.exists(
        os.path.join(os.path.dirname(folder), '.unfinished-checkpoint')
    )


def test_files_that_are_no_network(saved, tmp_path):
    symbol, params = (os.path.join(saved[0], name) for name in ('model-symbol.json', 'model-0001.params'))
    (tmp_path / 'text').write_text('text')
    with pytest.raises(UserError, match='there is no file x.json'):
        checkpoint.load_files('x.json', params)
    for pair in ((str(tmp_path / 'text'), params), (symbol, str(tmp_path / 'text'))):
        with pytest.raises(UserError, match='cannot be read: truncated, or not a '):
            checkpoint.load_files(*pair)
    mx.nd.save(str(tmp_path / 'list.params'), [mx.nd.ones(3)])
    mx.nd.save(str(tmp_path / 'other.params'), {'weight': mx.nd.ones(3)})
    for name in ('list.params', 'other.params'):
        with pytest.raises(UserError, match='is not a checkpoint of a symbol: its arrays are not named arg:'):
            checkpoint.load_files(symbol, str(tmp_path / name))
