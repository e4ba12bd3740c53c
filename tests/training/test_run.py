"""A run before it begins: its options, devices and directory, and what is found there."""

import functools
import os
import subprocess

import pytest

from common import mxnet
from common.errors import UserError
from common.mxnet import mx
import symbols
from tests.runs import only_run, read_json, rewrite
from tests.training.noise import fit, open_noise
from training import symbol_file
import training.run


def write_outcome(log_dir, outcome):
    """Give the one run of a log directory another outcome."""
    rewrite(only_run(log_dir), 'config.json', {**read_json(only_run(log_dir)), 'outcome': outcome})


def test_a_new_run_has_no_outcome_and_nothing_is_made(tmp_path):
    run = open_noise(tmp_path / 'logs', '--cpus', 2, '--lr', 0.2, '--epochs', 3)
    assert run.outcome is None and not (tmp_path / 'logs').exists()
    assert run.directory == str(tmp_path / 'logs' / 'noise' / 'plain-8' / 'lr0.2-cpus2-epochs3-seed1')
    assert run.contexts == [mx.cpu(0), mx.cpu(1)] and run.shard == (0, 2, 2)
    assert run.config['command'] == f'python train_noise.py --log-dir {tmp_path}/logs --cpus 2 --lr 0.2 --epochs 3'
    assert run.config['outcome'] is None and run.config['options'] == vars(run.args)
    assert run.args.kv_store == 'local' and run.args.dataset == 'noise'
    environment = run.config['environment']
    assert environment['devices'] == ['cpu(0)', 'cpu(1)'] and environment['workers'] == 1
    assert environment['mxnet'] == '1.9.1' and environment['threads'] == int(os.environ['OMP_NUM_THREADS'])
    assert environment['commit'] is None or len(environment['commit'].removesuffix('-dirty')) == 40


def test_the_commit_is_the_codes_own(tmp_path, monkeypatch):
    """A copy without .git may lie in a checkout of something else."""
    file = tmp_path / 'copy' / 'training' / 'run.py'
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setattr(training.run, '__file__', str(file))
    git = ['git', '-c', 'user.name=x', '-c', 'user.email=x', '-C']
    for root, expected in ((tmp_path, None), (tmp_path / 'copy', 40)):
        subprocess.run([*git, root, 'init', '-q'], check=True)
        subprocess.run([*git, root, 'commit', '-q', '--allow-empty', '-m', 'x'], check=True)
        commit = training.run._commit()
        assert (commit and len(commit)) == expected


@pytest.mark.parametrize(
    'outcome, status, text',
    [
        (
            {'status': 'finished', 'test_error': 6.484, 'epochs': 400, 'fail': False},
            0,
            'is done: test error 6.48 % after 400 epochs\n',
        ),
        (
            {'status': 'finished', 'test_error': 90, 'epochs': 1, 'fail': True},
            0,
            'is done: test error 90.00 % after 1 epochs (a "fail")\n',
        ),
        (
            {'status': 'not finite', 'epoch': 3, 'step': 1, 'fail': True},
            1,
            'has ended: it diverged in epoch 3; delete it to begin again\n',
        ),
    ],
)
def test_a_run_that_has_ended_is_recognized_before_the_data_is_read(tmp_path, capsys, outcome, status, text):
    fit(tmp_path, '--epochs', 1)
    write_outcome(tmp_path, outcome)
    run = open_noise(tmp_path, '--epochs', 1)
    capsys.readouterr()
    assert run.outcome == outcome and run.report(outcome) == status
    assert capsys.readouterr().out == f'{only_run(tmp_path)} {text}'
    # its images may have changed, and have to be read first
    assert open_noise(tmp_path, '--epochs', 1, '--no-verify').outcome is None


def test_a_run_that_is_not_over_has_no_outcome(tmp_path):
    fit(tmp_path, '--epochs', 1)
    write_outcome(tmp_path, None)
    before = read_json(only_run(tmp_path))
    assert open_noise(tmp_path, '--epochs', 1).outcome is None and read_json(only_run(tmp_path)) == before


def test_another_run_in_the_directory_is_refused(tmp_path):
    fit(tmp_path, '--epochs', 1)
    config = read_json(only_run(tmp_path))
    config['options']['loss_scale'] = 8
    rewrite(only_run(tmp_path), 'config.json', config)
    with pytest.raises(UserError, match='holds a run with another configuration .loss_scale 8 instead of 4'):
        open_noise(tmp_path, '--epochs', 1)


