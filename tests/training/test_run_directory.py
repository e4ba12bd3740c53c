"""The run directory: what is found in it, what is written, and damage."""

import copy
import json
import logging
import math
import os
import shutil
import signal

import pytest

from common.errors import UserError
from training import run_directory
from training.run_directory import NoRunDirectory, RunDirectory
from training.stop import StopRequest

CONFIG = {
    'command': 'python train.py',
    'outcome': None,
    'options': {
        'net': 'plain',
        'depth': 8,
        'dataset': 'noise',
        'epochs': 2,
        'seed': 1,
        'lr': 0.1,
        'cpus': 1,
        'kv_store': 'local',
        'log_dir': 'logs',
        'checkpoint_minutes': 10,
        'dtype': 'float32',
    },
    'environment': {'devices': ['cpu(0)'], 'workers': 1, 'threads': 1, 'mxnet': '1.9.1'},
    'dataset': {'splits': {'train': {'content_sha256': 64 * '0'}}},
}
ROW = {
    'epoch': 1,
    'lr': 0.1,
    'train_loss': 2.25,
    'train_error': 100 / 3,
    'test_loss': 2.5,
    'test_error': 90,
    'images_per_second': 123456.789,
    'seconds': 1e-5,
}


def config(**changes):
    """CONFIG with other values, {section: values}."""
    result = copy.deepcopy(CONFIG)
    for section, values in changes.items():
        result[section] = {**result[section], **values}
    return result


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / 'logs' / 'run')


def read(path, name='config.json'):
    with open(os.path.join(path, name)) as file:
        content = json.load(file) if name.endswith('.json') else file.read()
    if name.endswith('.json'):
        content.pop('sha256', None)  # the digest of the other entries
    return content


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
    RunDirectory(path, config())
    assert [one['command'] for one in read(path)['resumed']] == [again['command'], CONFIG['command']]


def test_a_run_that_has_ended_says_how_and_is_left_as_it_is(path):
    RunDirectory(path, config()).finish(status='finished', test_error=6.5)
    before = {name: read(path, name) for name in os.listdir(path)}
    directory = RunDirectory(path, {**config(), 'command': 'python again.py'})
    assert directory.outcome['status'] == 'finished' and directory.outcome['test_error'] == 6.5
    assert directory.outcome['peak_memory_mib'] > 10 and run_directory.status(directory.config) == 'finished'
    assert before == {name: read(path, name) for name in os.listdir(path)}


def test_another_number_of_threads_is_worth_a_warning(path, capsys):
    RunDirectory(path, config())
    RunDirectory(path, config(environment={'threads': 2}))
    assert 'OMP_NUM_THREADS is 2, but the run began with 1' in capsys.readouterr().out
    assert 'but the run began with 1' in read(path, 'train.log')


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(options={'lr': 0.2}), r'\(lr 0.1 instead of 0.2\)'),
        (dict(options={'loss_scale': 8}), r'\(loss_scale 4 instead of 8\)'),  # older than the option
        (dict(environment={'devices': ['cpu(0)', 'cpu(1)']}), r'\(devices cpu instead of cpu,cpu\)'),
        (dict(environment={'devices': ['gpu(0)']}), r'\(devices cpu instead of gpu\)'),
        (dict(environment={'workers': 2}), r'\(workers 1 instead of 2\)'),
        (dict(dataset={'splits': {'train': {'content_sha256': 64 * '1'}}}), r'\(data 0{12} instead of 1{12}\)'),
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


def test_the_numbers_of_the_devices_do_not_matter_their_kinds_and_count_do():
    def identity(*devices):
        return run_directory.identity(config(environment={'devices': list(devices)}))

    assert identity('gpu(0)', 'gpu(1)') == identity('gpu(2)', 'gpu(3)') != identity('gpu(0)')
    assert identity('cpu(0)') != identity('gpu(0)')


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


def test_looking_for_an_outcome_changes_nothing(path):
    assert run_directory.find_outcome(path, config()) is None and not os.path.exists(path)
    RunDirectory(path, config())
    assert run_directory.find_outcome(path, config()) is None
    RunDirectory(path, config()).finish(status='not finite')
    before = read(path)
    assert run_directory.find_outcome(path, config())['status'] == 'not finite'
    without_data = {name: value for name, value in config().items() if name != 'dataset'}  # it is not yet read
    assert run_directory.find_outcome(path, without_data)['status'] == 'not finite'
    with pytest.raises(UserError, match='lr 0.1 instead of 0.2'):
        run_directory.find_outcome(path, config(options={'lr': 0.2}))
    assert read(path) == before


