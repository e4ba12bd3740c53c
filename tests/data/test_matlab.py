"""MATLAB files, read in another process: the same arrays as scipy's, and one exception for whatever happens to it."""

import os

import numpy as np
import pytest
import scipy.io

from data import matlab
from tests.data.small_imagenet import edit


@pytest.fixture
def arrays(random):
    return {'X': random.randint(0, 256, (4, 5, 3, 7)).astype(np.uint8), 'y': np.arange(7.0)[:, None]}


@pytest.fixture
def path(arrays, tmp_path):
    scipy.io.savemat(str(tmp_path / 'x.mat'), arrays)
    return str(tmp_path / 'x.mat')


def read(path, *names):
    with open(path, 'rb') as file:
        return matlab.read_arrays(file, list(names or ('X', 'y')))


@pytest.mark.parametrize('compressed', [False, True])
def test_the_arrays_are_those_that_scipy_reads(path, arrays, compressed):
    scipy.io.savemat(path, arrays, do_compression=compressed)
    found, expected = read(path), scipy.io.loadmat(path)
    assert list(found) == ['X', 'y']
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])
        assert array.dtype == expected[name].dtype and array.flags.writeable


@pytest.mark.parametrize('content', ['text', np.empty((0, 3)), {'a': 1}, [[1, 'x']], np.ones(3) * 1j])
def test_what_is_no_array_of_numbers_is_refused(path, content):
    scipy.io.savemat(path, {'X': content, 'y': np.arange(3)})
    with pytest.raises(matlab.Unreadable, match='it has no array X of numbers'):
        read(path)
    with pytest.raises(matlab.Unreadable, match='it has no array z of numbers'):
        read(path, 'z')


def test_an_array_beyond_all_memory_is_refused(path):
    """Its file says that it has 2^31 - 1 images."""
    edit(path, lambda content: content.replace(np.array([4, 5, 3, 7], '<i4'), np.array([4, 5, 3, 2**31 - 1], '<i4')))
    with pytest.raises(matlab.Unreadable):
        read(path)


@pytest.mark.parametrize('place', [0, 124, 126, 132, 136, 140, 144, 160, 176, 180, 184, 190, 300])
def test_damage_ends_in_an_exception_or_in_arrays(path, place):
    edit(path, lambda content: content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
    try:
        assert read(path).keys() == {'X', 'y'}
    except matlab.Unreadable as error:
        assert str(error)


@pytest.mark.parametrize(
    'program, problem',
    [
        ('import os; os.kill(os.getpid(), 11)', 'the process that reads it ended by SIGSEGV'),
        ('import os; os.kill(os.getpid(), 9)', 'was killed, probably out of memory'),
        ('import os; os._exit(3)', 'status 3'),
        ("""print('{"shape": [9], "dtype": "|u1"}\\nab', end='')""", 'status 0'),
        ("""print('{"shape": [9], ', end='')""", 'status 0'),
    ],
)
def test_the_death_of_the_process_is_an_exception(path, tmp_path, monkeypatch, program, problem):
    """As scipy dies of some files."""
    (tmp_path / 'dies.py').write_text(program)
    monkeypatch.setattr(matlab, '__file__', str(tmp_path / 'dies.py'))
    with pytest.raises(matlab.Unreadable, match=problem):
        read(path)


def test_its_memory_is_limited(path, tmp_path, monkeypatch):
    with open(matlab.__file__) as file:
        (tmp_path / 'small.py').write_text(file.read().replace('MEMORY = 4 << 30', 'MEMORY = 300 << 20'))
    monkeypatch.setattr(matlab, '__file__', str(tmp_path / 'small.py'))
    assert len(read(path)) == 2
    scipy.io.savemat(path, {'X': np.zeros(200_000_000, np.uint8), 'y': np.arange(3)}, do_compression=True)
    assert os.path.getsize(path) < 5_000_000
    with pytest.raises(matlab.Unreadable, match='it asks for more than 300 MB of memory'):
        read(path)
