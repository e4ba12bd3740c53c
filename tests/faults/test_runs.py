"""Damage to every file of a run: noticed in one line, healed to the same bits, or without an effect; never silent."""

import errno
import logging
import os
from random import Random
import shutil
import signal

import pytest

from common import sums
from common.errors import UserError
import eval as evaluation
from tests.faults.damages import DAMAGES
from tests.runs import checkpoints, end, only_run, read_bytes, read_json
from tests.training.noise import Noise, at, fit, kill
from training import run_directory, run_log

STOP = at(2, 2, do=lambda: os.kill(os.getpid(), signal.SIGTERM))
IN_RUN = ('config.json', 'metrics.csv', 'train.log', 'SHA256SUMS')
IN_CHECKPOINT = ('progress.json', 'SHA256SUMS', 'model-symbol.json', 'model-0001.params', 'momentum.params')


class Runs:
    """The folders of two runs that have finished and two that were stopped in the second epoch, by their seed."""

    def __init__(self, folder):
        self.finished, self.stopped = [], []
        for seed in (1, 2):
            for runs, name, noise in ((self.finished, 'finished', None), (self.stopped, 'stopped', Noise(STOP))):
                fit(folder / f'{name}{seed}', '--seed', seed, noise=noise)
                runs.append(str(folder / f'{name}{seed}'))


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp('runs'))


def read(run):
    """What eval.py, plot.py and compare.py take from a run."""
    loaded = evaluation.load_run(run, best=False)
    _, *arrays = loaded.model
    own = loaded.config['options'], loaded.config['environment'], run_directory.status(loaded.config)
    rows = run_directory.read_metrics(run)
    return own, rows, [{name: value.asnumpy().tobytes() for name, value in part.items()} for part in arrays]


def damaged(run, other, name, damage):
    """Do damage to a file of a run; whether there was anything to change."""
    before = read_bytes(run, name)
    DAMAGES[damage](os.path.join(run, name), Random(f'{name} {damage}'), os.path.join(other, name))
    return not os.path.exists(os.path.join(run, name)) or read_bytes(run, name) != before


@pytest.mark.parametrize('kind', ['finished', 'stopped'])
@pytest.mark.parametrize('damage', DAMAGES)
def test_a_reader_gets_what_was_written_or_one_line(runs, tmp_path, kind, damage):
    places = [only_run(folder) for folder in getattr(runs, kind)]
    expected, newest = read(places[0]), checkpoints(places[0])[-1]
    there = [*IN_RUN[: None if kind == 'finished' else 3]]
    there += [f'{newest}/{name}' for name in sorted(os.listdir(os.path.join(places[0], newest)))]
    for name in there:
        run = shutil.copytree(places[0], tmp_path / name.replace('/', '-') / 'seed1')
        if not damaged(str(run), places[1], name, damage):
            continue
        try:
            found = read(str(run))
        except UserError as error:
            assert '\n' not in str(error)
            continue
        assert found == expected, name


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('name', IN_CHECKPOINT)
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_to_the_same_bits(runs, tmp_path, capsys, name, damage):
    shutil.copytree(runs.stopped[0], tmp_path / 'logs')
    run = only_run(tmp_path / 'logs')
    before = checkpoints(run)
    assert before == ['checkpoint-0001', 'checkpoint-0001-00002']
    if not damaged(os.path.join(run, before[-1]), os.path.join(only_run(runs.stopped[1]), before[-1]), name, damage):
        pytest.skip('both runs have the same file')
    left = read_bytes(run, before[-1], 'progress.json') if name != 'progress.json' else None
    capsys.readouterr()
    assert fit(tmp_path / 'logs') == 0
    out = capsys.readouterr().out
    assert 'is damaged: ' in out and 'resumed after 1 epochs and 0 steps' in out
    assert f'kept as {run}/damaged-checkpoint-0001-00002. ' in out
    assert '2 steps (0 whole epochs) are lost and trained again' in out
    assert left is None or read_bytes(run, 'damaged-checkpoint-0001-00002', 'progress.json') == left
    assert end(run) == end(only_run(runs.finished[0]))


def test_two_damaged_ones_are_skipped_and_none_intact_is_one_line(runs, tmp_path, capsys):
    logs = tmp_path / 'logs'
    fit(logs, '--checkpoint-minutes', '1e-9', noise=Noise(at(2, 2, do=kill)))
    run = only_run(logs)
    *older, newest = checkpoints(run)
    assert len(older) >= 1
    for name in (*older, newest):
        os.truncate(os.path.join(run, name, 'momentum.params'), 100)
    before = sorted(os.listdir(run))
    with pytest.raises(
        UserError, match=f'{newest} is damaged: .* no other checkpoint is intact: put one back'
    ) as error:
        fit(logs)
    assert '\n' not in str(error.value)
    del error  # and with it what holds the lock
    assert sorted(os.listdir(run)) == before


