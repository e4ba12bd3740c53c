"""Every trap of ImageRecordIter that data/image_records.py names, on files whose records are known."""
import shutil

import cv2
import numpy as np
import pytest

from compat import mx
from data import image_records
from data.image_records import MEAN, STD, TrainRecords, evaluation_batches, part_sizes
from errors import UserError
from training.store import Place

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


def plain(monkeypatch):
    """No scaling, as the images here are small already."""
    monkeypatch.setitem(image_records.AUGMENTATIONS, 'paper', {'pca_noise': 0.1})


def read(prefix, epoch, first=0, count=1, total=1, batch=8, seed=1, start=0):
    """An epoch as [(labels, data) of each device] of each step."""
    train = TrainRecords(prefix, RECORDS, batch, seed, Place(first, count, total))
    return [[(tuple(labels), data.asnumpy()) for data, labels in parts] for parts, _ in train.epoch(epoch, start)]


def labels_of(steps):
    return [labels for parts in steps for labels, _ in parts]


def same(one, other):
    return len(one) == len(other) and all(a[0] == b[0] and (a[1] == b[1]).all()
                                          for left, right in zip(one, other) for a, b in zip(left, right))


def test_an_epoch_can_be_repeated_and_taken_up_in_its_middle(prefix, monkeypatch):
    plain(monkeypatch)
    monkeypatch.setattr(image_records, 'WINDOW', 2)
    whole = read(prefix, 1)
    assert same(whole, read(prefix, 1))
    for start in (1, 2, 3, 5):  # in the middle of a window and at its beginning
        assert same(whole[start:], read(prefix, 1, start=start))


def test_order_and_crops_are_new_in_every_epoch_and_of_every_seed(prefix, monkeypatch):
    plain(monkeypatch)
    epochs = [read(prefix, epoch, seed=seed) for epoch, seed in ((1, 1), (2, 1), (3, 1), (1, 2))]
    assert len({tuple(labels_of(epoch)) for epoch in epochs}) == len(epochs)
    for label in range(RECORDS):
        shown = [data[labels.index(label)].tobytes() for epoch in epochs for (labels, data), in epoch
                 if label in labels]
        assert len(set(shown)) == len(shown)  # no image twice with the same crop