def test_metrics_are_written_with_seven_digits_and_read_back(path):
    directory = RunDirectory(path, config())
    directory.write_metrics([])
    assert read(path, 'metrics.csv') == ','.join(ROW) + '\n' and run_directory.read_metrics(path) == []
    directory.write_metrics([ROW, {**ROW, 'epoch': 2, 'test_loss': None, 'test_error': None}])
    assert read(path, 'metrics.csv') == (
        ','.join(ROW) + '\n1,0.1,2.25,33.33333,2.5,90,123456.8,1e-05\n2,0.1,2.25,33.33333,,,123456.8,1e-05\n'
    )
    first, second = run_directory.read_metrics(path)
    assert first['train_error'] == 33.33333 and math.isnan(second['test_loss']) and second['epoch'] == 2


def test_columns_that_a_reader_needs(path):
    RunDirectory(path, config()).write_metrics([ROW])
    rows = run_directory.read_metrics(path)
    run_directory.check_columns(path, rows, ['test_error'])
    with pytest.raises(UserError, match='metrics.csv has no column test_error_LLL: is the run damaged'):
        run_directory.check_columns(path, rows, ['test_error', 'test_error_LLL'])


def test_the_log_is_a_file_and_standard_output(path, capsys):
    directory = RunDirectory(path, config())
    directory.logger.info('an epoch')
    directory.logger.debug('a step')
    lines = read(path, 'train.log').splitlines()
    assert [line.partition(',')[2][4:] for line in lines] == ['an epoch', 'a step']  # behind date and time
    assert capsys.readouterr().out.splitlines() == lines


def test_a_message_is_one_line_of_the_log(path, capsys):
    RunDirectory(path, config()).logger.info('a name with\na line and \x1b[31mcolor')
    for text in (read(path, 'train.log'), capsys.readouterr().out):
        assert len(text.splitlines()) == 1 and text.endswith(r' a name with\na line and \x1b[31mcolor' + '\n')


def test_on_a_terminal_where_a_bar_shows_them_steps_are_in_the_file_alone(path, monkeypatch, capsys):
    monkeypatch.setattr('sys.stderr.isatty', lambda: True)
    directory = RunDirectory(path, config())
    directory.logger.info('an epoch')
    directory.logger.debug('a step')
    assert len(read(path, 'train.log').splitlines()) == 2 and capsys.readouterr().out.endswith('an epoch\n')


@pytest.mark.parametrize(
    'text',
    [
        '',
        '{',
        '[]',
        '{"options": {"epochs": 1}}',
        '{"options": {"epochs": 1}, "environment": {}}',
        '{"options": {}, "environment": {"devices": []}, "outcome": null}',
        '{"options": {"epochs": 1}, "environment": {"devices": []}, "outcome": {"a": 1}}',
    ],
)
def test_a_damaged_config_is_one_line(path, text):
    os.makedirs(path)
    with pytest.raises(UserError, match='is not a run directory: it has no config.json'):
        run_directory.read_config(path)
    with open(os.path.join(path, 'config.json'), 'w') as file:
        file.write(text)
    with pytest.raises(UserError, match='config.json is damaged, or does not belong to a run of this repository'):
        run_directory.read_config(path)


def test_damaged_metrics_are_one_line(path):
    RunDirectory(path, config())
    assert run_directory.read_metrics(path) == []
    for content in (
        b'epoch,lr\n1,x\n',
        b'epoch,lr\n1,2,3\n',
        b'epoch,lr\n1\n',
        b'epoch,lr\n1,0.1\n2,0.',  # cut
        b'epoch,lr\n1,0.1\n3,0.1\n',
        b'epoch,lr\n1,0.1\n2,\n3,0.1\n',
        b'lr\n0.1\n',
        b'epoch;lr\n1;0.1\n',
        b'epoch;lr\n1;0,1\n',
        b'epoch,lr\n1,"0,1"\n',
        b'epoch,lr\n1,"0.1\n',
        b'epoch,lr\n1,1_0\n',
        'epoch,lr\n1,0.1\n'.encode('utf-16'),
        b'epoch,lr\n1,0.1 \xb5\n',
        b'epoch,lr\n1,0.\x001\n',
        b'\0' * 100,
        b'epoch,lr\n1,' + b'1' * 200000 + b'\n',
    ):
        with open(os.path.join(path, 'metrics.csv'), 'wb') as file:
            file.write(content)
        with pytest.raises(UserError, match='metrics.csv is damaged: it is not a whole table of numbers'):
            print(content, run_directory.read_metrics(path))


