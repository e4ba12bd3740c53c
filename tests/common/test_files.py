"""Digests and atomic writing."""

import errno
import fcntl
import os
import stat
import subprocess
import sys

import pytest

from common import files
from common.errors import UserError
from tests.conftest import ROOT


@pytest.mark.parametrize(
    'algorithm, expected',
    [
        ('md5', '7707d6ae4e027c70eea2a935c2296f21'),
        ('sha256', 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'),
    ],
)
def test_the_digest_of_a_million_letters(tmp_path, algorithm, expected):
    """RFC 1321's and FIPS 180's test vector."""
    (tmp_path / 'a').write_bytes(b'a' * 10**6)
    assert files.file_digest(str(tmp_path / 'a'), algorithm) == expected


def test_a_digest_goes_on_after_the_first_block(tmp_path, monkeypatch):
    (tmp_path / 'a').write_bytes(b'abc')
    monkeypatch.setattr(files, 'BLOCK', 2)
    assert files.file_digest(str(tmp_path / 'a'), 'md5') == '900150983cd24fb0d6963f7d28e17f72'


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / 'metrics.csv'
    path.write_text('a longer text before')
    files.write_atomically(str(path), 'µ\r\n')
    assert path.read_bytes() == 'µ\r\n'.encode() and os.listdir(tmp_path) == ['metrics.csv']


def test_a_failure_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    def fail(handle):
        raise OSError('no space left')

    path = tmp_path / 'metrics.csv'
    path.write_text('before')
    monkeypatch.setattr(files.os, 'fsync', fail)
    with pytest.raises(OSError, match='no space left'):
        files.write_atomically(str(path), 'after')
    assert path.read_text() == 'before'


def test_a_pipe_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    reader = os.open(tmp_path / 'pipe', os.O_RDONLY | os.O_NONBLOCK)
    files.write_atomically(str(tmp_path / 'pipe'), 'text')
    assert os.read(reader, 100) == b'text' and stat.S_ISFIFO(os.stat(tmp_path / 'pipe').st_mode)
    os.close(reader)


def test_a_folder_that_may_not_be_written_to_is_noticed_before_the_work(tmp_path):
    files.check_outputs(str(tmp_path / 'new'), '/dev/null')
    before = os.getresuid()
    if 0 in before:  # root may write anywhere
        try:
            os.setresuid(65534, 65534, 0)
        except OSError:
            pytest.skip('this container has no other user')
    try:
        with pytest.raises(UserError, match='/new cannot be written: you may not write to /$'):
            files.check_outputs('/new')
    finally:
        os.setresuid(*before)


def test_a_folder_that_mxnet_would_not_find_is_noticed_before_the_work(tmp_path, monkeypatch):
    files.check_folder(str(tmp_path / 'käse'), '--log-dir')
    with pytest.raises(UserError, match='is not UTF-8 here'):
        files.check_folder(os.fsdecode(bytes(tmp_path / 'caf') + b'\xe9'), '--log-dir')
    monkeypatch.setattr(os, 'fsencode', lambda path: path.encode('latin-1'))  # of another locale
    with pytest.raises(UserError, match='is not UTF-8 here'):
        files.check_folder(str(tmp_path / 'käse'), '--log-dir')


def test_standard_output_in_a_file_stays_what_it_is(tmp_path):
    code = "from common import files as f; f.check_outputs('/dev/stdout'); f.write_atomically('/dev/stdout', 'x')"
    with open(tmp_path / 'out', 'w') as out:
        subprocess.run([sys.executable, '-c', code], cwd=ROOT, stdout=out, check=True)
    assert (tmp_path / 'out').read_text() == 'x' and os.path.islink('/dev/stdout')


def test_any_other_failure_of_a_lock_is_raised(tmp_path, monkeypatch, capsys):
    with open(tmp_path / 'file', 'w') as first, open(tmp_path / 'file') as second:
        files.lock(first.fileno(), 'file', '')
        with pytest.raises(BlockingIOError):
            files.lock(second.fileno(), 'file', '')
    with pytest.raises(OSError, match='Bad file descriptor'):
        files.lock(10**6, 'file', '')
    assert capsys.readouterr() == ('', '')


@pytest.mark.parametrize('held', ['', files.LOCK])
def test_a_folder_is_locked_for_this_machine_and_by_a_file_for_the_others(tmp_path, held):
    (tmp_path / files.LOCK).touch()  # left behind by a process that was killed
    other = os.open(tmp_path / held, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError):
        files.lock_folder(str(tmp_path), '')
    os.close(other)
    with files.lock_folder(str(tmp_path), ''), pytest.raises(BlockingIOError):
        files.lock_folder(str(tmp_path), '')
    assert os.listdir(tmp_path) == []
    files.lock_folder(str(tmp_path), '').close()


def test_a_folder_that_was_removed_meanwhile_is_not_locked(tmp_path, monkeypatch):
    """flock succeeds on a folder that is gone, and another process may have made a new one of its name."""
    lock, folder = files.lock, tmp_path / 'folder'
    folder.mkdir()

    def remove_and_lock(*arguments):
        if folder.exists():
            folder.rmdir()
        return lock(*arguments)

    monkeypatch.setattr(files, 'lock', remove_and_lock)
    with pytest.raises(BlockingIOError):
        files.lock_folder(str(folder), '')


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / 'real').mkdir()
    (tmp_path / 'real' / 'file').write_text('before')
    (tmp_path / 'file').symlink_to('real/file')
    files.check_outputs(str(tmp_path / 'file'))
    files.write_atomically(str(tmp_path / 'file'), 'after')
    assert (tmp_path / 'file').is_symlink() and (tmp_path / 'real' / 'file').read_text() == 'after'


