"""What is stored of one image: pixels against Pillow's own, sizes, odd and damaged files."""

import io
import os

import numpy as np
from PIL import Image
import pytest

from data.packing.convert import Original, convert, target_size
from tests.data.small_imagenet import picture, tar


@pytest.mark.parametrize(
    'size, shorter, expected',
    [
        ((500, 375), 480, (640, 480)),
        ((375, 500), 256, (256, 341)),
        ((500, 334), 256, (383, 256)),
        ((480, 480), 480, (480, 480)),
        ((3, 2), 255, (383, 255)),
        ((1, 7), 480, (480, 3360)),
        ((641, 480), 480, (641, 480)),
    ],
)
def test_the_longer_side_is_rounded_to_the_nearest(size, shorter, expected):
    assert target_size(size, shorter) == expected


@pytest.mark.parametrize('size, expected', [((700, 401), (447, 256)), ((256, 300), (256, 300)), ((30, 45), (256, 384))])
def test_pixels_are_resampled_once(random, size, expected):
    content = picture(random, *size)
    original = Image.open(io.BytesIO(content)).resize(expected, Image.BILINEAR)
    np.testing.assert_array_equal(stored(content, 256, 'png'), np.array(original))
    jpeg = stored(content, 256, 'jpeg95')
    assert jpeg.shape == (expected[1], expected[0], 3) and np.abs(jpeg - np.array(original, float)).mean() < 3


def stored(content, shorter_side=256, coding='png'):
    """The pixels of what is stored of an image's file."""
    return np.array(Image.open(io.BytesIO(convert(content, shorter_side, coding))))


ORIENTATION = b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06' + bytes(6)


@pytest.mark.parametrize(
    'options',
    [
        {'mode': 'CMYK'},
        {'mode': 'L'},
        {'format': 'PNG'},
        {'mode': 'P', 'format': 'PNG', 'transparency': 0},
        {'exif': ORIENTATION},
        {'icc_profile': b'x' * 500, 'comment': b'y' * 500},
    ],
)
def test_odd_images_become_rgb_and_nothing_but_pixels_is_stored(random, options):
    content = picture(random, **options)
    expected = Image.open(io.BytesIO(content)).convert('RGB').resize((341, 256), Image.BILINEAR)
    np.testing.assert_array_equal(stored(content), np.array(expected))
    for coding in ('png', 'jpeg95'):
        result = convert(content, 256, coding)
        assert not any(mark in result for mark in (b'xxxxxx', b'yyyyyy', b'eXIf', b'Exif'))
    if 'exif' in options:
        assert Image.open(io.BytesIO(content)).getexif()[0x112] == 6  # would turn the image


@pytest.mark.parametrize(
    'make',
    [
        lambda random: picture(random, 400, 300)[:-500],
        lambda random: b'',
        lambda random: b'not an image\n' * 50,
        lambda random: picture(random, format='GIF'),
        lambda random: picture(random, 2, 1000),
        lambda random: picture(random, 10, 9000),
    ],
)
def test_what_cannot_be_decoded_or_stored_is_none(random, make):
    assert convert(make(random), 256, 'png') is None


def test_an_original_is_a_file_or_a_part_of_a_tar(tmp_path):
    (tmp_path / 'a.JPEG').write_bytes(b'abc')
    os.symlink('nowhere', str(tmp_path / 'dangling.JPEG'))
    archive = tar({'b.JPEG': b'xyz'})
    (tmp_path / 'b.tar').write_bytes(archive)
    assert Original('a.JPEG', None, str(tmp_path)).read() == b'abc'
    assert Original('dangling.JPEG', None, str(tmp_path)).read() == b''
    assert Original('b.JPEG', None, str(tmp_path / 'b.tar'), archive.index(b'xyz'), 3).read() == b'xyz'