def test_options_that_do_not_go_together_are_refused_before_anything_else(tmp_path):
    for words, message in (
        (['--dtype', 'float16'], '--dtype float16 needs --gpus'),
        (['--gpus', '0'], 'no CUDA'),
        (['--kv-store', 'dist_sync'], 'start them with python -m distributed.launch'),
    ):
        with pytest.raises(UserError, match=message):
            open_noise(tmp_path / 'logs', *words)
    assert not (tmp_path / 'logs').exists()


@pytest.mark.parametrize(
    'net, depth, dtype, mirror, message',
    [
        ('plain', 9, 'float32', False, 'depth 9 is not 6n'),
        ('plain', 8, 'float32', True, 'this network has no branches, so there is nothing to --mirror'),
        ('gluoncv:cifar_resnet20_v1', None, 'float16', False, 'are computed in float32: leave out --dtype float16'),
    ],
)
def test_a_network_is_refused_in_the_form_that_would_be_trained(tmp_path, net, depth, dtype, mirror, message):
    run = open_noise(tmp_path)
    run.args.dtype, run.args.mirror = dtype, mirror
    with pytest.raises(UserError, match=message):
        run.check(functools.partial(symbols.get_symbol, net, depth), symbols.IMAGE_SHAPE)


def test_a_network_that_could_not_be_read_back_is_refused(tmp_path, monkeypatch):
    network = functools.partial(symbols.get_symbol, 'plain', 8)
    open_noise(tmp_path).check(network, symbols.IMAGE_SHAPE)
    monkeypatch.setattr(symbol_file, 'MAX_ARRAYS', 10**5)
    with pytest.raises(UserError, match='plain 8 has 0.0 GiB of weights: no more than 0 are read here'):
        open_noise(tmp_path).check(network, symbols.IMAGE_SHAPE)
    monkeypatch.setattr(symbol_file, 'MAX_NODES', 50)
    with pytest.raises(UserError, match='plain 8 is not a network that is read here: it needs a list of up to 50'):
        open_noise(tmp_path).check(network, symbols.IMAGE_SHAPE)


def test_a_log_dir_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    network = functools.partial(symbols.get_symbol, 'plain', 8)
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='cannot be made: .*/file is not a folder; choose another --log-dir'):
        open_noise(tmp_path / 'file' / 'logs').check(network, symbols.IMAGE_SHAPE)
    with pytest.raises(UserError, match='the name x+ is too long'):
        open_noise(tmp_path / ('x' * 256)).check(network, symbols.IMAGE_SHAPE)
    monkeypatch.setattr(os, 'access', lambda place, mode: place != str(tmp_path))  # root may write anywhere
    with pytest.raises(UserError, match='you may not write to .*; choose another --log-dir'):
        open_noise(tmp_path / 'new' / 'logs').check(network, symbols.IMAGE_SHAPE)
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_more_devices_than_images_in_a_batch_are_refused(tmp_path):
    network = functools.partial(symbols.get_symbol, 'plain', 8)
    open_noise(tmp_path, '--cpus', 8, '--batch-size', 8).check(network, symbols.IMAGE_SHAPE)
    with pytest.raises(UserError, match='leaves some of 9 devices without an image: choose 9 or more'):
        open_noise(tmp_path, '--cpus', 9, '--batch-size', 8).check(network, symbols.IMAGE_SHAPE)


@pytest.mark.parametrize('chosen, outcome, expected', [(False, None, [3]), (True, None, []), (False, 'done', [])])
def test_a_resumed_run_keeps_its_threads_unless_the_user_chose(tmp_path, monkeypatch, chosen, outcome, expected):
    fit(tmp_path, '--epochs', 1)
    write_outcome(tmp_path, outcome and {'status': 'finished', 'test_error': 6, 'epochs': 1, 'fail': False})
    config = read_json(only_run(tmp_path))
    config['environment']['threads'] = 3
    rewrite(only_run(tmp_path), 'config.json', config)
    restarts = []
    monkeypatch.setattr(mxnet, 'THREADS_GIVEN', chosen)
    monkeypatch.setattr(mxnet, 'restart_with_threads', restarts.append)
    open_noise(tmp_path, '--epochs', 1)
    assert restarts == expected