def test_a_disk_that_fails_for_a_moment_is_no_damage(runs, tmp_path, monkeypatch):
    logs = tmp_path / 'logs'
    shutil.copytree(runs.stopped[0], logs)
    before = checkpoints(only_run(logs))

    def fail(path, algorithm):
        raise OSError(errno.EIO, 'Input/output error', path)

    monkeypatch.setattr(sums, 'file_digest', fail)
    with pytest.raises(OSError, match='Input/output error'):
        fit(logs)
    assert checkpoints(only_run(logs)) == before


@pytest.mark.parametrize('name', ['config.json', 'metrics.csv'])
def test_a_run_without_its_file_is_not_taken_for_none(runs, tmp_path, name):
    shutil.copytree(runs.finished[0], tmp_path / 'logs')
    run = only_run(tmp_path / 'logs')
    os.remove(os.path.join(run, name))
    with pytest.raises(UserError, match=f'without its {name}|{name} is missing'):
        run_directory.find_runs([str(tmp_path)]) and run_directory.read_metrics(run)
    if name == 'config.json':
        with pytest.raises(UserError, match='but no config.json that says of what run'):
            fit(tmp_path / 'logs')


def test_copied_and_renamed_runs_and_any_moment_of_a_kill_are_no_damage(runs, tmp_path):
    for folder in (*runs.finished, *runs.stopped):
        copy = shutil.copytree(only_run(folder), tmp_path / os.path.basename(folder) / 'another-name')
        assert read(str(copy)) == read(only_run(folder))
    for epoch in (1, 2):
        for step in (0, 1, 2):
            fit(tmp_path / 'killed', '--checkpoint-minutes', '1e-9', noise=Noise(at(epoch, step, do=kill)))
            run_directory.read_metrics(only_run(tmp_path / 'killed'))


def test_killed_between_the_last_checkpoint_and_metrics(runs, tmp_path):
    """The checkpoint's rows count; with two rows missing, metrics.csv was cut."""
    run = shutil.copytree(only_run(runs.stopped[0]), tmp_path / 'seed1')
    rows = run_directory.read_metrics(str(run))
    assert len(rows) == 1
    os.remove(run / 'metrics.csv')
    assert run_directory.read_metrics(str(run)) == rows


def test_killed_between_the_digests_and_the_outcome(runs, tmp_path):
    """As a run is while it ends: SHA256SUMS is of the config.json that is still to come."""
    shutil.copytree(runs.finished[0], tmp_path / 'logs')
    run = only_run(tmp_path / 'logs')
    stopped = only_run(runs.stopped[0])
    shutil.copyfile(os.path.join(stopped, 'config.json'), os.path.join(run, 'config.json'))
    assert read_json(run)['outcome'] is None
    assert read(run)[1] == read(only_run(runs.finished[0]))[1]
    assert fit(tmp_path / 'logs') == 0 and run_directory.status(run_directory.read_config(run)) == 'finished'
    read(run)


def test_a_removed_run_directory_ends_the_training_in_one_line(tmp_path):
    logs = tmp_path / 'logs'
    with pytest.raises(UserError, match='was removed while the run was training in it') as error:
        fit(logs, noise=Noise(at(1, 2, do=lambda: shutil.rmtree(only_run(logs)))))
    assert '\n' not in str(error.value)
    del error


def test_a_log_that_cannot_be_written_is_said_once(capsys):
    """/dev/full stands for the disk."""
    log = run_log.LogFile('/dev/full')
    for text in ('one', 'two'):
        log.emit(logging.makeLogRecord({'msg': text}))
    log.close()
    err = capsys.readouterr().err
    assert err == 'note: /dev/full cannot be written (No space left on device): the training goes on\n'


def test_another_number_of_epochs_is_another_run_which_is_said(runs, tmp_path, capsys):
    shutil.copytree(runs.finished[0], tmp_path / 'logs')
    run = only_run(tmp_path / 'logs')
    capsys.readouterr()
    assert fit(tmp_path / 'logs', '--epochs', 3) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if 'cannot be continued' in line]
    assert len(lines) == 1 and f'{run} is finished and cannot be continued to 3 epochs' in lines[0]


def test_a_batch_larger_than_the_training_set_is_refused(tmp_path):
    with pytest.raises(UserError, match='a batch of 23 is larger than the 22 training images: choose a smaller'):
        fit(tmp_path / 'logs', '--batch-size', 23)
    assert not (tmp_path / 'logs').exists()
