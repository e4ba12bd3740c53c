"""Members of archives: read within bounds, and whatever is odd about one is refused by its name."""

import gzip
import io
import os
import tarfile
import time

import pytest

from common.errors import UserError
from data import archives
from data.archives import DAMAGES, read_file, read_members


def tar(*members, mode='w:gz', form=tarfile.GNU_FORMAT):
    """The bytes of a tar file of (name, bytes, attributes)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=form) as archive:
        for name, content, *attributes in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in dict(*attributes).items():
                setattr(member, key, value)
            if member.size == len(content):
                archive.addfile(member, io.BytesIO(content))
            else:  # it lies
                archive.fileobj.write(member.tobuf(form))
    return file.getvalue()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / 'x.tar.gz')


def write(path, content):
    with open(path, 'wb') as file:
        file.write(content)
    return path


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(archives, 'LIMIT', 1_000_000)


GOOD = [('f/a', b'12'), ('f/b', b'345')]


@pytest.mark.parametrize('mode', ['w', 'w:gz'])
@pytest.mark.parametrize('form', [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_members_are_read_by_their_names(path, mode, form):
    write(path, tar(('other', b'x' * 9999), *GOOD, ('../b', b'no'), ('/f/a', b'no'), mode=mode, form=form))
    assert read_members(path, ['f/b', 'f/a']) == {'f/a': b'12', 'f/b': b'345'}


@pytest.mark.usefixtures('small_limit')
@pytest.mark.parametrize(
    'members, problem',
    [
        ([GOOD[0]], 'it lacks f/b'),
        ([*GOOD, GOOD[0]], 'f/a is in it twice'),
        ([GOOD[0], ('f/b', b'', {'type': tarfile.LNKTYPE, 'linkname': 'f/a'})], 'f/b is not a plain file'),
        ([GOOD[0], ('f/b', b'', {'type': tarfile.SYMTYPE, 'linkname': '/etc/passwd'})], 'f/b is not a plain file'),
        ([GOOD[0], ('f/b', b'', {'type': tarfile.FIFOTYPE})], 'f/b is not a plain file'),
        ([GOOD[0], ('f/b', b'', {'type': tarfile.CHRTYPE})], 'f/b is not a plain file'),
        ([GOOD[0], ('f/b', b'', {'type': tarfile.DIRTYPE})], 'f/b is not a plain file'),
        ([GOOD[0], ('f/b', bytes(1_100_000))], 'it unpacks to more than 1,000,000 bytes'),
        ([('bomb', bytes(1_100_000)), *GOOD], 'it unpacks to more than 1,000,000 bytes'),
        ([GOOD[0], ('f/b', b'', {'size': 1 << 40})], 'unexpected end of data'),
    ],
)
def test_what_is_odd_is_refused_by_its_name(path, members, problem):
    write(path, tar(*members))
    with pytest.raises(DAMAGES, match=problem):
        read_members(path, ['f/a', 'f/b'])


@pytest.mark.parametrize('kind', ['GNU.sparse.map', 'type'])
def test_a_sparse_member_is_refused(path, kind):
    """It would have 8 GB."""
    sparse = {'GNU.sparse.map': '0,2', 'GNU.sparse.size': str(1 << 33), 'GNU.sparse.name': 'f/b'}
    attributes = {'type': tarfile.GNUTYPE_SPARSE} if kind == 'type' else {'pax_headers': sparse}
    write(path, tar(GOOD[0], ('f/b', b'ab', attributes), form=tarfile.PAX_FORMAT))
    with pytest.raises(DAMAGES, match='f/b is not a plain file'):
        read_members(path, ['f/b'])


def test_a_bomb_ends_soon(path):
    """It says that it has 100 GB, and has 1 GB of zeros."""
    one = gzip.compress(bytes(1 << 24))
    header = tar(('f/a', b'', {'size': 100 << 30}), mode='w')[:512]
    write(path, gzip.compress(header) + one * 64)
    begun = time.monotonic()
    with pytest.raises(DAMAGES, match='it unpacks to more than 268,435,456 bytes'):
        read_members(path, ['f/a'])
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    'content', [b'', b'x', b'\x1f\x8b', bytes(600), b'<html>' * 1000, gzip.compress(b'x' * 600)], ids=range(6)
)
def test_what_is_no_archive_is_refused(path, content):
    write(path, content)
    with pytest.raises(DAMAGES):
        read_members(path, ['f/a'])


def test_a_chain_of_headers_is_refused(path):
    """Each says that the next one has a longer name; tarfile calls itself for each."""
    header = tarfile.TarInfo('x')
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 0
    write(path, gzip.compress(header.tobuf(tarfile.GNU_FORMAT) * 3000))
    with pytest.raises(DAMAGES):
        read_members(path, ['f/a'])


@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir, lambda path: os.symlink('nowhere', path)])
def test_a_pipe_is_no_file_and_nobody_waits_for_it(path, make):
    make(path)
    with pytest.raises(UserError, match='x.tar.gz is not a file'):
        read_file(path)


@pytest.mark.usefixtures('small_limit')
def test_a_file_has_a_limit(path):
    write(path, bytes(1_000_000))
    assert len(read_file(path)) == 1_000_000
    write(path, bytes(1_000_001))
    with pytest.raises(UserError, match='longer than 1,000,000 bytes'):
        read_file(path)
