"""The batches of ImageNet, on files whose records are known."""
import shutil
import time

import cv2
import numpy as np
import pytest

from common.mxnet import mx
from data import image_records
from data.image_records import MEAN, STD, TrainRecords, evaluation_batches
from common.errors import UserError
from common.sharding import Shard

RECORDS = 45


@pytest.fixture(scope='module')
def originals():
    """Smooth images of shorter side 256, wide and high, RGB."""
    random = np.random.RandomState(3)
    sizes = [(256, 300), (310, 256), (256, 256)]
    return [cv2.resize(random.randint(0, 256, (6, 6, 3)).astype(np.uint8), sizes[i % 3][::-1],
                       interpolation=cv2.INTER_CUBIC) for i in range(RECORDS)]


@pytest.fixture(scope='module')
def prefix(tmp_path_factory, originals):
    """RecordIO with those images, lossless; labels are the numbers of the records."""
    path = str(tmp_path_factory.mktemp('records') / 'x')
    record = mx.recordio.MXIndexedRecordIO(path + '.idx', path + '.rec', 'w')
    for i, image in enumerate(originals):
        record.write_idx(i, mx.recordio.pack_img(mx.recordio.IRHeader(0, float(i), i, 0), image[..., ::-1], 3, '.png'))
    record.close()
    return path


def read(prefix, epoch, first=0, count=1, total=1, batch=8, seed=1, start=0):
    """An epoch as [(labels, data) of each device] of each step."""
    train = TrainRecords(prefix, RECORDS, batch, seed, Shard(first, count, total))
    return [[(tuple(labels), data.copy()) for data, labels in parts] for parts, _ in train.epoch(epoch, start)]


def labels_of(steps):
    return [labels for parts in steps for labels, _ in parts]


def same(one, other):
    return len(one) == len(other) and all(a[0] == b[0] and (a[1] == b[1]).all()
                                          for left, right in zip(one, other) for a, b in zip(left, right))


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
    epoch = TrainRecords(prefix, RECORDS, 4, 1, Shard()).epoch(1)
    next(epoch)
    epoch.close()
    assert len(decoded) <= 8  # two batches more were asked for; one of them may have been begun


def test_order_and_crops_are_new_in_every_epoch_and_of_every_seed(prefix):
    epochs = [read(prefix, epoch, seed=seed) for epoch, seed in ((1, 1), (2, 1), (3, 1), (1, 2))]
    assert len({tuple(labels_of(epoch)) for epoch in epochs}) == len(epochs)
    for label in range(RECORDS):
        shown = [data[labels.index(label)].tobytes() for epoch in epochs for (labels, data), in epoch
                 if label in labels]
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
    epochs = [read(prefix, epoch, batch=30) for epoch in range(1, 13)]
    seen = {label for epoch in epochs for labels in labels_of(epoch) for label in labels}
    assert seen == set(range(RECORDS))


@pytest.mark.parametrize('batch_size', [1, 7, 15, 45, 100])
def test_an_evaluation_has_every_centre_crop_once(prefix, originals, batch_size):
    for _ in range(2):
        batches = [(data.copy(), labels) for data, labels in evaluation_batches(prefix, batch_size)]
        assert np.concatenate([labels for _, labels in batches]).tolist() == list(range(RECORDS))
        data = np.concatenate([data for data, _ in batches])
    for image, ours in zip(originals, data):
        top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
        crop = image[top:top + 224, left:left + 224].astype(np.float64)
        np.testing.assert_allclose(ours, ((crop - MEAN) / STD).transpose(2, 0, 1), rtol=1e-5, atol=1e-5)


def test_a_damaged_image_is_one_error(prefix, tmp_path):
    """Where the record's own header is damaged MXNet aborts the process, which nobody can catch."""
    damaged = str(tmp_path / 'x')
    for kind in ('.rec', '.idx'):
        shutil.copy(prefix + kind, damaged + kind)
    with open(damaged + '.rec', 'r+b') as file:
        file.seek(40)  # behind the first record's headers: its PNG's signature
        file.write(bytes(100))
    with pytest.raises(UserError, match='x.rec is damaged'):
        list(evaluation_batches(damaged, 8))
    with pytest.raises(UserError, match='x.rec is damaged'):
        read(damaged, 1)


