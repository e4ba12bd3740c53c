"""RecordIO files: lossless, in a fixed order, checked, read by MXNet's own reader too."""
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

import data
from common.mxnet import mx
from data import digits, records
from common.errors import UserError
from tests.conftest import ROOT


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


@pytest.mark.parametrize('damage', [
    lambda prefix: os.truncate(prefix + '.rec', 1000),
    lambda prefix: os.truncate(prefix + '.idx', 10),
    lambda prefix: os.remove(prefix + '.idx'),
    lambda prefix: os.remove(prefix + '.json'),
    lambda prefix: open(prefix + '.json', 'w').write('{'),
    lambda prefix: open(prefix + '.rec', 'r+b').write(b'other'),
])
def test_damage_is_noticed_and_mended(tmp_path, capsys, damage):
    first = data.load('digits', str(tmp_path))
    prefix = str(tmp_path / 'digits-train')
    assert records.check(prefix)
    damage(prefix)
    assert records.check(prefix) is None
    again = data.load('digits', str(tmp_path))
    assert 'making the RecordIO files again' in capsys.readouterr().out
    assert records.check(prefix) == first.about['train'] == again.about['train']


def test_records_of_unverified_files_need_no_verify_again(small_cifar):
    dataset = data.load('cifar10', small_cifar, verify=False)
    assert dataset.splits['train'][0].shape == (60, 3, 32, 32)
    with open(os.path.join(small_cifar, 'cifar10-train.json')) as file:
        assert json.load(file)['verified'] is False
    with pytest.raises(UserError, match='made from unverified files'):
        data.load('cifar10', small_cifar)
    data.load('cifar10', small_cifar, verify=False)


def test_of_two_processes_started_together_one_prepares_the_data(tmp_path):
    """Both see the files whole; the second finds them made when its turn comes."""
    code = ('import sys, data; from data import records; write = records.write; '
            'records.write = lambda *a, **k: (print("wrote"), write(*a, **k))[1]; '
            'print(data.load("digits", sys.argv[1]).splits["train"][0].sum())')
    both = [subprocess.Popen([sys.executable, '-c', code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE,
                             universal_newlines=True) for _ in range(2)]
    outs = [process.communicate()[0].split() for process in both]
    assert outs[0][-1] == outs[1][-1]
    assert (outs[0] + outs[1]).count('wrote') == 2  # train and test, once


def test_no_verify_does_not_make_official_files_unverified(tmp_path):
    assert data.load('digits', str(tmp_path), verify=False).about['train']['verified'] is True


@pytest.mark.parametrize('limit', [True, False])
def test_a_disk_without_room_or_leave_is_one_error(tmp_path, images, labels, limit):
    """A limit on the size of files stands for a full disk; a folder that is a file for one that is read-only."""
    (tmp_path / 'file').write_text('')
    code = ('import resource, signal, sys, numpy as np; from data import records; from errors import UserError\n'
            'signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
            'if sys.argv[2] == "True": resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n'
            'images = np.random.randint(0, 256, (60, 32, 32, 3), np.uint8)\n'
            'try: records._write_records(sys.argv[1], zip(images, range(60)), 60, "x")\n'
            'except UserError as error: print(error)')
    prefix = str(tmp_path / 'x') if limit else str(tmp_path / 'file' / 'x')
    out = subprocess.check_output([sys.executable, '-c', code, prefix, str(limit)], cwd=ROOT, universal_newlines=True)
    assert 'x.rec cannot be written: the disk is full, or the folder read-only' in out


def test_a_failure_leaves_no_half_written_file(tmp_path, images, labels, monkeypatch):
    monkeypatch.setattr(mx.recordio, 'pack_img', lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        records.write(str(tmp_path / 'x'), images, labels, verified=True)
    assert os.listdir(str(tmp_path)) == []


def test_digits_are_scikit_learns_enlarged():
    from sklearn.datasets import load_digits

    splits, _ = digits.read()
    images = np.concatenate([splits['train'][0], splits['test'][0]])
    labels = np.concatenate([splits['train'][1], splits['test'][1]])
    assert len(splits['train'][1]) == 1437 and len(splits['test'][1]) == 360
    assert (images[..., 0] == images[..., 1]).all() and (images[..., 0] == images[..., 2]).all()
    small = load_digits()
    assert np.bincount(labels).tolist() == np.bincount(small.target).tolist()
    # shrunk again, every image is close to one of the originals of its class, and to no other
    for image, label in list(zip(images, labels))[::60]:
        shrunk = image[..., 0].reshape(8, 4, 8, 4).mean(axis=(1, 3)) * 16 / 255
        nearest, second = sorted(np.abs(small.images[small.target == label] - shrunk).mean(axis=(1, 2)))[:2]
        assert nearest < 1 < second
    source = data.SOURCES['digits']
    pixels = splits['train'][0].astype(np.float64)
    assert pixels.mean() == pytest.approx(source.mean[0], abs=1e-3)
    assert pixels.std() == pytest.approx(source.std[0], abs=1e-3)
