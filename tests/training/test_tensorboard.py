"""TensorBoard's event files, read by hand."""

import errno
import os
import struct

import pytest

from tests.runs import TIMES, only_run, read_csv
from tests.training.noise import Noise, at, fit, kill
from training import run_log
from training.tensorboard import Events, tag


def crc32c(data):
    """Castagnoli's, bit by bit, masked as in TFRecord files."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events(folder):
    """{(tag, step): value} of the one event file in a folder, whose records and checksums are read by hand."""
    from tensorboardX.proto.event_pb2 import Event

    (name,) = [name for name in os.listdir(folder) if name.startswith('events.out.tfevents')]
    with open(os.path.join(folder, name), 'rb') as file:
        content = file.read()
    found = {}
    while content:
        length, of_length = struct.unpack('<QI', content[:12])
        assert crc32c(content[:8]) == of_length
        data, (of_data,) = content[12 : 12 + length], struct.unpack('<I', content[12 + length : 16 + length])
        assert crc32c(data) == of_data
        event = Event.FromString(data)
        for value in event.summary.value:
            assert (value.tag, event.step) not in found
            found[value.tag, event.step] = value.simple_value
        content = content[16 + length :]
    return found


def test_the_events_are_the_metrics_also_after_a_resume(tmp_path):
    names = {
        'train_loss': 'train/loss',
        'train_error': 'train/error',
        'test_loss': 'test/loss',
        'test_error': 'test/error',
        'lr': 'lr',
        'images_per_second': 'images_per_second',
        'seconds': 'seconds',
    }
    for log_dir, noise in ((tmp_path / 'whole', Noise()), (tmp_path / 'killed', Noise(at(2, 1, do=kill)))):
        fit(log_dir, '--tensorboard', noise=noise)
    fit(tmp_path / 'killed', '--tensorboard')
    found = []
    for log_dir in (tmp_path / 'whole', tmp_path / 'killed'):
        run = only_run(log_dir)
        expected = {
            (names[column], int(row['epoch'])): float(value)
            for row in read_csv(run)
            for column, value in row.items()
            if column != 'epoch'
        }
        found.append(events(run))
        assert found[-1] == pytest.approx(expected, rel=1e-6)
    whole, killed = ({key: value for key, value in one.items() if key[0] not in TIMES} for one in found)
    assert whole == killed


def test_each_start_writes_a_new_file_and_cells_that_are_empty_are_left_out(tmp_path):
    rows = [{'epoch': 1, 'lr': 0.5, 'test_error': None}]
    Events(str(tmp_path)).write(rows)
    again = Events(str(tmp_path))
    again.write(rows)
    again.write([*rows, {'epoch': 2, 'lr': 0.25, 'test_error': 8}])
    assert events(str(tmp_path)) == {('lr', 1): 0.5, ('lr', 2): 0.25, ('test/error', 2): 8}


def test_what_is_written_is_in_the_file_at_once(tmp_path, monkeypatch):
    def no_sync(_):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))  # as some FUSE mounts do

    monkeypatch.setattr(os, 'fsync', no_sync)
    writer = Events(str(tmp_path))
    for epoch in (1, 2):
        writer.write([{'epoch': i + 1, 'lr': 0.5} for i in range(epoch)])
        assert events(str(tmp_path)) == {('lr', i + 1): 0.5 for i in range(epoch)}


def test_a_full_disk_is_one_line_and_the_training_goes_on(tmp_path, full_disk, monkeypatch):
    lines = []
    monkeypatch.setattr(run_log.LOGGER, 'warning', lambda text, *args: lines.append(text % args))
    writer, rows = Events(str(tmp_path)), [{'epoch': 1, 'lr': 0.5}]
    with full_disk(10):
        writer.write(rows)
    for epoch in range(2, 100):  # of which a queue would be full
        writer.write(rows := [*rows, {'epoch': epoch, 'lr': 0.5}])
    assert lines == ["TensorBoard's events cannot be written (File too large): the training goes on"]
    Events(str(tmp_path)).write(rows)
    assert len(events(str(tmp_path))) == 99


@pytest.mark.parametrize(
    'column, expected',
    [
        ('test_error', 'test/error'),
        ('train_top5_error', 'train/top5_error'),
        ('images_per_second', 'images_per_second'),
        ('test_error_without_RRR', 'test/error_without_RRR'),
    ],
)
def test_tags(column, expected):
    assert tag(column) == expected
