"""The run directory as it is read: what is found in it, and damage."""

import json
import math
import os

import pytest

from common.errors import UserError
from tests.training.configs import ROW, config, read
from training import run_directory
from training.run_writer import RunDirectory


def test_the_numbers_of_the_devices_do_not_matter_their_kinds_and_count_do():
    def identity(*devices):
        return run_directory.identity(config(environment={'devices': list(devices)}))

    assert identity('gpu(0)', 'gpu(1)') == identity('gpu(2)', 'gpu(3)') != identity('gpu(0)')
    assert identity('cpu(0)') != identity('gpu(0)')


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
    names = ['a/resnet-8/seed1', 'a/resnet-8/seed2', 'a/resnet-8/seed3', 'a/resnet-8/lr0.2-seed1', 'b/plain-8/seed10']
    for name in names:
        os.makedirs(tmp_path / name)
        devices = ['gpu(0)', 'gpu(1)'] if name.endswith('seed3') else ['gpu(0)']  # which no name tells
        (tmp_path / name / 'config.json').write_text(json.dumps(config(environment={'devices': devices})))
    whole, one = str(tmp_path), str(tmp_path / names[0])
    assert run_directory.find_runs([whole, one + '/']) == sorted(str(tmp_path / name) for name in names)
    groups = run_directory.group_runs(run_directory.find_runs([whole]))
    assert sorted(map(len, groups)) == [1, 1, 1, 2] and [str(tmp_path / name) for name in names[:2]] in groups
    with pytest.raises(UserError, match='there is no run in nowhere'):
        run_directory.find_runs(['nowhere'])


def test_runs_behind_links_are_found_once(tmp_path):
    for name in ('big/plain-8/seed1', 'logs/plain-14/seed1'):
        os.makedirs(tmp_path / name)
        (tmp_path / name / 'config.json').write_text('{}')
    os.symlink(tmp_path / 'big', tmp_path / 'logs' / 'more')
    for link, place in (
        ('logs/circle', 'logs'),
        ('logs/latest', 'logs/plain-14'),
        ('big/back', 'logs'),
        ('big/up', 'big'),
    ):
        os.symlink(tmp_path / place, tmp_path / link)
    found = run_directory.find_runs([str(tmp_path / 'logs')])
    assert found == [str(tmp_path / 'logs' / name) for name in ('more/plain-8/seed1', 'plain-14/seed1')]


@pytest.mark.parametrize('path_, expected', [('seed1', ''), ('epochs8-seed12', 'epochs8'), ('logs/a/seed1', 'logs/a/')])
def test_a_path_without_its_seed(path_, expected):
    assert run_directory.without_seed(path_) == expected
