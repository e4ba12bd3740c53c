"""Every damage changes the file, the same one for the same seed, and says where."""

import os
from random import Random

import pytest

from tests.faults import damages
from tests.faults.damages import DAMAGES


@pytest.mark.parametrize('name', DAMAGES)
def test_a_damage_changes_the_file_as_its_seed_says(tmp_path, name):
    text, results, saids = 'epoch,lr\n1,0.1\n2,0.1\n', [], []
    (tmp_path / 'other').write_text('epoch,lr\n1,0.2\n2,0.2\n')
    for _ in range(2):
        (tmp_path / 'file').write_text(text)
        saids.append(DAMAGES[name](str(tmp_path / 'file'), Random(3), str(tmp_path / 'other')))
        results.append((tmp_path / 'file').read_bytes() if os.path.exists(tmp_path / 'file') else None)
    assert results[0] == results[1] != text.encode() and saids[0] == saids[1]


def test_a_bit_is_flipped_and_flipped_back(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'\x00\x00')
    damages.flip_bit(str(path), 11)
    assert path.read_bytes() == b'\x00\x08'
    damages.flip_bit(str(path), 11)
    assert path.read_bytes() == b'\x00\x00'


def test_a_line_cut_off_leaves_whole_lines(tmp_path):
    path = tmp_path / 'file'
    path.write_text('a\nb\nc\n')
    damages.cut_last_line(str(path), Random(0))
    assert path.read_text() == 'a\nb\n'