def test_a_lock_that_was_removed_meanwhile_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(files, 'lock', lambda *_: not (tmp_path / files.LOCK).unlink(missing_ok=True))
    with pytest.raises(BlockingIOError):
        files.lock_folder(str(tmp_path), '')


def test_a_lock_that_cannot_be_removed_stays(tmp_path, monkeypatch):
    def fail(path):
        raise PermissionError(errno.EPERM, 'Operation not permitted', path)

    monkeypatch.setattr(files.os, 'remove', fail)
    files.lock_folder(str(tmp_path), '').close()
    files.lock_folder(str(tmp_path), '').close()
    assert os.listdir(tmp_path) == [files.LOCK]


def test_a_file_that_another_machine_removed_is_tried_again(tmp_path, monkeypatch):
    def lock(handle, *_):
        if os.path.isfile(f'/proc/self/fd/{handle}'):
            raise OSError(errno.ESTALE, 'Stale file handle')
        return True

    monkeypatch.setattr(files, 'lock', lock)
    with pytest.raises(BlockingIOError):
        files.lock_folder(str(tmp_path), '')


def test_a_folder_that_two_links_lead_to_is_entered_once(tmp_path):
    for folder in ('top', 'x/y'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'x' / 'y' / 'file').touch()
    os.symlink(tmp_path / 'x', tmp_path / 'top' / 'l1')
    os.symlink(tmp_path / 'x' / 'y', tmp_path / 'top' / 'l2')
    assert sum(names == ['file'] for _, _, names in files.walk(str(tmp_path / 'top'))) == 1


def test_a_folder_that_is_removed_meanwhile_is_passed_over(tmp_path):
    """As a run that is training removes its old checkpoints."""
    for name in 'abc':
        (tmp_path / 'top' / name).mkdir(parents=True)
    seen = []
    for parent, folders, _ in files.walk(str(tmp_path / 'top')):
        seen.append(os.path.basename(parent))
        if folders:
            os.rmdir(tmp_path / 'top' / 'b')
    assert sorted(seen) == ['a', 'c', 'top']


def test_a_folder_where_no_file_can_be_made_is_locked_all_the_same(tmp_path):
    os.mkdir(tmp_path / files.LOCK)  # root may write to a read-only one
    with files.lock_folder(str(tmp_path), ''), pytest.raises(BlockingIOError):
        files.lock_folder(str(tmp_path), '')


@pytest.mark.parametrize('number', [errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_cannot_flush_is_written_to_all_the_same(tmp_path, monkeypatch, number):
    def fail(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, 'fsync', fail)
    files.write_atomically(str(tmp_path / 'file'), 'text')
    files.fsync(str(tmp_path))
    assert (tmp_path / 'file').read_text() == 'text'


@pytest.mark.parametrize('number', [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_what_did_not_reach_the_disk_is_an_error(tmp_path, monkeypatch, number):
    def fail(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, 'fsync', fail)
    with pytest.raises(OSError) as raised:
        files.fsync(str(tmp_path))
    assert raised.value.errno == number


def test_everything_that_locks_or_flushes_does_it_here():
    for folder, _, names in os.walk(ROOT):
        inside = os.path.relpath(folder, ROOT).split(os.sep)[0]
        if inside.startswith('.') and inside != '.' or inside == 'tests':
            continue
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith('.py') and path != files.__file__:
                with open(path, encoding='utf-8') as file:
                    text = file.read()
                assert 'os.fsync(' not in text and 'fcntl.flock(' not in text, path
