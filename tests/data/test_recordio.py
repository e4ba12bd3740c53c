"""The three files of a split: which belong together, how they are finished, and what a full disk does."""

import json
import os
import shutil

import pytest

from common.errors import UserError
from common.files import file_digest
from common.mxnet import mx
from data import recordio
from tests.data.small_imagenet import cut, edit, write


@pytest.fixture(params=['rec_sha256', 'rec_bytes'])
def prefix(request, tmp_path):
    """A split of three records, whose .rec is checked by its digest or by its length."""
    prefix = str(tmp_path / 'x')
    write_records(prefix + '.unfinished')
    checks = {
        'rec_sha256': file_digest(prefix + '.unfinished.rec', 'sha256'),
        'rec_bytes': os.path.getsize(prefix + '.unfinished.rec'),
    }
    recordio.finish(
        prefix + '.unfinished',
        prefix,
        {
            'format': 1,
            'records': 3,
            'idx_sha256': file_digest(prefix + '.unfinished.idx', 'sha256'),
            request.param: checks[request.param],
        },
    )
    return prefix


def write_records(temporary):
    with recordio.writer(temporary + '.rec', temporary + '.idx', 'no room') as record:
        for i in range(3):
            record.write_idx(i, b'%d' % i * 5 * (i + 1))


def test_finished_files_have_their_names_alone(prefix, tmp_path):
    assert sorted(os.listdir(str(tmp_path))) == ['x.idx', 'x.json', 'x.rec']
    with open(prefix + '.json') as file:
        assert recordio.check(prefix) == json.load(file) == recordio.read_about(prefix)


@pytest.mark.parametrize(
    'damage',
    [
        lambda prefix: cut(prefix + '.rec', 4),
        lambda prefix: cut(prefix + '.idx', 4),
        lambda prefix: edit(prefix + '.idx', lambda content: content.replace(b'1', b'9')),
        lambda prefix: os.remove(prefix + '.rec'),
        lambda prefix: os.remove(prefix + '.idx'),
        lambda prefix: os.remove(prefix + '.json'),
        lambda prefix: write(prefix + '.json', b'{'),
        lambda prefix: write(prefix + '.json', b'[]'),
        lambda prefix: write(prefix + '.json', b'{"format": 1}'),
        lambda prefix: edit(prefix + '.json', lambda content: content.replace(b'"format": 1', b'"format": 0')),
    ],
)
def test_files_that_do_not_belong_together_are_noticed(prefix, damage):
    damage(prefix)
    assert recordio.check(prefix) is None


def test_other_bytes_of_the_same_length_are_noticed_by_their_digest(prefix):
    by_digest = 'rec_sha256' in recordio.read_about(prefix)
    edit(prefix + '.rec', lambda content: content[:-1] + b'x')
    assert (recordio.check(prefix) is None) == by_digest


def test_the_index_is_mxnets(prefix, tmp_path):
    reader = mx.recordio.MXIndexedRecordIO(prefix + '.idx', prefix + '.rec', 'r')
    assert recordio.read_index(prefix) == reader.idx
    recordio.write_index(str(tmp_path / 'again.idx'), list(reader.idx.items()))
    reader.close()
    with open(prefix + '.idx', 'rb') as file:
        assert (tmp_path / 'again.idx').read_bytes() == file.read()


def test_what_is_unfinished_can_be_discarded_and_nothing_else(prefix, tmp_path):
    for kind in ('rec', 'idx', 'json.tmp'):
        shutil.copy(prefix + '.rec', f'{prefix}.unfinished.{kind}')
    recordio.discard(prefix + '.unfinished')
    assert sorted(os.listdir(str(tmp_path))) == ['x.idx', 'x.json', 'x.rec']


@pytest.mark.parametrize('size', [10000, 500000])
def test_a_disk_without_room_is_one_error(tmp_path, full_disk, size):
    """MXNet says so while it writes, or loses the last bytes where it closes the file."""
    with full_disk(size), pytest.raises(UserError, match='^no room$'):
        with recordio.writer(str(tmp_path / 'x.rec'), os.devnull, 'no room') as record:
            for i in range(size // 1000 + 1):
                record.write_idx(i, bytes(1000))
