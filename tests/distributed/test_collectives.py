"""What devices of one process exchange; several workers: test_workers.py."""

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
from common.sharding import Shard
from distributed.collectives import Collectives

# Drops collectives whose sums are still queued. MXNet then puts other stores there, with thresholds by which no sum can
# be divided into tasks.
DROP = """
import os
from common.mxnet import mx
from distributed.collectives import Collectives
arrays = [mx.nd.ones((1000, 1000), mx.cpu(device)) for device in range(2)]
for _ in range(5):
    os.environ.pop('MXNET_KVSTORE_BIGARRAY_BOUND', None)
    collectives = Collectives({kind!r}, 2)
    key = collectives.new_key(arrays[0].shape)
    for array in arrays:
        array[:] = 1
    for _ in range(8):
        collectives.all_reduce(key, arrays)
    del collectives
    os.environ['MXNET_KVSTORE_BIGARRAY_BOUND'] = '0'
    others = [mx.kv.create({kind!r}) for _ in range(3)]
    assert all((array.asnumpy() == 2**8).all() for array in arrays)
"""


@pytest.mark.parametrize('kind', ['local', 'device'])
def test_a_sum_over_the_devices_of_a_process(kind, random):
    collectives, values = Collectives(kind, 3), random.randn(2, 3, 5).astype(np.float32)
    keys = [collectives.new_key((5,)), collectives.new_key((5,))]
    for key, of_key in zip(keys, values):
        arrays = [mx.nd.array(value, mx.cpu(device)) for device, value in enumerate(of_key)]
        collectives.all_reduce(key, arrays)
        for array in arrays:
            np.testing.assert_allclose(array.asnumpy(), of_key.sum(axis=0), rtol=1e-6)
    collectives.broadcast(keys[0], arrays := [mx.nd.array(value, mx.cpu(i)) for i, value in enumerate(values[0])])
    for array in arrays:
        np.testing.assert_array_equal(array.asnumpy(), values[0][0])


def test_a_process_with_one_device_keeps_what_it_has(random):
    collectives, value = Collectives(), random.randn(5).astype(np.float32)
    array = mx.nd.array(value)
    key = collectives.new_key((5,))
    collectives.all_reduce(key, [array])
    collectives.broadcast(key, [array])
    np.testing.assert_array_equal(array.asnumpy(), value)


@pytest.mark.parametrize('devices', [1, 2])
def test_a_process_by_itself_is_rank_0_of_one_worker(devices):
    collectives = Collectives('local', devices)
    assert (collectives.rank, collectives.num_workers, collectives.shard) == (0, 1, Shard(0, devices, devices))
    assert list(collectives.all_reduce_numbers([1, 0.1])) == [1, 0.1]  # not rounded to float32
    assert collectives.all_gather(np.array([1, 2], np.float32)).tolist() == [[1, 2]]
    assert collectives.broadcast_object({'rate': 0.1}) == {'rate': 0.1} and collectives.barrier() is None


@pytest.mark.parametrize('kind', ['local', 'device'])
def test_what_is_queued_survives_the_collectives(kind, command):
    command('-c', DROP.format(kind=kind), check=0)


def test_collectives_that_go_leave_the_errors_of_other_arrays():
    failed = mx.nd.random.normal(0, -1, (4,)) * 2  # a negative deviation, which fails when it is computed
    collectives = Collectives('local', 2)
    collectives.all_reduce(collectives.new_key((4,)), [mx.nd.ones(4, mx.cpu(device)) for device in range(2)])
    del collectives
    with pytest.raises(mx.MXNetError, match='has to be positive'):
        failed.asnumpy()


@pytest.mark.parametrize('kind', ['dist_sync', 'dist_device_sync'])
def test_several_workers_have_to_be_launched(kind):
    with pytest.raises(UserError, match=f'--kv-store {kind} is for several workers: start them with '):
        Collectives(kind)


@pytest.mark.parametrize('kind', ['local', 'device'])
def test_launched_workers_have_to_add_up(monkeypatch, kind):
    monkeypatch.setenv('DMLC_PS_ROOT_URI', '127.0.0.1')
    monkeypatch.setenv('DMLC_ROLE', 'worker')
    with pytest.raises(UserError, match=f'{kind} every worker of this job would train by itself: choose dist_sync'):
        Collectives(kind)
