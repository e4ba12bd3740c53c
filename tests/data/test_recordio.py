"""The three files of a split: which belong together, how they are finished, and what a full disk does."""

import errno
import json
import os
import shutil
import struct

import numpy as np
import pytest

from common.errors import UserError
from common.files import file_digest
from common.mxnet import mx
from data import recordio
from data.packing.checksums import checked
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
            'labels': [3],
            'verified': True,
            'content_sha256': '',
            'idx_sha256': file_digest(prefix + '.unfinished.idx', 'sha256'),
            request.param: checks[request.param],
        },
    )
    return prefix


def write_records(temporary):
    with recordio.writer(temporary + '.rec', temporary + '.idx', 'no room') as record:
        for i in range(3):
            record.write_idx(i, b'%d' % i * 24 * (i + 1))


@pytest.mark.parametrize('name', ['file_digest', 'read_about', 'read_index'])
def test_an_error_of_the_disk_may_pass_and_is_no_damage(prefix, name, monkeypatch):
    """Or hours of packing would be lost, and an archive that was deleted would be fetched again."""

    def fail(path, *_):
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    about = recordio.check(prefix)
    monkeypatch.setattr(recordio, name, fail)
    for read in (lambda: recordio.check(prefix), lambda: checked(prefix, 512)):
        with pytest.raises(OSError, match='Input/output error'):
            read()
    if name == 'read_index':
        with pytest.raises(OSError, match='Input/output error'):
            recordio.Records(prefix, about)


def test_finished_files_have_their_names_alone(prefix, tmp_path):
    assert sorted(os.listdir(str(tmp_path))) == ['x.idx', 'x.json', 'x.rec']
    with open(prefix + '.json') as file:
        about = json.load(file)
    assert len(about.pop('json_sha256')) == 64
    assert recordio.check(prefix) == about == recordio.read_about(prefix)


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
    ids, bounds = recordio.read_index(prefix)
    assert dict(zip(ids.tolist(), bounds.tolist())) == reader.idx
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


# Side files and indices that do not fit, though their digests do


def rewrite(prefix, **changes):
    """Change keys of a side file, whose digest then fits again; None removes one."""
    about = {**recordio.read_about(prefix), **changes}
    recordio.write_about(prefix, {name: value for name, value in about.items() if value is not None})


@pytest.mark.parametrize(
    'changes',
    [
        {'records': 4},
        {'records': 3.0},
        {'records': 4, 'labels': [4]},
        {'records': 2, 'labels': [2]},
        {'labels': [4, -1]},
        {'labels': ['3']},
        {'labels': 3},
        {'labels': None},
        {'verified': 1},
        {'verified': None},
        {'content_sha256': None},
        {'format': '1'},
        {'classes': ['a', 'b']},
        {'classes': [1], 'shorter_side': 480, 'undecodable': []},
        {'classes': ['a'], 'undecodable': []},
        {'classes': ['a'], 'shorter_side': '480', 'undecodable': []},
        {'classes': ['a'], 'shorter_side': 480, 'undecodable': 'none'},
    ],
)
def test_a_side_file_that_does_not_fit_is_noticed(prefix, changes):
    rewrite(prefix, **changes)
    assert recordio.check(prefix) is None


def test_a_change_of_a_side_file_is_noticed_by_its_digest(prefix):
    """An earlier version's side file has none."""
    assert recordio.check(prefix)
    edit(prefix + '.json', lambda content: content.replace(b'true', b'false'))
    assert recordio.check(prefix) is None
    with open(prefix + '.json') as file:
        about = json.load(file)
    del about['json_sha256']
    write(prefix + '.json', json.dumps(about).encode())
    assert recordio.check(prefix) == about and about['verified'] is False


