"""The batches of ImageNet, on files whose records are known."""

import shutil
import time

import cv2
import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
from common.sharding import Shard
from data import image_records
from data.augmentation import MEAN, STD
from data.image_records import ImageRecords, Reader, TrainRecords, evaluation_batches

RECORDS = 45
ABOUT = {'records': RECORDS, 'labels': [1] * RECORDS, 'shorter_side': 256}


@pytest.fixture(scope='module')
def originals():
    """Smooth images of shorter side 256, wide and high, RGB."""
    random = np.random.RandomState(3)
    sizes = [(256, 300), (310, 256), (256, 256)]
    return [
        cv2.resize(
            random.randint(0, 256, (6, 6, 3)).astype(np.uint8), sizes[i % 3][::-1], interpolation=cv2.INTER_CUBIC
        )
        for i in range(RECORDS)
    ]


@pytest.fixture(scope='module')
def prefix(tmp_path_factory, originals):
    """RecordIO with those images, lossless; labels are the numbers of the records."""
    path = str(tmp_path_factory.mktemp('records') / 'x')
    write_records(path, originals)
    return path


def write_records(path, images):
    """Images RGB."""
    record = mx.recordio.MXIndexedRecordIO(path + '.idx', path + '.rec', 'w')
    for i, image in enumerate(images):
        record.write_idx(i, mx.recordio.pack_img(mx.recordio.IRHeader(0, float(i), i, 0), image[..., ::-1], 3, '.png'))
    record.close()


def read(prefix, epoch, first=0, count=1, total=1, batch=8, seed=1, start=0):
    """An epoch as [(labels, data) of each device] of each step."""
    train = TrainRecords(prefix, ABOUT, batch, seed, Shard(first, count, total))
    return [[(tuple(labels), data.copy()) for data, labels in parts] for parts, _ in train.epoch(epoch, start)]


def labels_of(steps):
    return [labels for parts in steps for labels, _ in parts]


def same(one, other):
    return len(one) == len(other) and all(
        a[0] == b[0] and (a[1] == b[1]).all() for left, right in zip(one, other) for a, b in zip(left, right)
    )


def test_an_epoch_can_be_repeated_and_taken_up_in_its_middle(prefix, monkeypatch):
    whole = read(prefix, 1)
    assert same(whole, read(prefix, 1))
    for start in (1, 3, 5):
        assert same(whole[start:], read(prefix, 1, start=start))
    monkeypatch.setattr(image_records, 'share_of_cores', lambda: 7)  # threads, which get in each other's way
    assert same(whole, read(prefix, 1))


def test_what_came_before_the_middle_is_not_decoded(prefix, monkeypatch):
    decoded, decode = [], cv2.imdecode
    monkeypatch.setattr(image_records.cv2, 'imdecode', lambda *arguments: decoded.append(1) or decode(*arguments))
    read(prefix, 1, start=4)
    assert len(decoded) == 8


def test_what_nobody_wants_any_more_is_not_decoded(prefix, monkeypatch):
    decoded, decode = [], cv2.imdecode

    def slow(*arguments):
        decoded.append(1)
        time.sleep(0.02)
        return decode(*arguments)

    monkeypatch.setattr(image_records.cv2, 'imdecode', slow)
    monkeypatch.setattr(image_records, 'share_of_cores', lambda: 1)
    epoch = TrainRecords(prefix, ABOUT, 4, 1).epoch(1)
    next(epoch)
    epoch.close()
    assert len(decoded) <= 8  # two batches more were asked for; one of them may have been begun


def test_order_and_crops_are_new_in_every_epoch_and_of_every_seed(prefix):
    epochs = [read(prefix, epoch, seed=seed) for epoch, seed in ((1, 1), (2, 1), (3, 1), (1, 2))]
    assert len({tuple(labels_of(epoch)) for epoch in epochs}) == len(epochs)
    for label in range(RECORDS):
        shown = [
            data[labels.index(label)].tobytes() for epoch in epochs for ((labels, data),) in epoch if label in labels
        ]
        assert len(set(shown)) == len(shown)  # no image twice with the same crop


