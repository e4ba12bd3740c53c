"""What is stored of one image: pixels against Pillow's own, sizes, odd and damaged files."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
from PIL import Image
import pytest

from common.errors import UserError
from data.packing.convert import Form, Original, decode, encode, target_size
from tests.data.small_imagenet import encoded, picture, tar


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


def convert(content, form):
    """The bytes that are stored of an image's file."""
    image = decode(content, form)
    return image and encode(image, form.coding)


def stored(content, shorter_side=256, coding='png'):
    """The pixels of what is stored of an image's file."""
    return np.array(Image.open(io.BytesIO(convert(content, Form(shorter_side, coding)))))


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
        result = convert(content, Form(256, coding))
        assert not any(mark in result for mark in (b'xxxxxx', b'yyyyyy', b'eXIf', b'Exif'))
    if 'exif' in options:
        assert Image.open(io.BytesIO(content)).getexif()[0x112] == 6  # would turn the image


@pytest.fixture
def slope():
    """Gray from black to white, (60, 80)."""
    return np.linspace(0, 255, 60 * 80).reshape(60, 80).astype(np.uint8)


@pytest.mark.parametrize('kind', ['gray', 'color', 'color and alpha'])
def test_images_of_16_bits_keep_their_upper_8(slope, kind):
    """Pillow makes gray above 255 white."""
    deep = slope.astype(np.uint16) * 256 + 77
    channels = {'gray': 1, 'color': 3, 'color and alpha': 4}[kind]
    content = cv2.imencode('.png', np.dstack([deep] * channels))[1].tobytes()
    np.testing.assert_array_equal(stored(content, 60), np.dstack([slope] * 3))


@pytest.mark.parametrize(
    'options',
    [
        {'transparency': 3},
        {'transparency': bytes(range(256))},
        {'save_all': True, 'append_images': [Image.new('RGB', (80, 60))]},
        {'format': 'WEBP', 'lossless': True, 'save_all': True, 'append_images': [Image.new('RGB', (80, 60))]},
        {'format': 'BMP'},
    ],
)
def test_transparency_is_left_out_and_of_moving_images_the_first_is_taken(slope, options):
    kinds = {int: 'L', bytes: 'P', type(None): 'RGB'}
    image = Image.fromarray(slope).convert(kinds[type(options.get('transparency'))])
    content = encoded(image, **{'format': 'PNG', **options})
    np.testing.assert_array_equal(stored(content, 60), np.array(image.convert('RGB')))


def png_of(width, height):
    """A PNG that says that it has so many pixels."""

    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    parts = [(b'IHDR', header), (b'IDAT', zlib.compress(bytes(10000))), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*part) for part in parts)


@pytest.mark.parametrize('size', [(50000, 50000), (13300, 13300), (2**31 - 1, 2**31 - 1), (1, 4000), (0, 5)])
def test_a_bomb_is_undecodable(size):
    assert decode(png_of(*size), Form(480, 'png')) is None


@pytest.mark.parametrize('options', [{'exif': ORIENTATION}, {'mode': 'P', 'format': 'PNG'}, {'format': 'WEBP'}])
def test_random_damage_is_undecodable_or_an_image(random, options):
    content = picture(random, **options)
    for _ in range(100):
        damaged = bytearray(content)
        for place in random.randint(0, len(content), random.choice([1, 2, 8])):
            damaged[place] = random.randint(256)
        for form in (Form(32, 'png'), Form(32, 'png', square=True, upright=True)):
            image = decode(bytes(damaged), form)
            assert image is None or min(image.size) == 32


@pytest.mark.parametrize('make', [os.mkfifo, os.mkdir, lambda path: os.symlink('/dev/zero', path)])
def test_what_is_no_file_has_no_bytes_and_nobody_waits_for_it(tmp_path, make):
    make(str(tmp_path / 'x.JPEG'))
    assert Original('x.JPEG', 'n1', str(tmp_path)).read() == b''


@pytest.mark.parametrize('where', ['', 'x.tar'])
def test_a_file_that_has_gone_is_not_undecodable(tmp_path, where):
    """It was listed. Without it, the rest would be taken for all, now and ever after."""
    original = Original('x.JPEG', 'n1', str(tmp_path / where), 0 if where else None, 5 if where else None)
    with pytest.raises(UserError, match=f'{where or "x.JPEG"} has gone since the images were listed: put it back'):
        original.read()


