"""Checkpoints: what is in them, that all of it is put back, which are kept, and damage."""

import ctypes
import json
import os
from random import Random
import resource
import signal
import subprocess

import numpy as np
import pytest

from common import sums
from common.errors import UserError
from common.files import file_digest
from common.mxnet import mx
from common.sums import Damaged
import symbols
from tests.faults import damages
from tests.faults.damages import DAMAGES
from tests.runs import read_bytes, read_json
from training import checkpoint, devices
from training.initializer import initial_replicas
from training.optimizer import NesterovSGD
from training.replicas import outputs

SHAPE = (3, 8, 8)
FILES = ['model-0001.params', 'model-symbol.json', 'momentum.params', 'progress.json', 'SHA256SUMS']
SYMBOL = symbols.get_symbol('plain', 8)
ROWS = [{'epoch': epoch, 'test_error': error} for epoch, error in enumerate([40, 20, 30, 20, 25], 1)]
TALLY = {'loss': 0.5, 'wrong': 3, 'seen': 8, 'wrong5': 1}
PROGRESS = {'epoch': 1, 'step': 2, 'rows': ROWS[:1], 'tally': TALLY, 'seconds': 1.5}
AT_ITS_END = {'tally': dict.fromkeys(TALLY, 0), 'seconds': 0.0}  # of an epoch


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


@pytest.fixture
def other(tmp_path):
    """The folder of another run's checkpoint at the same place."""
    (tmp_path / 'other').mkdir()
    checkpoint.save(str(tmp_path / 'other'), SYMBOL, *make(steps=2), {**PROGRESS, 'seconds': 2.5})
    (folder,) = checkpoint.find(str(tmp_path / 'other'))
    return folder


def test_all_that_was_trained_is_put_back_on_every_device(saved):
    folder, trained = saved
    replicas, optimizer = make(steps=1)  # some others
    state = checkpoint.load(folder, replicas)
    checkpoint.restore(state, replicas, optimizer)
    assert state.progress['tally'] == TALLY
    assert optimizer.learning_rate == 0.1
    for found, expected in zip(arrays(replicas, optimizer), arrays(*trained), strict=True):
        assert set(found) == set(expected)
        for name in found:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


class Mallinfo2(ctypes.Structure):
    """What glibc tells of its heap (malloc.h); `uordblks` are the bytes in use."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in 'arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost'.split()
    ]


def test_saving_keeps_no_memory(tmp_path):
    """MXNet's Symbol.save keeps a copy of the graph, here 20 KiB, unless it is told not to."""
    mallinfo2, trained, in_use = ctypes.CDLL(None).mallinfo2, make(), []
    mallinfo2.restype = Mallinfo2
    for epoch in range(60):
        checkpoint.save(str(tmp_path), SYMBOL, *trained, {**PROGRESS, 'epoch': epoch, 'step': 0})
        in_use.append(mallinfo2().uordblks)
    assert np.median(in_use[-10:]) - np.median(in_use[10:20]) < 40 * 4096


def test_within_an_epoch_the_devices_statistics_differ_and_the_network_has_their_mean(saved):
    folder, _ = saved
    assert sorted(os.listdir(folder)) == sorted(FILES)
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
    trained = make(cpus=1)
    for epoch in range(1, 6):
        checkpoint.save(
            str(tmp_path), SYMBOL, *trained, {'epoch': epoch, 'step': 0, 'rows': ROWS[:epoch], **AT_ITS_END}
        )
    checkpoint.save(str(tmp_path), SYMBOL, *trained, {**PROGRESS, 'epoch': 5, 'step': 1, 'rows': ROWS})
    assert [checkpoint.position(folder) for folder in checkpoint.find(str(tmp_path))] == [(2, 0), (5, 0), (5, 1)]


def as_an_earlier_version(folder):
    """Rewrite a checkpoint as format 1: without SHA256SUMS, and the digests of the others in progress.json."""
    progress = read_json(folder, 'progress.json')
    del progress['format']
    digests = {name: file_digest(os.path.join(folder, name), 'sha256') for name in FILES[:3]}
    os.remove(os.path.join(folder, 'SHA256SUMS'))
    with open(os.path.join(folder, 'progress.json'), 'w') as file:
        json.dump({**progress, 'sha256': digests}, file, indent=1)


def bytes_of(folder):
    return {name: read_bytes(folder, name) for name in os.listdir(folder)}


@pytest.mark.parametrize('old', [False, True])
def test_sha256sum_and_we_find_a_checkpoint_intact(saved, old):
    folder, trained = saved
    if old:
        as_an_earlier_version(folder)
    else:
        subprocess.run(['sha256sum', '--check', '--strict', 'SHA256SUMS'], cwd=folder, check=True, capture_output=True)
    assert checkpoint.load(folder, trained[0]).progress['rows'] == ROWS[:1]
    checkpoint.load_model(folder)


