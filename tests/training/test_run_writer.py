"""The open run directory: what is written, resumed and refused."""

import logging
import os
import shutil

import pytest

from common.errors import UserError
from tests.training.configs import CONFIG, ROW, config, read
from training import run_directory
from training.run_writer import NoRunDirectory, RunDirectory


def test_a_new_run_has_no_outcome_and_its_config_on_the_disk(path):
    directory = RunDirectory(path, config())
    assert directory.outcome is None and read(path) == CONFIG == directory.config
    assert run_directory.status(read(path)) is None


def test_a_run_that_has_not_ended_is_resumed_which_is_recorded(path):
    RunDirectory(path, config())
    again = {**config(options={'checkpoint_minutes': 3}), 'command': 'python train.py --checkpoint-minutes 3'}
    assert RunDirectory(path, again).outcome is None
    found = read(path)
    assert found['command'] == CONFIG['command'] and found['options']['checkpoint_minutes'] == 10
    assert found['resumed'] == [{'command': again['command'], 'environment': again['environment']}]
    RunDirectory(path, config(options={'data_dir': 'moved'}))
    assert read(path)['options']['data_dir'] == 'moved'
    assert [one['command'] for one in read(path)['resumed']] == [again['command'], CONFIG['command']]


def test_a_run_that_has_ended_says_how_and_is_left_as_it_is(path):
    RunDirectory(path, config()).finish(status='finished', test_error=6.5)
    before = {name: read(path, name) for name in os.listdir(path)}
    directory = RunDirectory(path, {**config(), 'command': 'python again.py'})
    assert directory.outcome['status'] == 'finished' and directory.outcome['test_error'] == 6.5
    assert directory.outcome['peak_memory_mib'] > 10 and run_directory.status(directory.config) == 'finished'
    del directory  # which holds the lock
    assert before == {name: read(path, name) for name in os.listdir(path)}


def test_another_number_of_threads_is_worth_a_warning(path, capsys):
    RunDirectory(path, config())
    RunDirectory(path, config(environment={'threads': 2}))
    assert 'OMP_NUM_THREADS is 2, but the run began with 1' in capsys.readouterr().out
    assert 'but the run began with 1' in read(path, 'train.log')


@pytest.mark.parametrize(
    'began, expected',
    [
        (dict(processor='A', vectors='AVX-512'), 'this processor is A with AVX2, but the run began on A with AVX-512'),
        (dict(processor='B', vectors='AVX2'), 'this processor is A with AVX2, but the run began on B with AVX2'),
        (dict(processor='B'), 'this processor is A, but the run began on B'),  # older than the entry
        (dict(processor='A'), None),
        ({}, None),
        (dict(processor='A', vectors='AVX2'), None),
        (dict(processor='B', vectors='AVX2', devices=['gpu(0)']), None),
    ],
)
def test_another_kind_of_processor_is_worth_a_warning(path, capsys, began, expected):
    """oneDNN has other kernels for it, which sum in another order."""
    RunDirectory(path, config(environment=began))
    RunDirectory(path, config(environment={**began, 'processor': 'A', 'vectors': 'AVX2'}))
    out = capsys.readouterr().out
    assert expected in out if expected else 'this processor' not in out


@pytest.mark.parametrize('devices, warned', [(1, False), (2, False), (3, True)])
def test_another_order_of_the_sums_is_worth_a_warning(path, capsys, devices, warned):
    contexts = dict(devices=[f'cpu({number})' for number in range(devices)])
    RunDirectory(path, config(environment=contexts))
    RunDirectory(path, config(environment=contexts, options=dict(kv_store='device')))
    assert ('summed by --kv-store device, but the run began with local' in capsys.readouterr().out) == warned


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(options={'lr': 0.2}), r'\(lr 0.1 instead of 0.2\)'),
        (dict(options={'loss_scale': 8}), r'\(loss_scale 4 instead of 8\)'),  # older than the option
        (dict(environment={'devices': ['cpu(0)', 'cpu(1)']}), r'\(devices cpu instead of cpu,cpu\)'),
        (dict(environment={'devices': ['gpu(0)']}), r'\(devices cpu instead of gpu\)'),
        (dict(environment={'workers': 2}), r'\(workers 1 instead of 2\)'),
        (
            dict(dataset={'splits': {'train': {'content_sha256': 64 * '1'}, 'test': {'content_sha256': 64 * '0'}}}),
            r'\(data 0{12} instead of 1{12}\)',
        ),
        (
            dict(dataset={'splits': {'train': {'content_sha256': 64 * '0'}, 'test': {'content_sha256': 64 * '1'}}}),
            r'\(tested on 0{12} instead of 1{12}\)',
        ),
    ],
)
def test_another_run_is_refused_and_nothing_changes(path, change, message):
    RunDirectory(path, config())
    before = read(path)
    with pytest.raises(UserError, match=f'holds a run with another configuration {message}: choose another --log-dir'):
        RunDirectory(path, config(**change))
    assert read(path) == before


@pytest.mark.parametrize(
    'change',
    [
        dict(options={'kv_store': 'device'}),
        dict(options={'checkpoint_minutes': 3}),
        dict(options={'log_dir': 'elsewhere'}),
        dict(options={'mirror': True}),
        dict(options={'tensorboard': False}),
        dict(environment={'mxnet': '1.9.2'}),
        dict(options={'dtype': 'float32', 'loss_scale': 4}),
    ],
)
def test_what_changes_no_number_may_change(path, change):
    RunDirectory(path, config())
    assert RunDirectory(path, config(**change)).outcome is None


def test_two_runs_in_one_directory_are_kept_apart(path):
    """As two processes are: the lock belongs to an open file."""
    directory = RunDirectory(path, config())
    with pytest.raises(UserError, match='another process is training in'):
        RunDirectory(path, config())
    del directory
    assert RunDirectory(path, config()).outcome is None


def test_checkpoints_without_a_config_are_of_nobody_knows_what(path):
    for name, text in (
        ('metrics.csv', 'epoch\n'),
        ('train.log', 'epoch\n'),
        ('SHA256SUMS', 'x'),
        ('checkpoint-0001/x', ''),
    ):
        os.makedirs(os.path.dirname(os.path.join(path, name)))
        with open(os.path.join(path, name), 'w') as file:
            file.write(text)
        with pytest.raises(
            UserError, match=f'has {name.partition("/")[0]} but no config.json that says of what run: put'
        ):
            RunDirectory(path, config())
        shutil.rmtree(path)
    os.makedirs(path)
    with open(os.path.join(path, 'train.log'), 'w'):  # an earlier version was killed before it wrote config.json
        pass
    assert RunDirectory(path, config()).outcome is None


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot be made .*: choose another --log-dir'):
        RunDirectory(str(tmp_path / 'file' / 'run'), config())


def test_a_worker_that_keeps_no_directory_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directory = NoRunDirectory(config())
    directory.write_metrics([ROW])
    directory.finish(status='finished')
    directory.logger.error('nothing')
    assert directory.outcome is None and os.listdir(tmp_path) == [] and capsys.readouterr() == ('', '')
    assert directory.logger is not logging.getLogger('train')