def test_a_file_beyond_all_images_has_no_bytes(tmp_path):
    (tmp_path / 'x.JPEG').write_bytes(b'x')
    os.truncate(str(tmp_path / 'x.JPEG'), 1 << 37)
    assert Original('x.JPEG', 'n1', str(tmp_path)).read() == b''
    assert Original('x.JPEG', 'n1', str(tmp_path / 'x.JPEG'), 0, 1 << 37).read() == b''


@pytest.mark.parametrize('format', ['PNG', 'BMP', 'WEBP', 'JPEG'])
def test_every_format_gives_pillows_pixels(random, format):
    content = picture(random, 40, 30, format=format, **({'lossless': True} if format == 'WEBP' else {}))
    image = decode(content, Form(30, 'png'))
    np.testing.assert_array_equal(np.array(image), np.array(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize('orientation', range(10))
def test_a_turn_needs_no_other_tag_to_be_sound(random, orientation):
    """XResolution is a text here, which Pillow reads but cannot write again."""
    entries = struct.pack('>HHIHH', 0x0112, 3, 1, orientation, 0) + struct.pack('>HHI4s', 0x011A, 2, 3, b'72')
    content = picture(random, 40, 30, exif=b'Exif\0\0MM\0*\0\0\0\x08\0\x02' + entries + bytes(4))
    pixels = np.array(Image.open(io.BytesIO(content)))
    turned = {
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(pixels),
    }
    found = np.array(decode(content, Form(30, 'png', upright=True)))
    np.testing.assert_array_equal(found, turned.get(orientation, pixels))


def test_an_image_is_turned_only_where_it_is_asked_for(random):
    content = picture(random, 40, 30, exif=ORIENTATION)
    pixels = np.array(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(np.array(decode(content, Form(30, 'png'))), pixels)
    np.testing.assert_array_equal(np.array(decode(content, Form(30, 'png', upright=True))), np.rot90(pixels, -1))
    broken = picture(random, 40, 30, exif=b'Exif\0\0MM\0*\xff\xff\xff\xff')
    assert decode(broken, Form(30, 'png', upright=True)).size == (40, 30)


@pytest.mark.parametrize('size', [(128, 64), (64, 100), (32, 32), (33, 32)])
def test_a_square_is_the_middle_of_the_image_shrunk_by_area(random, size):
    pixels = random.randint(0, 256, (*size[::-1], 3)).astype(np.uint8)
    scale = min(size) // 32
    means = pixels.astype(float)
    if scale > 1:  # by two: each pixel is the mean of four
        means = (means[::2, ::2] + means[1::2, ::2] + means[::2, 1::2] + means[1::2, 1::2]) / 4
    top, left = ((length - 32) // 2 for length in means.shape[:2])
    found = decode(encoded(Image.fromarray(pixels), format='PNG'), Form(32, 'png', square=True))
    np.testing.assert_allclose(np.array(found), means[top : top + 32, left : left + 32], atol=0.51)


def test_a_square_of_a_smaller_image_is_enlarged_bicubically():
    """Between two halves of one gray each, only a cubic kernel overshoots."""
    pixels = np.repeat(np.repeat(np.array([[60] * 4 + [180] * 4], np.uint8), 8, axis=0)[..., None], 3, axis=2)
    found = np.array(decode(encoded(Image.fromarray(pixels), format='PNG'), Form(32, 'png', square=True)))
    assert found.shape == (32, 32, 3) and found.max() > 180 and found.min() < 60 and found[0, 0, 0] == 60


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
    assert convert(make(random), Form(256, 'png')) is None


def test_an_original_is_a_file_or_a_part_of_a_tar(tmp_path):
    (tmp_path / 'a.JPEG').write_bytes(b'abc')
    os.symlink('nowhere', str(tmp_path / 'dangling.JPEG'))
    archive = tar({'b.JPEG': b'xyz'})
    (tmp_path / 'b.tar').write_bytes(archive)
    assert Original('a.JPEG', None, str(tmp_path)).read() == b'abc'
    assert Original('dangling.JPEG', None, str(tmp_path)).read() == b''
    assert Original('b.JPEG', None, str(tmp_path / 'b.tar'), archive.index(b'xyz'), 3).read() == b'xyz'
