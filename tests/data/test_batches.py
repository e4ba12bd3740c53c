"""Batches: normalization and augmentation against plain numpy, order as a function of seed and epoch."""

import numpy as np
import pytest

from common.sharding import Shard
from data.batches import Normalization, TrainBatches, evaluation_batches

MEAN, STD = (125.307, 122.950, 113.865), (62.993, 62.089, 66.705)


@pytest.fixture
def images(random):
    return random.randint(0, 256, (150, 3, 32, 32)).astype(np.uint8)


@pytest.fixture
def labels():
    return np.arange(150)  # each image is known by its label


def make(images, labels, **options):
    return TrainBatches(images, labels, 64, Normalization(MEAN, STD), **{'seed': 1, **options})


def normalized(images):
    return (images - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]


def crops(image, pad_value):
    """{(top, left, mirrored): crop} of one image (3, 32, 32), normalized: by the definition, 162 of them."""
    if pad_value == 'zero':  # the paper: zeros before normalization
        padded = normalized(np.pad(image, ((0, 0), (4, 4), (4, 4))))
    else:  # the released code: the channel's mean, zero after it
        padded = np.pad(normalized(image), ((0, 0), (4, 4), (4, 4)))
    plain = {(top, left, False): padded[:, top : top + 32, left : left + 32] for top in range(9) for left in range(9)}
    return {**plain, **{(top, left, True): crop[..., ::-1] for (top, left, _), crop in plain.items()}}


@pytest.mark.parametrize('pad_value', ['zero', 'mean'])
def test_every_image_is_a_crop_of_its_original(images, labels, pad_value):
    found = set()
    for ((data, batch_labels),), _ in make(images, labels, pad_value=pad_value).epoch(1):
        for image, label in zip(data, batch_labels.astype(int)):
            close = [
                place for place, crop in crops(images[label], pad_value).items() if np.abs(crop - image).max() < 1e-5
            ]
            assert len(close) == 1
            found.update(close)
    tops, lefts, mirrors = zip(*found)
    assert set(tops) == set(lefts) == set(range(9)) and set(mirrors) == {False, True}


def test_mirrors_are_half_and_crops_uniform(random):
    batches = make(np.zeros((20000, 3, 32, 32), np.uint8), np.zeros(20000))
    _, top, left, flip = batches._draw(1)
    assert abs(flip.mean() - 0.5) < 0.02
    for corner in (top, left):
        assert np.abs(np.bincount(corner, minlength=9) / 20000 - 1 / 9).max() < 0.01
    assert abs(np.corrcoef(top, left)[0, 1]) < 0.03


def test_without_mirror_and_padding_images_are_as_they_are(images, labels):
    for ((data, batch_labels),), _ in make(images, labels, pad=0, mirror=False).epoch(1):
        np.testing.assert_allclose(data, normalized(images[batch_labels.astype(int)]), atol=1e-5)


def test_an_epoch_shows_every_image_once_the_last_batch_shorter(images, labels):
    batches = make(images, labels)
    sizes, seen = [], []
    for ((data, batch_labels),), _ in batches.epoch(3):
        sizes.append(len(data))
        seen += batch_labels.tolist()
    assert sizes == [64, 64, 22] and sorted(seen) == list(range(150))


def test_an_epoch_is_a_function_of_seed_and_epoch(images, labels):
    def of(seed, epoch, start=0):
        return [(data.tobytes(), tuple(y)) for ((data, y),), _ in make(images, labels, seed=seed).epoch(epoch, start)]

    assert of(1, 1) == of(1, 1)
    assert of(1, 1) != of(1, 2) and of(1, 1) != of(2, 1)
    assert of(1, 5, start=2) == of(1, 5)[2:]


@pytest.mark.parametrize('total', [2, 3])
def test_the_devices_of_all_workers_share_each_batch(images, labels, total):
    """One process with all devices, or a process for each, have together what one device has."""

    def of(first, count):
        return [parts for parts, _ in make(images, labels, shard=Shard(first, count, total)).epoch(1)]

    alone = [part for (part,), _ in make(images, labels).epoch(1)]
    together, each = of(0, total), [of(device, 1) for device in range(total)]
    for step, (data, batch_labels) in enumerate(alone):
        for parts in (together[step], [own[step][0] for own in each]):
            assert len(parts) == total
            np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), data)
            np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), batch_labels)


def test_evaluation_never_augments(images, labels):
    data, seen = zip(*evaluation_batches(images, labels, 64, Normalization(MEAN, STD)))
    np.testing.assert_allclose(np.concatenate(data), normalized(images), atol=1e-5)
    np.testing.assert_array_equal(np.concatenate(seen), labels)
