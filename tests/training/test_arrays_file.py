"""MXNet's files of arrays: what MXNet wrote is read as MXNet reads it, and anything else is one line."""

import struct

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
from training import arrays_file

ARRAYS = {'arg:weight': np.arange(24).reshape(2, 3, 4) / 7, 'aux:mean': np.array([1.5])}


@pytest.fixture
def path(tmp_path):
    """A file of two arrays that MXNet wrote."""
    mx.nd.save(str(tmp_path / 'two.params'), {name: mx.nd.array(values) for name, values in ARRAYS.items()})
    return str(tmp_path / 'two.params')


def change(path, offset, format_, value):
    """Overwrite a number of a file."""
    with open(path, 'r+b') as file:
        file.seek(offset)
        file.write(struct.pack(f'<{format_}', value))


def test_it_reads_what_mxnet_reads(path):
    ours, theirs = arrays_file.load(path), mx.nd.load(path)
    assert list(ours) == list(theirs) == list(ARRAYS)
    for name, array in ours.items():
        assert array.dtype == np.float32 and array.shape == theirs[name].shape
        np.testing.assert_array_equal(array.asnumpy(), theirs[name].asnumpy())


# The first array begins at byte 24: mark, storage (28), axes (32), shape (36, 44, 52), device (60, 64), type (68).
@pytest.mark.parametrize(
    'offset, format_, value, expected',
    [
        (0, 'Q', 7, 'does not begin as one'),
        (16, 'Q', 2**60, 'array 2 does not begin as one'),
        (24, 'I', 3, 'array 0 does not begin as one'),
        (28, 'i', 1, 'array 0 is sparse'),
        (32, 'i', 2**31 - 1, 'has 2147483647 axes'),
        (32, 'i', 0, 'has 0 axes'),
        (36, 'q', 2**62, 'ends too early'),
        (36, 'q', -2, 'has the shape'),
        (68, 'i', 2, 'is of type float16'),
        (72, 'f', np.nan, 'arg:weight has values that are not finite'),
        (72, 'f', np.inf, 'arg:weight has values that are not finite'),
        (0, '1000s', b'text', 'does not begin as one'),
    ],
)
def test_hostile_headers_are_one_line(path, offset, format_, value, expected):
    change(path, offset, format_, value)
    with pytest.raises(UserError, match=expected):
        arrays_file.load(path)


def test_names_are_unique_printable_and_as_many_as_arrays(path):
    with open(path, 'rb') as file:
        content = file.read()
    for changed, expected in (
        (content.replace(b'aux:mean', b'aux\x1bmean'), 'a name cannot be printed'),
        (content[:-8] + b'\xff' * 8, "can't decode"),
        (content + b'x', '1 bytes follow its end'),
        (content[:-20], 'ends too early'),
    ):
        with open(path, 'wb') as file:
            file.write(changed)
        with pytest.raises(UserError, match=expected):
            arrays_file.load(path)


@pytest.mark.parametrize('kind', ['float16', 'float64', 'int32', 'row_sparse', 'csr'])
def test_other_types_and_sparse_arrays_are_refused(tmp_path, kind):
    array = mx.nd.ones((3, 4))
    array = array.tostype(kind) if kind in ('row_sparse', 'csr') else array.astype(kind)
    mx.nd.save(str(tmp_path / 'other.params'), {'arg:x': array})
    with pytest.raises(UserError, match='is sparse|only float32 is read'):
        arrays_file.load(str(tmp_path / 'other.params'))