def test_the_same_place_in_two_windows_is_cropped_alike_and_within_one_it_is_not(prefix, monkeypatch):
    """Why there are windows: `seed_aug` draws an image's numbers from its place in the iterator's batch."""
    flat = np.arange(256 * 256, dtype=np.int64).reshape(256, 256)
    image = np.stack([flat % 251, flat // 256, flat % 253], -1).astype(np.uint8)
    path = prefix + '-same'
    record = mx.recordio.MXIndexedRecordIO(path + '.idx', path + '.rec', 'w')
    for i in range(RECORDS):  # one image, 45 times: what differs is the crop
        record.write_idx(i, mx.recordio.pack_img(mx.recordio.IRHeader(0, float(i), i, 0), image, 3, '.png'))
    record.close()
    monkeypatch.setitem(image_records.AUGMENTATIONS, 'paper', {})
    for window, different in ((1, 4), (10, 40)):
        monkeypatch.setattr(image_records, 'WINDOW', window)
        crops = {image.tobytes() for (_, data), in read(path, 1, batch=4) for image in data}
        assert different - 2 <= len(crops) <= different  # two crops may be equal by chance


@pytest.mark.parametrize('total', [1, 2, 3, 4])
def test_all_devices_have_the_same_number_of_steps_and_parts_that_do_not_overlap(prefix, monkeypatch, total):
    plain(monkeypatch)
    steps = [read(prefix, 2, first=device, total=total, batch=4 * total) for device in range(total)]
    assert len({len(own) for own in steps}) == 1
    seen = [label for own in steps for labels in labels_of(own) for label in labels]
    assert len(seen) == len(set(seen)) == 4 * total * (min(part_sizes(RECORDS, total)) // 4)
    # one process with all the devices has the same shards as a process for each
    together = read(prefix, 2, count=total, total=total, batch=4 * total)
    for device, own in enumerate(steps):
        assert same([[parts[device]] for parts in together], own)


def test_every_device_sees_every_part_in_turn(prefix, monkeypatch):
    plain(monkeypatch)
    seen = [{label for labels in labels_of(read(prefix, epoch, first=1, total=3, batch=15)) for label in labels}
            for epoch in (1, 2, 3)]
    assert seen[0] | seen[1] | seen[2] == set(range(RECORDS)) and not seen[0] & seen[1]


@pytest.mark.parametrize('records, parts', [(45, 1), (45, 7), (1000, 16), (10, 4)])
def test_part_sizes_are_imagerecorditers(records, parts, tmp_path):
    path = str(tmp_path / 'x')
    record = mx.recordio.MXIndexedRecordIO(path + '.idx', path + '.rec', 'w')
    for i in range(records):
        record.write_idx(i, mx.recordio.pack_img(mx.recordio.IRHeader(0, float(i), i, 0),
                                                 np.zeros((4, 4, 3), np.uint8), 3, '.png'))
    record.close()
    sizes = []
    for part in range(parts):
        iterator = mx.io.ImageRecordIter(path_imgrec=path + '.rec', path_imgidx=path + '.idx', data_shape=(3, 4, 4),
                                         batch_size=1, round_batch=False, num_parts=parts, part_index=part,
                                         verbose=False)
        sizes.append(sum(1 for _ in iterator))
    assert sizes == part_sizes(records, parts) and sum(sizes) == records


@pytest.mark.parametrize('batch_size', [1, 7, 15, 45, 100])
def test_an_evaluation_has_every_centre_crop_once(prefix, originals, batch_size):
    """Of the last batch too, which MXNet fills up with garbage. Twice, because MXNet's second pass may be another."""
    for _ in range(2):
        batches = [(data.asnumpy(), labels) for data, labels in evaluation_batches(prefix, RECORDS, batch_size)]
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
        list(evaluation_batches(damaged, RECORDS, 8))
    with pytest.raises(UserError, match='x.rec is damaged'):
        read(damaged, 1)


def test_an_option_that_mxnet_does_not_know_is_refused(prefix):
    mx.io.ImageRecordIter(path_imgrec=prefix + '.rec', data_shape=(3, 4, 4), batch_size=1, verbose=False,
                          no_such_option=1)  # MXNet takes it
    with pytest.raises(TypeError, match='no option no_such_option'):
        image_records._iterator(prefix, 4, no_such_option=1)


@pytest.mark.parametrize('name', list(image_records.AUGMENTATIONS))
def test_augmentations_scale_and_colour_but_keep_the_normalisation(tmp_path, name):
    """A flat grey image of shorter side 480 stays flat: no white corner; [8]'s colours and the codes' vary."""
    path = str(tmp_path / 'x')
    record = mx.recordio.MXIndexedRecordIO(path + '.idx', path + '.rec', 'w')
    for i in range(16):
        record.write_idx(i, mx.recordio.pack_img(mx.recordio.IRHeader(0, float(i), i, 0),
                                                 np.full((480, 600, 3), 114, np.uint8), 3, '.png'))
    record.close()
    train = TrainRecords(path, 16, 16, 1, Place(), name)
    ((data, _),), _ = next(train.epoch(1))
    pixels = data.asnumpy() * np.array(STD)[:, None, None] + np.array(MEAN)[:, None, None]
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
    ((data, _),), _ = next(TrainRecords(path, 64, 64, 1, Place()).epoch(1))
    row = data.asnumpy()[:, 1, 112] > 0
    widths = [224 / max(1, np.abs(np.diff(line.astype(int))).sum()) for line in row]
    sides = np.array(widths) / 16 * 480
    assert sides.min() > 240 and sides.max() < 510 and sides.min() < 300 and sides.max() > 430


def test_batches_that_do_not_come_out_even_are_one_error(prefix):
    with pytest.raises(UserError, match='--batch-size 10 cannot be split evenly over 4 devices'):
        TrainRecords(prefix, RECORDS, 10, 1, Place(0, 4, 4))
    with pytest.raises(UserError, match='45 images are too few for a batch of 256'):
        TrainRecords(prefix, RECORDS, 256, 1, Place())
