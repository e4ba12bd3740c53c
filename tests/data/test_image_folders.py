"""Which images a folder has, and of which classes."""

import os
import unicodedata

import pytest

from common.errors import UserError
from data.image_folders import ANNOTATIONS, list_images
from tests.data.small_imagenet import write


def found(folder):
    return [(image.original.name, image.name, image.size) for image in list_images(str(folder))]


def test_images_are_found_at_any_depth_in_the_order_of_their_names(tmp_path):
    for path in ('b/x.PNG', 'a/2/y.jpeg', 'a/10.webp', 'a/._10.webp', 'a/10.txt', '.git/z.png', 'loose.png'):
        write(str(tmp_path / path), b'12345')
    assert found(tmp_path) == [('a/10.webp', 'a', 5), ('a/2/y.jpeg', 'a', 5), ('b/x.PNG', 'b', 5)]


def test_links_to_folders_are_followed_once(tmp_path):
    write(str(tmp_path / 'elsewhere' / '1.png'), b'12345')
    (tmp_path / 'train' / 'cat').mkdir(parents=True)
    os.symlink(tmp_path / 'elsewhere', tmp_path / 'train' / 'cat' / 'more')
    os.symlink(tmp_path / 'train' / 'cat', tmp_path / 'train' / 'cat' / 'circle')
    assert found(tmp_path / 'train') == [('cat/more/1.png', 'cat', 5)]


def test_two_spellings_of_an_accent_are_one_class(tmp_path):
    for form in ('NFC', 'NFD'):
        write(str(tmp_path / form / unicodedata.normalize(form, 'é') / '1.jpg'), b'')
        ((_, name, _),) = found(tmp_path / form)
        assert name == '\xe9'


def test_tiny_imagenet_as_it_comes(tmp_path):
    for name in ('val_0.JPEG', 'val_1.JPEG'):
        write(str(tmp_path / 'val' / 'images' / name), b'123')
    lines = 'val_1.JPEG\tn02\t0\t0\t9\t9\nval_0.JPEG\tn01\t0\t0\t9\t9\n'
    write(str(tmp_path / 'val' / ANNOTATIONS), lines.encode())
    assert found(tmp_path / 'val') == [('images/val_0.JPEG', 'n01', 3), ('images/val_1.JPEG', 'n02', 3)]
    write(str(tmp_path / 'train' / 'n01' / 'n01_boxes.txt'), b'')
    write(str(tmp_path / 'train' / 'n01' / 'images' / 'n01_0.JPEG'), b'123')
    assert found(tmp_path / 'train') == [('n01/images/n01_0.JPEG', 'n01', 3)]

    os.remove(str(tmp_path / 'val' / 'images' / 'val_0.JPEG'))
    with pytest.raises(UserError, match='line 2, names no image in'):
        found(tmp_path / 'val')
