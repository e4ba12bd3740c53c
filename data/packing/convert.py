"""One image: where its bytes are, and what is stored of it."""

import io
import os
import struct
from typing import Any, NamedTuple
import warnings

from PIL import Image

# How an image is stored: Pillow's options.
CODINGS: dict[str, dict[str, Any]] = {
    'jpeg95': {'format': 'JPEG', 'quality': 95},
    'png': {'format': 'PNG', 'compress_level': 3},
}

FORMATS = ('JPEG', 'PNG')  # one of the official files, n02105855_2933.JPEG, is a PNG
LONGEST = 65500  # pixels; libjpeg stores no longer side
# What Pillow raises for a damaged file.
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


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
        """The image's bytes; none where it is a file that cannot be read."""
        if self.offset is None:
            try:
                with open(os.path.join(self.where, self.name), 'rb') as file:
                    return file.read()
            except OSError:
                return b''
        with open(self.where, 'rb') as file:
            file.seek(self.offset)
            return file.read(self.size)


def target_size(size: tuple[int, int], shorter_side: int) -> tuple[int, int]:
    """(width, height) in pixels for an image of `size`; the longer side is rounded to the nearest pixel."""
    width, height = ((2 * side * shorter_side + min(size)) // (2 * min(size)) for side in size)
    return width, height


def convert(content: bytes, shorter_side: int, coding: str) -> bytes | None:
    """The bytes of an image file → the bytes to store; None if the image cannot be decoded whole.

    Gray and CMYK images become RGB. An image of another size is resized by Pillow's bilinear filter, which averages
    where it shrinks. Nothing but pixels is stored: no color profile, no comment.

    Args:
        content: of a JPEG or PNG file.
        shorter_side: of the stored image, in pixels.
        coding: a key of CODINGS.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # some official files have damaged Exif
            image = Image.open(io.BytesIO(content), formats=FORMATS).convert('RGB')
    except UNDECODABLE:
        return None
    size = target_size(image.size, shorter_side)
    if max(size) > LONGEST:
        return None
    if size != image.size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    image.info.clear()
    stored = io.BytesIO()
    image.save(stored, **CODINGS[coding])
    return stored.getvalue()
