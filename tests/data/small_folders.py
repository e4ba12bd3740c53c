"""Small folders of images by class, for the tests."""

import os

import numpy as np
from PIL import Image

from tests.data.small_imagenet import encoded, write

CLASSES = {'a cat': '.png', 'Zebra': '.BMP', 'été 東京': '.webp', os.fsdecode(b'caf\xe9'): '.jpg'}
SHOWN = ['Zebra', 'a cat', 'caf\\udce9', 'été 東京']  # in the order of the labels
FORMATS = {'.png': {'format': 'PNG'}, '.bmp': {'format': 'BMP'}, '.webp': {'format': 'WEBP', 'lossless': True}}


def picture(random, extension='.png', side=(40, 36)):
    """The file of an image of smooth noise."""
    noise = Image.fromarray(random.randint(0, 256, (5, 4, 3)).astype(np.uint8)).resize(side)
    return encoded(noise, **FORMATS.get(extension.lower(), {}))


def write_folders(root, random, train=5, val=2, classes=CLASSES, **sizes):
    """{split: {path below the split: bytes}}, written as ROOT/SPLIT/CLASS/*; returns it."""
    written = {}
    for split, count in (('train', train), ('val', val)):
        for name, extension in classes.items():
            for i in range(count):
                content, path = picture(random, extension, **sizes), os.path.join(name, f'{i}{extension}')
                written.setdefault(split, {})[path] = content
                write(os.path.join(str(root), split, path), content)
    return written