@pytest.mark.parametrize('old', [False, True])
@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('name', FILES)
def test_every_damage_is_noticed(saved, other, name, damage, old):
    folder, trained = saved
    if old:
        as_an_earlier_version(folder)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        pytest.skip('format 1 has no such file')
    before = bytes_of(folder)
    done = DAMAGES[damage](path, Random(f'{name} {damage}'), os.path.join(other, name))
    if bytes_of(folder) == before:
        pytest.skip('both runs have the same file')
    if old and name == 'progress.json' and damage in ('digit changed', 'one bit flipped'):
        pytest.skip('format 1 has no digest of it: see the next test')
    with pytest.raises(Damaged):
        checkpoint.load(folder, trained[0])
    if name.startswith('model-'):
        with pytest.raises(UserError):
            print(done, checkpoint.load_model(folder))


def flips(path, numbers):
    for number in numbers:
        damages.flip_bit(path, number)
        yield number
        damages.flip_bit(path, number)


@pytest.mark.parametrize('every', [37, pytest.param(1, marks=pytest.mark.slow)])
def test_every_bit_of_progress_is_noticed(saved, every):
    folder, _ = saved
    path = os.path.join(folder, 'progress.json')
    for number in flips(path, range(0, 8 * os.path.getsize(path), every)):
        with pytest.raises(Damaged):
            print(number, checkpoint.read_progress(folder))
    checkpoint.read_progress(folder)


@pytest.mark.parametrize('every', [37, pytest.param(1, marks=pytest.mark.slow)])
def test_no_bit_of_an_earlier_versions_progress_moves_it_or_gives_a_traceback(saved, every):
    folder, _ = saved
    as_an_earlier_version(folder)
    path = os.path.join(folder, 'progress.json')
    for _ in flips(path, range(0, 8 * os.path.getsize(path), every)):
        try:
            progress = checkpoint.read_progress(folder, [checkpoint.SYMBOL])
        except Damaged:
            continue
        assert (progress['epoch'], progress['step'], len(progress['rows'])) == (1, 2, 1)
        assert progress['tally']['seen'] >= progress['tally']['wrong'] >= 0 and 0 <= progress['rate'] < np.inf


@pytest.mark.parametrize(
    'change',
    [
        dict(epoch=2),
        dict(step=3),
        dict(epoch=True),
        dict(rows=[]),
        dict(rows=[{'epoch': 2, 'test_error': 40}]),
        dict(rows=[{'epoch': 1, 'test_error': float('nan')}]),
        dict(rows=[{'epoch': 1, 'test_error': '40'}]),
        dict(rows=[[]]),
        dict(rows=None),
        dict(tally={**TALLY, 'wrong': 9}),
        dict(tally={**TALLY, 'seen': 0, 'wrong': 0, 'wrong5': 0}),
        dict(tally={**TALLY, 'loss': float('inf')}),
        dict(tally={**TALLY, 'seen': 8.0}),
        dict(tally={}),
        dict(seconds=-1.0),
        dict(rate=float('nan')),
        dict(rate=10**400),
        dict(rate=None),
        dict(sha256={}),
        dict(sha256=[]),
        dict(format=2),
    ],
)
def test_an_earlier_versions_progress_that_cannot_be_is_refused(saved, change):
    folder, _ = saved
    as_an_earlier_version(folder)
    progress = {**read_json(folder, 'progress.json'), **change}
    with open(os.path.join(folder, 'progress.json'), 'w') as file:
        json.dump(progress, file)
    with pytest.raises(Damaged):
        checkpoint.read_progress(folder, [checkpoint.SYMBOL])


@pytest.mark.parametrize(
    'content', [b'', b'{', b'[]', b'null', b'"text"', b'\xff\xfe{', b'[' * 100000, b'{"rows": 1e999}']
)
def test_what_is_no_progress_at_all_is_refused(saved, content):
    folder, _ = saved
    os.remove(os.path.join(folder, 'SHA256SUMS'))
    with open(os.path.join(folder, 'progress.json'), 'wb') as file:
        file.write(content)
    with pytest.raises(Damaged, match='checkpoint-0001-00002 is damaged: '):
        checkpoint.read_progress(folder)


@pytest.mark.parametrize('old', [False, True])
def test_a_checkpoint_under_another_name_is_damaged(saved, old):
    """It would be taken for later or earlier than it is."""
    folder, _ = saved
    if old:
        as_an_earlier_version(folder)
    os.rename(folder, folder + '0')
    with pytest.raises(Damaged, match='progress.json does not belong to this position'):
        checkpoint.read_progress(folder + '0')


def spoil(folder, name, change, **more):
    """Change the arrays in a file, and make the digests right again."""
    path = os.path.join(folder, name)
    arrays = {**mx.nd.load(path), **more}
    mx.nd.save(
        path,
        {
            name: value
            for name, value in ((name, change(name, value)) for name, value in arrays.items())
            if value is not None
        },
    )
    sums.write(folder, [name for name in FILES if name != 'SHA256SUMS'])


