"""How a batch is split over devices."""

import pytest

from common.sharding import Shard, split_evenly


@pytest.mark.parametrize('images, devices', [(64, 2), (16, 3), (7, 8), (0, 2)])
def test_the_parts_are_the_batch_and_differ_by_one_image_at_most(images, devices):
    parts = [list(range(images))[part] for part in split_evenly(images, devices)]
    assert sum(parts, []) == list(range(images)) and len(parts) == devices
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_workers_take_their_devices_of_the_job():
    """Two workers with one and two devices."""
    assert Shard(0, 1, 3).slices(9) == [slice(0, 3)]
    assert Shard(1, 2, 3).slices(9) == [slice(3, 6), slice(6, 9)]
