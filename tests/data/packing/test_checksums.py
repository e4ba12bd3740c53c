"""Checksums: of every record, added to what an earlier version packed, and compared when a record is read."""

import json
import os

import pytest

from common.errors import UserError
from data import imagenet, recordio
from data.image_records import ImageRecords
from tests.data.small_imagenet import contents, edit, prepare, write

PREFIX = 'imagenet-val'


@pytest.fixture
def prepared(copy, tmp_path, monkeypatch):
    """A small ImageNet in several chunks: its folder and its side files' dicts."""
    monkeypatch.setattr(imagenet, 'CHUNK', 3)
    monkeypatch.setattr('data.packing.CHUNK', 3)
    folder = copy.write_folders(tmp_path)
    write(os.path.join(folder, 'val', 'n00000003', 'ILSVRC2012_val_00000004x.JPEG'), b'not an image')
    return folder, prepare(folder)


def as_before(folder):
    """Make the files those of an earlier version, which has no checksums."""
    for split in ('train', 'val'):
        prefix = os.path.join(folder, 'imagenet-' + split)
        about = recordio.read_about(prefix)
        del about['crc_sha256']
        os.remove(prefix + '.crc')
        write(prefix + '.json', json.dumps(about, indent=1).encode())


def test_earlier_files_get_them_once_and_stay_as_they_are(prepared, capsys):
    folder, about = prepared
    before = contents(folder)
    as_before(folder)
    capsys.readouterr()
    assert prepare(folder) == about and contents(folder) == before
    assert capsys.readouterr().out.count('has no checksums yet: reading it once to add them') == 2
    prepare(folder)
    assert not capsys.readouterr().out


@pytest.mark.parametrize('damage', [os.remove, lambda path: edit(path, lambda content: content[:-1] + b'x')])
def test_a_damaged_file_of_checksums_is_made_again(prepared, damage):
    folder, about = prepared
    before = contents(folder)
    damage(os.path.join(folder, PREFIX + '.crc'))
    assert prepare(folder) == about and contents(folder) == before


def test_damage_is_not_blessed(prepared, capsys):
    """Earlier files that are not what was packed are packed again."""
    folder, about = prepared
    before = contents(folder)
    as_before(folder)
    edit(os.path.join(folder, PREFIX + '.rec'), lambda content: content[:-100] + b'x' + content[-99:])
    assert prepare(folder) == about and contents(folder) == before
    assert 'imagenet-val.rec does not match: making it again' in capsys.readouterr().out


def test_where_nothing_can_be_written_the_files_are_used_as_they_are(prepared, capsys, monkeypatch):
    folder, about = prepared
    as_before(folder)
    before = contents(folder)
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    entry = prepare(folder)['val']
    assert entry == {name: value for name, value in about['val'].items() if name != 'crc_sha256'}
    assert 'has no checksums (its folder is read-only), so that' in capsys.readouterr().out
    assert contents(folder) == before
    dataset = ImageRecords({'val': os.path.join(folder, PREFIX)}, {'val': entry})
    assert sum(len(labels) for _, labels in dataset.evaluation_batches('val', 4)) == 10


def test_a_full_disk_leaves_the_files_as_they_are(prepared, capsys, full_disk):
    folder, about = prepared
    as_before(folder)
    before = contents(folder)
    with full_disk(0):
        prepare(folder)
    assert 'has no checksums (File too large), so that' in capsys.readouterr().out
    assert contents(folder) == before
    assert prepare(folder) == about


@pytest.mark.parametrize('place', [0, 4, 8, 12, 40, 3000, -1])
def test_a_flipped_bit_ends_training_and_evaluation_in_one_line(prepared, place):
    folder, about = prepared
    for split in ('train', 'val'):
        path = os.path.join(folder, f'imagenet-{split}.rec')
        edit(path, lambda content: content[:place] + bytes([content[place] ^ 4]) + content[place:][1:])
    assert prepare(folder) == about  # no start reads 100 GB
    dataset = ImageRecords({split: os.path.join(folder, 'imagenet-' + split) for split in about}, about)
    record = -1 % 20 if place == -1 else 0
    with pytest.raises(UserError, match=rf'imagenet-train.rec is damaged, .*\(record {record}: another checksum\)$'):
        list(dataset.train_batches(20, 1).epoch(1))
    with pytest.raises(UserError, match=r'imagenet-val.rec is damaged, .*\(record \d+: another checksum\)$'):
        list(dataset.evaluation_batches('val', 4))
