"""A disk that fills while a run trains: one line or a note, nothing half-written, and the same bits once there is room.

The disk is a small tmpfs, and so the tests need the right to mount one.
"""

import os
import subprocess

import pytest

from tests.conftest import in_process, one_line
from tests.runs import checkpoints, end, only_run, read_bytes
from tests.test_train_cifar import train, words
from tests.training.noise import Noise, fit
from training import checkpoint, run_directory, run_log, run_writer

PAGE = os.sysconf('SC_PAGE_SIZE')


class Disk:
    """A disk of 8 MiB at `path`, on which a run has the folder `logs`."""

    def __init__(self, path):
        self.path, self.logs, self._ballast = str(path), str(path / 'logs'), str(path / 'ballast')

    def fill(self, pages):
        """Leave so many pages free."""
        with open(self._ballast, 'wb') as file:
            free = os.statvfs(self.path).f_bfree
            os.posix_fallocate(file.fileno(), 0, (free - pages) * PAGE)

    def make_room(self):
        os.remove(self._ballast)


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / 'disk'
    path.mkdir()
    mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', path], capture_output=True)
    if mounted.returncode:
        pytest.skip('mounting is not permitted')
    yield Disk(path)
    subprocess.run(['umount', '-l', path], check=True)


def before(monkeypatch, owner, name, do):
    """Let a function be preceded by `do()`, once."""
    original, todo = getattr(owner, name), [do]

    def wrapped(*args, **kwargs):
        if todo:
            todo.pop()()
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapped)


# What cannot be written, the function before which the disk fills, and how many pages it leaves.
PLACES = [
    ('config.json', run_writer.RunDirectory, '_write_config', 0),
    ('checkpoint-0001', checkpoint, '_write', 0),
    ('checkpoint-0001', checkpoint, '_write', 20),  # its weights
    ('checkpoint-0001', checkpoint, '_write', 100),  # its momentum
    ('metrics.csv', run_writer.RunDirectory, 'write_metrics', 0),
    ('SHA256SUMS', run_writer.RunDirectory, 'finish', 0),
    ('config.json', run_writer.RunDirectory, 'finish', 1),  # with the outcome
]


@pytest.fixture(scope='module')
def expected(tmp_path_factory):
    """What an uninterrupted run leaves."""
    folder = tmp_path_factory.mktemp('expected')
    fit(folder)
    return end(only_run(folder))


@pytest.mark.parametrize('name, owner, function, pages', PLACES)
def test_one_line_nothing_half_written_and_the_same_bits_later(
    disk, expected, monkeypatch, name, owner, function, pages
):
    before(monkeypatch, owner, function, lambda: disk.fill(pages))
    line = one_line(in_process(lambda: fit(disk.logs), 'train_noise.py'))
    assert name in line and ('make room' in line or 'the last checkpoint is as it was' in line)
    left = [file for _, folders, files in os.walk(disk.logs) for file in folders + files]
    assert not [file for file in left if file.endswith('.tmp') or file.startswith('.')]
    if 'config.json' in left:
        run = only_run(disk.logs)
        assert len(run_directory.read_metrics(run)) == len(checkpoints(run))
    disk.make_room()
    assert fit(disk.logs) == 0
    assert end(only_run(disk.logs)) == expected


def test_a_log_that_finds_no_room_is_said_once_and_goes_on_later(disk, expected, capsys):
    def fill():
        disk.fill(0)
        for _ in range(100):
            run_log.LOGGER.info('x' * 100)

    assert fit(disk.logs, noise=Noise(lambda *now: {(2, 0): fill, (2, 2): disk.make_room}.get(now, int)())) == 0
    err, run = capsys.readouterr().err, only_run(disk.logs)
    assert err == f'note: {run}/train.log cannot be written (No space left on device): the training goes on\n'
    assert end(run) == expected
    log = read_bytes(run, 'train.log')
    assert b'\0' not in log and log.endswith(
        b'finished: test error 90.00 %: over 50 %, which the paper prints as "fail"\n'
    )


def test_the_command_on_a_small_disk(command, disk, small_cifar, tmp_path):
    """Room for one checkpoint, not for two."""
    arguments = words(small_cifar, disk.logs, '--epochs', 2)
    disk.fill(230)
    line = one_line(command(*arguments))
    assert 'checkpoint-0002 cannot be written' in line and 'the last checkpoint is as it was' in line
    assert checkpoints(only_run(disk.logs)) == ['checkpoint-0001']
    disk.make_room()
    _, out, _ = command(*arguments, check=0)
    assert 'resumed after 1 epochs and 0 steps' in out
    train(*words(small_cifar, tmp_path / 'whole', '--epochs', 2), check=0)
    assert end(only_run(disk.logs)) == end(only_run(tmp_path / 'whole'))
