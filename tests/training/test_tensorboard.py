"""TensorBoard's event files, read by hand."""
import json
import os
import shutil
import struct

import pytest

from tests.test_train_cifar import read_csv


def crc32c(data):
    """Castagnoli's, bit by bit, masked as in TFRecord files."""
    value = 0xffffffff
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
    value ^= 0xffffffff
    return ((value >> 15 | value << 17) + 0xa282ead8) & 0xffffffff


def events(folder):
    """{(tag, step): value} of the one event file in a folder, whose records and checksums are read by hand."""
    from tensorboardX.proto.event_pb2 import Event

    name, = [name for name in os.listdir(folder) if name.startswith('events.out.tfevents')]
    with open(os.path.join(folder, name), 'rb') as file:
        content = file.read()
    found = {}
    while content:
        (length, of_length), content = struct.unpack('<QI', content[:12]), content
        assert crc32c(content[:8]) == of_length
        data, (of_data,) = content[12:12 + length], struct.unpack('<I', content[12 + length:16 + length])
        assert crc32c(data) == of_data
        event = Event.FromString(data)
        for value in event.summary.value:
            assert (value.tag, event.step) not in found
            found[value.tag, event.step] = value.simple_value
        content = content[16 + length:]
    return found


def test_tensorboards_events_are_the_metrics_also_after_a_resume(command, tmp_path):
    words = ['train_cifar.py', '--dataset', 'digits', '--net', 'plain', '--depth', 8, '--epochs', 2, '--log-dir',
             tmp_path]
    command(*words, '--tensorboard', check=0)
    folder = str(tmp_path / 'digits' / 'plain-8' / 'epochs2-seed1')
    whole = events(folder)
    expected = {(name, int(row['epoch'])): float(row[column]) for row in read_csv(folder) for name, column in [
        ('train/loss', 'train_loss'), ('train/error', 'train_error'), ('test/loss', 'test_loss'),
        ('test/error', 'test_error'), ('lr', 'lr'), ('images_per_second', 'images_per_second'), ('seconds', 'seconds')]}
    assert whole == pytest.approx(expected, rel=1e-6)

    shutil.rmtree(os.path.join(folder, 'checkpoint-0002'))  # as if killed in the second epoch
    path = os.path.join(folder, 'config.json')
    with open(path) as file:
        config = dict(json.load(file), outcome=None)
    with open(path, 'w') as file:
        json.dump(config, file)
    command(*words, '--tensorboard', check=0)
    again = events(folder)
    assert set(again) == set(whole) and all(
        again[key] == whole[key] for key in whole if key[0] not in ('images_per_second', 'seconds'))
