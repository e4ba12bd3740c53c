"""Small images as RecordIO: lossless, in a fixed order, read by MXNet's own reader too."""

import os

import cv2
import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
from data import recordio, records


@pytest.fixture
def images(random):
    return random.randint(0, 256, (30, 32, 32, 3)).astype(np.uint8)


@pytest.fixture
def labels(random):
    return random.randint(0, 10, 30)


def as_set(images, labels):
    return sorted((int(label), image.tobytes()) for image, label in zip(images, labels))


def test_pixels_labels_and_channels_survive(tmp_path, images, labels):
    about = records.write(str(tmp_path / 'x'), images, labels, verified=True)
    back, back_labels = records.read(str(tmp_path / 'x'))
    assert back.shape == (30, 3, 32, 32) and back.dtype == np.uint8
    assert as_set(back.transpose(0, 2, 3, 1), back_labels) == as_set(images, labels)
    assert about['labels'] == np.bincount(labels).tolist() and about['records'] == 30
    assert sorted(os.listdir(str(tmp_path))) == ['x.idx', 'x.json', 'x.rec']
    assert recordio.check(str(tmp_path / 'x')) == about


def test_several_splits_are_read_one_after_another(tmp_path, images, labels):
    for name, part in (('x', slice(0, 20)), ('y', slice(20, 30))):
        records.write(str(tmp_path / name), images[part], labels[part], verified=True)
    both, both_labels = records.read(str(tmp_path / 'x'), str(tmp_path / 'y'))
    assert as_set(both[20:].transpose(0, 2, 3, 1), both_labels[20:]) == as_set(images[20:], labels[20:])


def test_mxnets_own_iterator_reads_the_same_images(tmp_path, images, labels):
    records.write(str(tmp_path / 'x'), images, labels, verified=True)
    iterator = mx.io.ImageRecordIter(path_imgrec=str(tmp_path / 'x.rec'), data_shape=(3, 32, 32), batch_size=30)
    batch = next(iterator)
    ours, our_labels = records.read(str(tmp_path / 'x'))
    np.testing.assert_array_equal(batch.data[0].asnumpy(), ours)  # red first
    np.testing.assert_array_equal(batch.label[0].asnumpy(), our_labels)


def test_records_are_png_and_indexed(tmp_path, images, labels):
    records.write(str(tmp_path / 'x'), images, labels, verified=True)
    reader = mx.recordio.MXIndexedRecordIO(str(tmp_path / 'x.idx'), str(tmp_path / 'x.rec'), 'r')
    ours, our_labels = records.read(str(tmp_path / 'x'))
    header, content = mx.recordio.unpack(reader.read_idx(17))
    assert content[:8] == b'\x89PNG\r\n\x1a\n' and header.id == 17 and header.label == our_labels[17]
    blue_first = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(blue_first[..., ::-1].transpose(2, 0, 1), ours[17])


def test_the_order_is_shuffled_and_does_not_depend_on_the_source(tmp_path, images, labels, random):
    one = records.write(str(tmp_path / 'one'), images, labels, verified=True)
    other = random.permutation(30)
    two = records.write(str(tmp_path / 'two'), images[other], labels[other], verified=True)
    assert one == two
    ours, _ = records.read(str(tmp_path / 'one'))
    assert not (ours.transpose(0, 2, 3, 1) == images).all()


def test_a_disk_without_room_is_one_error_and_leaves_nothing(tmp_path, images, labels, full_disk):
    with full_disk(50000), pytest.raises(UserError, match='x.unfinished.rec cannot be written: the disk is full, or'):
        records.write(str(tmp_path / 'x'), images, labels, verified=True)
    assert os.listdir(str(tmp_path)) == []


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path, images):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='or the folder read-only; copy the files to a folder of your own'):
        records._write_records(str(tmp_path / 'file' / 'x'), zip(images, range(30)))


def test_a_failure_leaves_no_half_written_file(tmp_path, images, labels, monkeypatch):
    monkeypatch.setattr(mx.recordio, 'pack_img', lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        records.write(str(tmp_path / 'x'), images, labels, verified=True)
    assert os.listdir(str(tmp_path)) == []