@pytest.mark.parametrize(
    'content',
    [
        b'epoch,lr\n1,0.1\n2,0.01\n',
        b'\xef\xbb\xbfepoch,lr\r\n1,0.1\r\n2,0.01\r\n',
        b'"epoch","lr"\n"1","0.1"\n"2","0.01"\n',
        b'epoch,lr\n1,0.10\n2,1E-02\n\n',
    ],
)
def test_metrics_that_an_editor_saved_without_a_change_are_read(path, content):
    RunDirectory(path, config())
    with open(os.path.join(path, 'metrics.csv'), 'wb') as file:
        file.write(content)
    assert run_directory.read_metrics(path) == [{'epoch': 1, 'lr': 0.1}, {'epoch': 2, 'lr': 0.01}]


def test_a_config_of_an_earlier_version_gets_the_values_of_its_time(path):
    RunDirectory(path, config())
    old = config()
    del old['options']['dtype'], old['environment']['workers']
    with open(os.path.join(path, 'config.json'), 'w') as file:
        json.dump(old, file)
    found = run_directory.read_config(path)
    assert found['options']['dtype'] == 'float32' and found['options']['mirror'] is False
    assert run_directory.count_devices(found) == 1 and RunDirectory(path, config()).outcome is None


def test_devices_of_all_workers_are_counted():
    assert run_directory.count_devices(config(environment={'devices': ['gpu(0)', 'gpu(1)'], 'workers': 4})) == 8


def test_runs_are_found_below_a_path_once_and_seeds_are_grouped(tmp_path):
    names = ['a/resnet-8/seed1', 'a/resnet-8/seed2', 'a/resnet-8/lr0.2-seed1', 'b/plain-8/seed10']
    for name in names:
        os.makedirs(tmp_path / name)
        (tmp_path / name / 'config.json').write_text('{}')
    whole, one = str(tmp_path), str(tmp_path / names[0])
    assert run_directory.find_runs([whole, one + '/']) == sorted(str(tmp_path / name) for name in names)
    groups = run_directory.group_runs([whole])
    assert sorted(map(len, groups.values())) == [1, 1, 2]
    assert groups[str(tmp_path / 'a' / 'resnet-8') + os.sep] == [str(tmp_path / name) for name in names[:2]]
    with pytest.raises(UserError, match='there is no run in nowhere'):
        run_directory.find_runs(['nowhere'])


@pytest.mark.parametrize('path_, expected', [('seed1', ''), ('epochs8-seed12', 'epochs8'), ('logs/a/seed1', 'logs/a/')])
def test_a_path_without_its_seed(path_, expected):
    assert run_directory.without_seed(path_) == expected


def test_a_worker_that_keeps_no_directory_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directory = NoRunDirectory(config())
    directory.write_metrics([ROW])
    directory.finish(status='finished')
    directory.logger.error('nothing')
    assert directory.outcome is None and os.listdir(tmp_path) == [] and capsys.readouterr() == ('', '')
    assert directory.logger is not logging.getLogger('train')


def test_the_reader_of_the_output_that_has_seen_enough_asks_for_the_end(path, monkeypatch):
    """As `| head -1` leaves it."""
    directory, (read_end, write_end) = RunDirectory(path, config()), os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, 'w') as closed, monkeypatch.context() as patched, StopRequest() as stop:
        patched.setattr('sys.stdout', closed)
        directory.logger.info('an epoch')
        directory.logger.info('another')
        assert stop.signal == signal.SIGTERM


def test_a_full_disk_on_standard_output_is_said_once_in_the_log(path, monkeypatch):
    directory = RunDirectory(path, config())
    with open('/dev/full', 'w') as full, monkeypatch.context() as patched, StopRequest() as stop:
        patched.setattr('sys.stdout', full)
        for epoch in range(3):
            directory.logger.info('epoch %d', epoch)
        assert stop.signal is None
    with open(os.path.join(path, 'train.log')) as file:
        lines = [line.split(' ', 2)[2].strip() for line in file]
    assert lines == [
        'epoch 0',
        'standard output is gone (No space left on device): train.log goes on',
        'epoch 1',
        'epoch 2',
    ]
