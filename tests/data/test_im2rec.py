"""Records as MXNet's own im2rec.py writes them."""

import gc
import os
import runpy
import struct
from unittest import mock

import numpy as np
from PIL import Image
import pytest

from common.errors import UserError
from common.mxnet import mx
from data.im2rec import list_records
from data.own_images import Layout, prepare
from tests.data.small_folders import write_folders
from tests.data.small_imagenet import cut, edit, records

IM2REC = os.path.join(os.path.dirname(mx.__file__), 'tools', 'im2rec.py')
PAIR = {'cat': '.png', 'dog': '.png'}


def im2rec(*words):
    """Run the tool that comes with MXNet."""
    with mock.patch('sys.argv', ['im2rec.py', *map(str, words)]):
        runpy.run_path(IM2REC, run_name='__main__')
    gc.collect()  # it leaves its file open


@pytest.fixture
def packed(tmp_path, random):
    """A folder with train.rec and val.rec, and where their images are."""
    images, folder = tmp_path / 'images', tmp_path / 'packed'
    write_folders(images, random, 3, 1, PAIR, side=(32, 32))
    os.mkdir(folder)
    for split in ('train', 'val'):
        im2rec(folder / split, images / split, '--list', '--recursive')
        im2rec(folder / split, images / split, '--encoding', '.png', '--quality', '3', '--pass-through')
    return str(folder), str(images)


def test_classes_and_images_are_those_of_the_list(packed):
    folder, images = packed
    with open(os.path.join(folder, 'train.lst')) as file:
        lines = [line.rstrip('\n').split('\t') for line in file]
    listed = list_records(os.path.join(folder, 'train.rec'), os.path.join(folder, 'train.lst'))
    assert [image.original.name for image in listed] == [path for _, _, path in lines]
    assert [image.name for image in listed] == [os.path.dirname(path) for _, _, path in lines]
    for image, (_, _, path) in zip(listed, lines):
        with open(os.path.join(images, 'train', path), 'rb') as file:
            assert image.original.read() == file.read()

    about = prepare(folder, Layout(32), processes=0)
    assert about['train']['classes'] == ['cat', 'dog'] and about['val']['labels'] == [1, 1]
    for _, label, image in records(os.path.join(folder, 'images32-val')):
        expected = Image.open(os.path.join(images, 'val', ('cat', 'dog')[int(label)], '0.png'))
        np.testing.assert_array_equal(image, np.array(expected))


def test_without_a_list_a_class_is_its_label(packed):
    folder, _ = packed
    for split in ('train', 'val'):
        os.remove(os.path.join(folder, f'{split}.lst'))
    listed = list_records(os.path.join(folder, 'train.rec'), os.path.join(folder, 'train.lst'))
    assert {image.name for image in listed} == {'0', '1'} and listed[0].original.name.startswith('record ')


@pytest.mark.parametrize(
    'folders, expected',
    [
        (['n01/images', 'n02/images'], {'n01', 'n02'}),  # Tiny ImageNet
        (['pets/cat', 'pets/dog'], {'pets/cat', 'pets/dog'}),
        (['cat', 'cat'], {'0', '1'}),
        (['', ''], {'0', '1'}),
    ],
)
def test_a_class_has_the_name_of_its_folder_if_that_is_clear(packed, folders, expected):
    path = os.path.join(packed[0], 'train.lst')
    with open(path) as file:
        lines = [line.split('\t') for line in file]
    with open(path, 'w') as file:
        for number, label, name in lines:
            file.write(f'{number}\t{label}\t{os.path.join(folders[int(float(label))], os.path.basename(name))}')
    listed = list_records(os.path.join(packed[0], 'train.rec'), path)
    assert {image.name for image in listed} == expected


def test_a_record_in_several_parts_is_one_image(tmp_path):
    """MXNet cuts a record where its bytes hold the mark of a record's begin."""
    content = b'abcd' + struct.pack('<I', 0xCED7230A) + b'efgh'
    writer = mx.recordio.MXRecordIO(str(tmp_path / 'x.rec'), 'w')
    for label in (4.0, 7.0):
        writer.write(mx.recordio.pack(mx.recordio.IRHeader(0, label, 3, 0), content))
    writer.close()
    listed = list_records(str(tmp_path / 'x.rec'), str(tmp_path / 'x.lst'))
    assert [(image.name, image.original.read()) for image in listed] == [('4', content), ('7', content)]


def labels(label):
    def write(rec):
        writer = mx.recordio.MXRecordIO(rec, 'w')
        writer.write(mx.recordio.pack(mx.recordio.IRHeader(0, label, 3, 0), b'x'))
        writer.close()

    return write


@pytest.mark.parametrize(
    'damage, expected',
    [
        (lambda rec: cut(rec, 5), 'is truncated or altered at byte'),
        (lambda rec: edit(rec, lambda content: content[:7] + b'\x20' + content[8:]), 'is truncated or altered at byte'),
        (lambda rec: edit(rec, lambda content: content[:7] + b'\x60' + content[8:]), 'is truncated or altered at byte'),
        (lambda rec: edit(rec, lambda content: content[4:]), 'is truncated or altered at byte 0'),
        (labels(0.5), 'record 3, has no class'),
        (labels(-1.0), 'record 3, has no class'),
        (labels(np.array([1.0, 2.0], np.float32)), 'record 3, has no class'),
        (lambda rec: edit(rec.replace('.rec', '.lst'), lambda content: b'1 0 a.jpg\n'), 'line 1, has to be number'),
    ],
)
def test_damage_is_one_error(packed, damage, expected):
    rec = os.path.join(packed[0], 'train.rec')
    damage(rec)
    with pytest.raises(UserError, match=expected):
        list_records(rec, rec.replace('.rec', '.lst'))
