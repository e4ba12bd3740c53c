"""The journal: what it keeps of an unfinished split, and for whom it is open."""

import contextlib
import json

import pytest

from common.errors import UserError
from data.packing import journal
from data.packing.journal import Journal

HEADER = {'format': 1, 'images': 6}


def add(opened, tmp_path, number, content):
    """Append a chunk."""
    path = tmp_path / 'chunk'
    path.write_bytes(content)
    opened.append(str(path), {'chunk': number, 'bytes': len(content)})
    assert not path.exists()


@pytest.fixture
def unfinished(tmp_path):
    """Two chunks, of 3 and 5 bytes; the files' common prefix."""
    with contextlib.closing(Journal(str(tmp_path / 'x.unfinished'))) as opened:
        assert opened.resume(HEADER) == 0
        add(opened, tmp_path, 0, b'abc')
        add(opened, tmp_path, 1, b'defgh')
    return str(tmp_path / 'x.unfinished')


def test_whole_chunks_are_kept(unfinished, tmp_path):
    with contextlib.closing(Journal(unfinished)) as opened:
        assert opened.resume(HEADER) == 2
        add(opened, tmp_path, 2, b'ij')
        assert [entry['bytes'] for entry in opened.entries()] == [3, 5, 2]
    assert (tmp_path / 'x.unfinished.rec').read_bytes() == b'abcdefghij'


def test_an_altered_line_ends_what_is_kept(unfinished, tmp_path):
    text = (tmp_path / 'x.unfinished.jsonl').read_bytes()
    (tmp_path / 'x.unfinished.jsonl').write_bytes(text.replace(b'"bytes": 5', b'"bytes": 4'))
    with contextlib.closing(Journal(unfinished)) as opened:
        assert opened.resume(HEADER) == 1
    assert (tmp_path / 'x.unfinished.rec').read_bytes() == b'abc'


def test_lines_of_earlier_versions_had_no_checksum(unfinished, tmp_path):
    lines = (tmp_path / 'x.unfinished.jsonl').read_text().splitlines()
    (tmp_path / 'x.unfinished.jsonl').write_text(''.join(line.split('\t')[0] + '\n' for line in lines))
    with contextlib.closing(Journal(unfinished)) as opened:
        assert opened.resume(HEADER) == 2


def test_another_header_starts_over(unfinished, tmp_path):
    with contextlib.closing(Journal(unfinished)) as opened:
        assert opened.resume({**HEADER, 'images': 7}) == 0
    assert (tmp_path / 'x.unfinished.rec').read_bytes() == b''
    assert json.loads((tmp_path / 'x.unfinished.jsonl').read_text().split('\t')[0]) == {**HEADER, 'images': 7}


def test_it_is_open_for_one_process_alone(unfinished):
    with contextlib.closing(Journal(unfinished)):
        with pytest.raises(UserError, match='another process is making .*/x.rec: wait for it'):
            Journal(unfinished)
    Journal(unfinished).close()


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path, monkeypatch):
    def denied(path, mode):
        raise PermissionError(13, 'Permission denied', path)

    monkeypatch.setattr(journal, 'open', denied, raising=False)
    with pytest.raises(UserError, match='make a folder of your own with links .* --data-dir'):
        Journal(str(tmp_path / 'x.unfinished'))
