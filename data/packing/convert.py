"""One image: where its bytes are, and what is stored of it."""

import io
import os
import stat
import struct
from typing import Any, NamedTuple
import warnings

import cv2
import numpy as np
from PIL import ExifTags, Image

from common.errors import UserError
from common.files import stat_of

# How an image is stored: Pillow's options.
CODINGS: dict[str, dict[str, Any]] = {
    'jpeg95': {'format': 'JPEG', 'quality': 95},
    'png': {'format': 'PNG', 'compress_level': 3},
}

FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP')  # one of ImageNet's official files, n02105855_2933.JPEG, is a PNG
LARGEST = 1 << 28  # bytes of a file
LONGEST = 65500  # pixels; libjpeg stores no longer side
# What Exif's Orientation says is to be done.
TURNS: dict[Any, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises for a damaged file.
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


class Form(NamedTuple):
    """How an image is stored.

    shorter_side: in pixels; the longer one is rounded to the nearest pixel. coding: a key of CODINGS. square: whether
    only the middle square is kept, and OpenCV resizes, by area where it shrinks and bicubically where it enlarges.
    upright: whether the image is turned as its Exif says.
    """

    shorter_side: int
    coding: str
    square: bool = False
    upright: bool = False


class Original(NamedTuple):
    """Where an image's bytes are: in a file of the folder `where`, or `size` bytes from `offset` of the tar `where`.

    wnid: its class; '' where only the devkit knows it.
    """

    name: str
    wnid: str
    where: str
    offset: int | None = None
    size: int | None = None

    def read(self) -> bytes:
        """The image's bytes; none where it is no file but a pipe or a dangling link, or is beyond LARGEST.

        Raises:
            UserError: it is not there any more.
            OSError: it cannot be read, which may pass.
        """
        path = os.path.join(self.where, self.name) if self.offset is None else self.where
        found = stat_of(path)
        if not found and not os.path.lexists(path):
            raise UserError(f'{path} has gone since the images were listed: put it back, and start the command again')
        if not found or not stat.S_ISREG(found.st_mode) or (self.size or found.st_size) > LARGEST:
            return b''
        with open(path, 'rb') as file:
            file.seek(self.offset or 0)
            return file.read(self.size)


def target_size(size: tuple[int, int], shorter_side: int) -> tuple[int, int]:
    """(width, height) in pixels for an image of `size`; the longer side is rounded to the nearest pixel."""
    width, height = ((2 * side * shorter_side + min(size)) // (2 * min(size)) for side in size)
    return width, height


def decode(content: bytes, form: Form) -> Image.Image | None:
    """The image that is stored of an image file, in RGB; None if it cannot be decoded whole, or is too long.

    Args:
        content: of a file in one of FORMATS.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # some official files have damaged Exif
            return fit(Image.open(io.BytesIO(content), formats=FORMATS), form)
    except UNDECODABLE:
        return None


def fit(image: Image.Image, form: Form) -> Image.Image | None:
    """What is stored of an image, in RGB; None if it would be longer than what can be stored.

    Gray and CMYK images become RGB. Without `square`, an image of another size is resized by Pillow's bilinear filter,
    which averages where it shrinks.
    """
    image = _eight_bits(_upright(image) if form.upright else image).convert('RGB')
    size = target_size(image.size, form.shorter_side)
    if max(size) > LONGEST:
        return None
    if form.square:
        return _square(image, size, form.shorter_side)
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Gray of 16 bits as gray of 8 bits: Pillow would make everything above 255 white."""
    if not image.mode.startswith('I;16'):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _upright(image: Image.Image) -> Image.Image:
    """As its Exif says; an image with damaged Exif stays as it is.

    Pillow's exif_transpose also writes the Exif anew, which fails for tags of other types than usual.
    """
    image.load()
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except (*UNDECODABLE, TypeError):
        return image
    return image if turn is None else image.transpose(turn)


def _square(image: Image.Image, size: tuple[int, int], side: int) -> Image.Image:
    """The middle square of an image that is resized to `size` first; where a margin is odd, it is rounded down."""
    pixels = np.asarray(image)
    if size != image.size:
        shrinks = side < min(image.size)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    left, top = ((length - side) // 2 for length in size)
    return Image.fromarray(pixels[top : top + side, left : left + side])


def encode(image: Image.Image, coding: str) -> bytes:
    """The bytes to store: nothing but pixels, no color profile, no comment."""
    image.info.clear()
    stored = io.BytesIO()
    image.save(stored, **CODINGS[coding])
    return stored.getvalue()
