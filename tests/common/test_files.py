"""Digests and atomic writing."""

import os

import pytest

from common import files


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


def test_a_name_that_is_not_utf_8_can_be_printed():
    assert files.printable(os.fsdecode(b'caf\xe9')) == 'caf\\xe9' and files.printable('café 東京') == 'café 東京'
    files.printable(os.fsdecode(b'\xff')).encode()