@pytest.mark.parametrize(
    'index',
    [
        b'0\t0\n1\t56\n',  # fewer
        b'0\t0\n1\t56\n2\t136\n3\t200\n',  # more
        b'0\t0\n2\t56\n1\t136\n',  # in another order
        b'0\t0\n1\t56\n1\t136\n',  # an id twice
        b'0\t0\n1\t56\n3\t136\n',  # beyond the last image
        b'-1\t0\n0\t56\n1\t136\n',
        b'0\t4\n1\t56\n2\t136\n',  # does not begin at the beginning
        b'0\t0\n1\t136\n2\t56\n',
        b'0\t0\n1\t56\n2\t56\n',  # overlapping
        b'0\t0\n1\t56\n2\t100000\n',  # beyond the end
        b'0\t0\n1\t-56\n2\t136\n',
        b'0\t0\n1\t56\n2\t99999999999999999999999\n',
        b'0\t0\n1\t56\n2\n',
        b'0\t0\n1\tfifty\n2\t136\n',
        b'\xff\xfe0\t0\n',
        b'',
    ],
)
def test_an_index_that_does_not_fit_is_noticed(prefix, index):
    assert recordio.check(prefix)
    write(prefix + '.idx', index)
    rewrite(prefix, idx_sha256=file_digest(prefix + '.idx', 'sha256'))
    assert recordio.check(prefix) is None


# Reading records


@pytest.fixture
def labeled(tmp_path, random):
    """Records with labels 0 to 2; one has MAGIC in itself, where MXNet cuts it into parts."""
    prefix, magic = str(tmp_path / 'labeled'), struct.pack('<I', recordio.MAGIC)
    contents = [b'abc', magic * 2 + b'xyz' + magic + b'12345' + magic, bytes(random.randint(0, 256, 999).tolist())]
    with recordio.writer(prefix + '.rec', prefix + '.idx', 'no room') as record:
        for i, content in enumerate(contents):
            record.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, float(i), i, 0), content))
    about = {'labels': [1, 1, 1]}
    about['crc_sha256'] = recordio.write_checksums(
        prefix, recordio.checksums(prefix + '.rec', list(record.idx.values()))
    )
    return prefix, about, contents


def test_records_are_those_that_mxnet_wrote(labeled):
    prefix, about, contents = labeled
    for known in (about, {'labels': about['labels']}):
        records = recordio.Records(prefix, known)
        assert [(label, bytes(content)) for label, content in map(records.read, range(3))] == list(enumerate(contents))


def test_a_flip_of_any_bit_is_noticed_by_the_checksum(labeled):
    prefix, about, contents = labeled
    with open(prefix + '.rec', 'rb') as file:
        whole = file.read()
    for bit in range(0, 8 * len(whole), 61):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        write(prefix + '.rec', bytes(changed))
        records = recordio.Records(prefix, about)
        number = int(np.searchsorted(records._bounds, bit // 8, 'right')) - 1
        for i in range(3):
            if i != number:
                assert records.read(i)[1] == contents[i]
        with pytest.raises(UserError, match=rf'^.*labeled.rec is damaged.*\(record {number}: another checksum\)$'):
            records.read(number)


@pytest.mark.parametrize(
    'place, value, problem',
    [
        (0, b'xxxx', 'it has no header'),
        (4, struct.pack('<I', 27 | recordio.LAST << 29), 'it has no header'),
        (4, struct.pack('<I', 27 | 7 << 29), 'it has no header'),
        (4, struct.pack('<I', (1 << 29) - 1), 'it has no header'),
        (4, struct.pack('<I', 0), 'it has no header'),
        (8, struct.pack('<I', 5), 'the label 0 of 3 classes'),  # so many labels would follow
        (12, struct.pack('<f', 3), 'the label 3 of 3 classes'),
        (12, struct.pack('<f', -1), 'the label -1 of 3 classes'),
        (12, struct.pack('<f', 0.5), 'the label 0.5 of 3 classes'),
        (12, struct.pack('<f', float('nan')), 'the label nan of 3 classes'),
    ],
)
def test_a_hostile_header_is_one_error(labeled, place, value, problem):
    """MXNet would end the process."""
    prefix, about, _ = labeled
    edit(prefix + '.rec', lambda content: content[:place] + value + content[place + 4 :])
    with pytest.raises(UserError, match=rf'labeled.rec is damaged.*\(record 0: {problem}\)$'):
        recordio.Records(prefix, {'labels': about['labels']}).read(0)


def test_a_file_cut_while_it_is_read_is_one_error(labeled):
    prefix, about, _ = labeled
    records = recordio.Records(prefix, about)
    os.truncate(prefix + '.rec', 100)
    with pytest.raises(UserError, match=r'\(record 2: the file ends in it\)'):
        records.read(2)


def test_an_index_that_is_gone_is_one_error(labeled):
    prefix, about, _ = labeled
    os.remove(prefix + '.idx')
    with pytest.raises(UserError, match='labeled.rec cannot be read'):
        recordio.Records(prefix, about)
