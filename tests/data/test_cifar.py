"""Reading CIFAR's binary files, packed and unpacked, right and wrong."""

import io
import os
import tarfile

import cv2
import numpy as np
import pytest

from common.errors import UserError
from data import SOURCES
from data.cifar import CIFAR10, CIFAR100, read
from tests.conftest import official_folder, write_cifar


def pack(folder, archive, extra=()):
    """Pack an unpacked folder as the official archive is, with extra members; returns its path."""
    path = os.path.join(str(folder), archive.name)
    with tarfile.open(path, 'w:gz') as tar:
        for name, content in extra:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        tar.add(os.path.join(str(folder), 'cifar-10-batches-bin'), 'cifar-10-batches-bin')
    return path


def test_planes_become_pixels_in_rgb(tmp_path):
    record = np.zeros((2, 3073), np.uint8)
    record[:, 0] = [7, 2]
    record[0, 1:] = np.arange(3072) % 251
    for name in CIFAR10.names:
        record.tofile(str(tmp_path / name))
    images, labels = read(CIFAR10, str(tmp_path), verify=False)[0]['test']
    assert images.shape == (2, 32, 32, 3) and labels.tolist() == [7, 2]
    for row, column, channel in [(0, 0, 0), (5, 9, 1), (31, 31, 2)]:
        assert images[0, row, column, channel] == (1024 * channel + 32 * row + column) % 251


def test_cifar100_takes_the_fine_label(tmp_path):
    record = np.zeros((3, 3074), np.uint8)
    record[:, 0], record[:, 1] = [1, 2, 3], [11, 99, 0]
    for name in ('train.bin', 'test.bin'):
        record.tofile(str(tmp_path / name))
    assert read(CIFAR100, str(tmp_path), verify=False)[0]['train'][1].tolist() == [11, 99, 0]


def test_packed_and_unpacked_are_the_same(small_cifar, tmp_path):
    packed = tmp_path / 'packed'
    packed.mkdir()
    os.rename(pack(small_cifar, CIFAR10.archive), str(packed / CIFAR10.archive.name))
    one, two = (read(CIFAR10, folder, verify=False)[0] for folder in (small_cifar, str(packed)))
    for split in ('train', 'test'):
        for a, b in zip(one[split], two[split]):
            np.testing.assert_array_equal(a, b)


def test_an_archive_with_a_hostile_member_writes_nothing(tmp_path, random):
    folder = tmp_path / 'deep' / 'packed'
    folder.mkdir(parents=True)
    write_cifar(folder, random)
    pack(folder, CIFAR10.archive, [('../evil', b'x'), (str(tmp_path / 'evil'), b'x')])
    for name in os.listdir(str(folder / 'cifar-10-batches-bin')):
        os.remove(str(folder / 'cifar-10-batches-bin' / name))
    before = sorted(os.walk(str(tmp_path)))
    assert len(read(CIFAR10, str(folder), verify=False)[0]['train'][1]) == 60
    assert sorted(os.walk(str(tmp_path))) == before


@pytest.mark.parametrize(
    'damage, verify, expected',
    [
        (lambda content: content[:-1000], True, 'truncated or altered'),
        (lambda content: content, True, 'truncated or altered'),  # whole, but not the official one
        (lambda content: content[: len(content) // 2], False, 'cannot be read'),
        (lambda content: b'not gzip at all', False, 'cannot be read'),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path, random, damage, verify, expected):
    write_cifar(tmp_path, random)
    path = pack(tmp_path, CIFAR10.archive)
    with open(path, 'rb') as file:
        content = file.read()
    with open(path, 'wb') as file:
        file.write(damage(content))
    for name in os.listdir(str(tmp_path / 'cifar-10-batches-bin')):
        os.remove(str(tmp_path / 'cifar-10-batches-bin' / name))
    with pytest.raises(UserError, match=expected):
        read(CIFAR10, str(tmp_path), verify=verify)


def test_an_altered_archive_of_the_right_length_fails_by_its_md5(tmp_path, random):
    write_cifar(tmp_path, random)
    path = pack(tmp_path, CIFAR10.archive)
    layout = CIFAR10._replace(archive=CIFAR10.archive._replace(size=os.path.getsize(path), md5='0' * 32))
    os.rename(str(tmp_path / 'cifar-10-batches-bin'), str(tmp_path / 'elsewhere'))
    with pytest.raises(UserError, match='MD5 .* instead of 0'):
        read(layout, str(tmp_path))


def test_unpacked_files_that_are_not_the_official_need_no_verify(small_cifar):
    with pytest.raises(UserError, match='is not the official data.*--no-verify'):
        read(CIFAR10, small_cifar)
    splits, official = read(CIFAR10, small_cifar, verify=False)
    assert len(splits['test'][1]) == 20 and not official


@pytest.mark.parametrize('verify', [True, False])
def test_a_truncated_unpacked_file_is_refused_always(small_cifar, verify):
    with open(os.path.join(small_cifar, 'cifar-10-batches-bin', 'data_batch_3.bin'), 'r+b') as file:
        file.truncate(5000)
    with pytest.raises(UserError, match='data_batch_3.bin in .* is truncated'):
        read(CIFAR10, small_cifar, verify=verify)


def test_a_missing_file_is_named(small_cifar):
    os.remove(os.path.join(small_cifar, 'cifar-10-batches-bin', 'test_batch.bin'))
    with pytest.raises(UserError, match='lacks test_batch.bin'):
        read(CIFAR10, small_cifar, verify=False)


def test_a_label_beyond_the_last_class_is_refused(small_cifar):
    path = os.path.join(small_cifar, 'cifar-10-batches-bin', 'test_batch.bin')
    records = np.fromfile(path, np.uint8)
    records[0] = 10
    records.tofile(path)
    with pytest.raises(UserError, match='the label 10, the last class is 9'):
        read(CIFAR10, small_cifar, verify=False)


def test_the_archive_is_read_where_a_folder_beside_it_is_incomplete(tmp_path, random):
    write_cifar(tmp_path, random)
    pack(tmp_path, CIFAR10.archive)
    os.remove(str(tmp_path / 'cifar-10-batches-bin' / 'data_batch_2.bin'))
    assert len(read(CIFAR10, str(tmp_path), verify=False)[0]['train'][1]) == 60


@pytest.mark.parametrize(
    'name, mean, std',
    [
        ('cifar10', (125.307, 122.950, 113.865), (62.993, 62.089, 66.705)),
        ('cifar100', (129.304, 124.070, 112.434), (68.170, 65.392, 70.418)),
    ],
)
def test_normalization_has_the_published_statistics(name, mean, std):
    assert SOURCES[name].mean == mean and SOURCES[name].std == std


# the tests' CIFAR-100 has been through JPEG, which moves its statistics by up to 0.2
@pytest.mark.parametrize('name, layout, tolerance', [('cifar10', CIFAR10, 0.001), ('cifar100', CIFAR100, 0.2)])
def test_real_images_have_them_too(name, layout, tolerance):
    official_folder(layout.folder)
    splits, official = read(layout, os.environ['DFN_DATA'])
    assert official and len(splits['train'][1]) == 50000 and len(splits['test'][1]) == 10000
    mean, std = cv2.meanStdDev(splits['train'][0].reshape(-1, 32, 3))
    np.testing.assert_allclose(mean[:, 0], SOURCES[name].mean, atol=tolerance)
    np.testing.assert_allclose(std[:, 0], SOURCES[name].std, atol=tolerance)