@pytest.mark.parametrize('name', list(image_records.AUGMENTATIONS))
def test_augmentations_scale_and_colour_but_keep_the_normalisation(tmp_path, name):
    """A flat grey image of shorter side 480 stays flat: no white corner; [8]'s colours and the codes' vary."""
    path = str(tmp_path / 'x')
    record = mx.recordio.MXIndexedRecordIO(path + '.idx', path + '.rec', 'w')
    for i in range(16):
        record.write_idx(i, mx.recordio.pack_img(mx.recordio.IRHeader(0, float(i), i, 0),
                                                 np.full((480, 600, 3), 114, np.uint8), 3, '.png'))
    record.close()
    train = TrainRecords(path, 16, 16, 1, Shard(), name)
    ((data, _),), _ = next(train.epoch(1))
    pixels = data * np.array(STD)[:, None, None] + np.array(MEAN)[:, None, None]
    assert np.abs(pixels - pixels[:, :, :1, :1]).max() < 1.5  # flat
    colours = pixels[:, :, 0, 0]
    assert np.unique(np.round(colours, 1), axis=0).shape[0] > 8  # the images differ
    assert np.abs(colours - 114).max() < {'paper': 40, 'code-2016': 10 + 0.2 * 23, 'code-2018': 140}[name]
    if name == 'paper':
        assert (colours.std(axis=1) > 0.3).any()  # a little colour, too; most of it is brightness


def test_scales_are_drawn_from_256_to_480(tmp_path):
    """Vertical stripes, 16 pixels wide at 480: in the crop they are as much narrower as the image was scaled."""
    path = str(tmp_path / 'x')
    stripes = np.repeat((np.arange(640) // 16 % 2 * 255).astype(np.uint8)[None, :, None], 480, 0).repeat(3, 2)
    record = mx.recordio.MXIndexedRecordIO(path + '.idx', path + '.rec', 'w')
    for i in range(64):
        record.write_idx(i, mx.recordio.pack_img(mx.recordio.IRHeader(0, float(i), i, 0), stripes, 3, '.png'))
    record.close()
    ((data, _),), _ = next(TrainRecords(path, 64, 64, 1, Shard()).epoch(1))
    row = data[:, 1, 112] > 0
    widths = [224 / max(1, np.abs(np.diff(line.astype(int))).sum()) for line in row]
    sides = np.array(widths) / 16 * 480
    assert sides.min() > 240 and sides.max() < 510 and sides.min() < 300 and sides.max() > 430


def test_batches_that_do_not_come_out_even_are_one_error(prefix):
    with pytest.raises(UserError, match='--batch-size 10 cannot be split evenly over 4 devices'):
        TrainRecords(prefix, RECORDS, 10, 1, Shard(0, 4, 4))
    with pytest.raises(UserError, match='45 images are too few for a batch of 256'):
        TrainRecords(prefix, RECORDS, 256, 1, Shard())


def test_a_crop_is_a_part_of_the_image_scaled_and_half_of_them_are_mirrored():
    """A ramp of columns: the crop's ends say where it was and which way round; between them it is a ramp too."""
    image = np.repeat((np.arange(480) / 2).astype(np.uint8)[None, :, None], 300, 0).repeat(3, 2)
    directions = []
    for seed in range(200):
        row = image_records.crop(image, 240, 200, np.random.RandomState(seed))[100, :, 0].astype(float)
        directions.append(np.sign(row[-1] - row[0]))
        assert abs(abs(row[-1] - row[0]) - 119) < 3  # 240 columns of half a level each
        np.testing.assert_allclose(row, np.linspace(row[0], row[-1], 224), atol=2)
    assert 70 < directions.count(1.0) < 130


def test_a_crop_larger_than_the_image_is_the_image():
    image = np.full((100, 80, 3), 7, np.uint8)
    assert (image_records.crop(image, 500, 500, np.random.RandomState(0)) == 7).all()


def test_colours_are_alexnets(random):
    """The covariance of what is added is VECTORS · diag((0.1 · VALUES)²) · VECTORSᵀ, in pixels of 0–255."""
    image = np.full((300, 300, 3), 100, np.uint8)
    added = np.array([image_records.paper(image, random)[1][:, 100] for _ in range(4000)]) * STD + MEAN - 100
    expected = image_records.VECTORS @ np.diag((0.1 * image_records.VALUES) ** 2) @ image_records.VECTORS.T
    np.testing.assert_allclose(np.cov(added.T), expected, rtol=0.1, atol=0.15)
    np.testing.assert_allclose(added.mean(axis=0), 0, atol=0.3)


def test_the_crops_of_2016_have_their_sizes_and_aspects(random):
    sizes = np.array([image_records._with_aspect(200, random) for _ in range(1000)])
    ratio = sizes[:, 1] / sizes[:, 0]
    assert 0.75 <= ratio.min() < 0.76 and 1.24 < ratio.max() <= 1.25
    scales = 200 / sizes  # what the image is scaled by in width and height: their mean is 1
    np.testing.assert_allclose(scales.mean(axis=1), 1)


def test_the_hue_of_2018_does_not_go_round(random):
    """A red image, of hue 0, turns towards yellow and never towards blue; as MXNet has it."""
    red = np.zeros((480, 480, 3), np.uint8)
    red[..., 2] = 200
    images = [image_records.code_2018(red, random)[0][100, 100].astype(int) for _ in range(40)]
    assert all(blue <= green + 1 for blue, green, _ in images) and any(green > blue + 20 for blue, green, _ in images)