@pytest.mark.parametrize('total', [1, 2, 3, 4])
def test_the_devices_of_all_workers_share_each_batch_without_overlap(prefix, total):
    batch = 4 * total
    workers = [read(prefix, 2, first=device, total=total, batch=batch) for device in range(total)]
    assert [len(own) for own in workers] == [RECORDS // batch] * total
    seen = [label for own in workers for labels in labels_of(own) for label in labels]
    assert len(seen) == len(set(seen)) == batch * (RECORDS // batch)
    # one process with all the devices has the same shares as a process for each, and one device all of them
    together = read(prefix, 2, count=total, total=total, batch=batch)
    for device, own in enumerate(workers):
        assert same([[parts[device]] for parts in together], own)
    alone = read(prefix, 2, batch=batch)
    assert [sum((labels for labels, _ in parts), ()) for parts in together] == labels_of(alone)


def test_an_image_left_out_of_an_epoch_comes_in_others(prefix):
    epochs = [read(prefix, epoch, batch=30) for epoch in range(1, 10)]
    seen = {label for epoch in epochs for labels in labels_of(epoch) for label in labels}
    assert seen == set(range(RECORDS))


@pytest.mark.parametrize('batch_size', [1, 7, 15, 45, 100])
def test_an_evaluation_has_every_center_crop_once(prefix, originals, batch_size):
    for _ in range(2):
        batches = [(data.copy(), labels) for data, labels in evaluation_batches(Reader(prefix, ABOUT), batch_size)]
        assert np.concatenate([labels for _, labels in batches]).tolist() == list(range(RECORDS))
        data = np.concatenate([data for data, _ in batches])
    for image, ours in zip(originals, data):
        top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
        crop = image[top : top + 224, left : left + 224].astype(np.float64)
        np.testing.assert_allclose(ours, ((crop - MEAN) / STD).transpose(2, 0, 1), rtol=1e-5, atol=1e-5)


def test_a_damaged_image_is_one_error(prefix, tmp_path):
    damaged = str(tmp_path / 'x')
    for kind in ('.rec', '.idx'):
        shutil.copy(prefix + kind, damaged + kind)
    with open(damaged + '.rec', 'r+b') as file:
        file.seek(40)  # behind the first record's headers: its PNG's signature
        file.write(bytes(100))
    with pytest.raises(UserError, match='x.rec is damaged'):
        list(evaluation_batches(Reader(damaged, ABOUT), 8))
    with pytest.raises(UserError, match='x.rec is damaged'):
        read(damaged, 1)


@pytest.mark.parametrize('augmentation', list(image_records.AUGMENTATIONS))
def test_a_data_set_has_batches_with_the_augmentation_that_is_asked_for(tmp_path, augmentation, monkeypatch):
    path, asked = str(tmp_path / 'x'), []
    write_records(path, [np.full((480, 500, 3), i, np.uint8) for i in range(8)])
    augment = image_records.AUGMENTATIONS[augmentation]
    monkeypatch.setitem(
        image_records.AUGMENTATIONS,
        augmentation,
        lambda image, *more, **traits: asked.append(image.shape) or augment(image, *more, **traits),
    )
    about = {'records': 8, 'labels': [1] * 8, 'classes': ['a', 'b'], 'shorter_side': 480}
    dataset = ImageRecords({'train': path, 'val': path}, {'train': about, 'val': about})
    assert dataset.classes == ('a', 'b')
    batches = dataset.train_batches(4, 1, Shard(1, 1, 2), augmentation)
    (((part, _),), whole), *_ = batches.epoch(1)
    assert part.shape == (2, 3, 224, 224) and whole == 4 and batches.steps == 2 and batches.images_per_epoch == 8
    assert asked == [(480, 500, 3)] * 4  # this device's half of two batches
    assert sum(len(labels) for _, labels in dataset.evaluation_batches('val', 3)) == 8


def test_batches_that_do_not_come_out_even_are_one_error(prefix):
    with pytest.raises(UserError, match='--batch-size 10 cannot be split evenly over 4 devices'):
        TrainRecords(prefix, ABOUT, 10, 1, Shard(0, 4, 4))
    with pytest.raises(UserError, match='45 images are too few for a batch of 256: choose a smaller --batch-size'):
        TrainRecords(prefix, ABOUT, 256, 1)