@pytest.mark.parametrize('number', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    'name, array',
    [
        ('model-0001.params', 'arg:C_conv_weight'),
        ('model-0001.params', 'aux:C_bn_moving_var'),
        ('momentum.params', 'momentum:C_conv_weight'),
        ('momentum.params', 'aux1:C_bn_moving_mean'),
    ],
)
def test_a_number_that_is_not_finite_is_refused_by_name(saved, name, array, number):
    def change(name, value):
        if name == array:
            value.reshape(-1)[1] = number
        return value

    folder, trained = saved
    spoil(folder, name, change)
    with pytest.raises(Damaged, match=f'{name} cannot be read: .*{array} has values that are not finite'):
        checkpoint.load(folder, trained[0])
    if name.startswith('model'):
        with pytest.raises(UserError, match=f'{array} has values that are not finite'):
            checkpoint.load_model(folder)


@pytest.mark.parametrize('name, prefix', [('model-0001.params', 'arg:'), ('momentum.params', 'momentum:')])
@pytest.mark.parametrize(
    'change, message',
    [
        (lambda value: None, 'C_conv_weight is missing, should be'),
        (lambda value: value.reshape(-1), 'C_conv_weight is .*, should be'),
        (lambda value: value.astype('float16'), 'is of type float16'),
        (lambda value: value.reshape((16, -1)).tostype('row_sparse'), 'is sparse'),
    ],
)
def test_arrays_that_do_not_fit_are_refused(saved, name, prefix, change, message):
    folder, trained = saved
    spoil(folder, name, lambda array, value: change(value) if array == f'{prefix}C_conv_weight' else value)
    with pytest.raises(Damaged, match=message):
        checkpoint.load(folder, trained[0])


def test_an_array_too_many_and_devices_too_few_are_refused(saved):
    folder, trained = saved
    with pytest.raises(Damaged, match='aux1:.* should be missing'):
        checkpoint.load(folder, make(cpus=1)[0])
    with pytest.raises(Damaged, match='aux2:.* is missing, should be'):
        checkpoint.load(folder, make(cpus=3)[0])


def test_the_newest_that_is_intact_is_found_and_nothing_is_renamed(tmp_path):
    trained = make(steps=1, cpus=1)
    for epoch in (2, 3, 4):  # of which the second is the best
        checkpoint.save(
            str(tmp_path), SYMBOL, *trained, {'epoch': epoch, 'step': 0, 'rows': ROWS[:epoch], **AT_ITS_END}
        )
    first, second, third = checkpoint.find(str(tmp_path))
    os.truncate(os.path.join(third, 'momentum.params'), 100)
    state, damaged = checkpoint.newest_intact(str(tmp_path), trained[0])
    assert state.folder == second and damaged == [
        (third, f'{third} is damaged: momentum.params is not as it was written')
    ]
    os.remove(os.path.join(second, 'progress.json'))
    state, damaged = checkpoint.newest_intact(str(tmp_path), trained[0], lambda progress: None)
    assert state.folder == first and [folder for folder, _ in damaged] == [third, second]
    with pytest.raises(UserError, match='and no other checkpoint is intact: put one back from a copy, or delete'):
        checkpoint.newest_intact(str(tmp_path), trained[0], lambda progress: 'it is of another run')
    assert len(checkpoint.find(str(tmp_path))) == 3


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path):
    assert checkpoint.newest_intact(str(tmp_path), None) == (None, [])


def test_damaged_ones_are_set_aside_and_none_is_overwritten(tmp_path):
    for number in range(3):
        (tmp_path / 'checkpoint-0001').mkdir()
        (tmp_path / 'checkpoint-0001' / 'file').write_text(str(number))
        assert os.path.isdir(checkpoint.set_aside(str(tmp_path / 'checkpoint-0001')))
    names = ['damaged-checkpoint-0001', 'damaged-checkpoint-0001.2', 'damaged-checkpoint-0001.3']
    assert sorted(os.listdir(tmp_path)) == names and checkpoint.find(str(tmp_path)) == []
    assert [(tmp_path / name / 'file').read_text() for name in names] == ['0', '1', '2']


def test_a_full_disk_loses_nothing(saved):
    """RLIMIT_FSIZE stands for the disk: a checkpoint's files no longer fit."""
    folder, trained = saved
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    later = {**PROGRESS, 'step': 3}
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100000, limits[1]))
        with pytest.raises(UserError, match='cannot be written .is the disk full'):
            checkpoint.save(os.path.dirname(folder), SYMBOL, *trained, later)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert checkpoint.find(os.path.dirname(folder)) == [folder] and checkpoint.read_progress(folder)['step'] == 2
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


def test_a_path_names_a_checkpoint_or_the_newest_one_of_a_run(tmp_path):
    for name in ('checkpoint-0001', 'checkpoint-0002-00007', 'checkpoint-0002-00007.old', 'damaged-checkpoint-0003'):
        (tmp_path / name).mkdir()
    assert checkpoint.resolve(str(tmp_path)) == str(tmp_path / 'checkpoint-0002-00007')
    assert checkpoint.resolve(f'{tmp_path}/checkpoint-0001/') == str(tmp_path / 'checkpoint-0001')
    for other in ('checkpoint-0002-00007.old', 'damaged-checkpoint-0003', 'checkpoint-0009'):
        assert checkpoint.resolve(str(tmp_path / other)) is None
