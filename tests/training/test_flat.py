"""Arrays side by side: each is apart from the others, and the long array is all of them."""

import numpy as np
import pytest

from common.mxnet import mx
from training import flat
from training.flat import Flat

SHAPES = {'weight': (4, 3, 3, 3), 'gamma': (4,), 'bias': (1,), 'fc': (10, 70)}


@pytest.mark.parametrize('bucket, expected', [(2**20, 1), (256, 2), (1, 4)])
def test_what_is_written_to_an_array_is_in_its_bucket_and_nowhere_else(monkeypatch, random, bucket, expected):
    monkeypatch.setattr(flat, 'BUCKET', bucket)
    values = {name: random.randn(*shape).astype(np.float32) for name, shape in SHAPES.items()}
    found = Flat(SHAPES, mx.cpu())
    assert len(found.buckets) == expected
    assert not any(bucket.asnumpy().any() for bucket in found.buckets)
    for name, value in values.items():
        found.arrays[name][:] = value
    for name, value in values.items():
        np.testing.assert_array_equal(found.arrays[name].asnumpy(), value)
    together = np.concatenate([bucket.asnumpy() for bucket in found.buckets])
    np.testing.assert_array_equal(together[together != 0], np.concatenate([v.ravel() for v in values.values()]))

    for long in found.buckets:
        long *= 2
    for name, value in values.items():
        np.testing.assert_array_equal(found.arrays[name].asnumpy(), 2 * value)
    assert not any(bucket.asnumpy().any() for bucket in found.zeros_like().buckets)
    assert [bucket.shape for bucket in found.zeros_like().buckets] == [bucket.shape for bucket in found.buckets]


def test_every_array_begins_on_256_bytes():
    (bucket, _), *_ = places = flat._places(SHAPES)[0].values()
    assert bucket == 0 and all(place.start % 64 == 0 for _, place in places)
