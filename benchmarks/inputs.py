"""Data sets in the layouts of the official files: of blurred noise, and of parts of two photographs."""

import io
import os

import cv2
import numpy as np
from PIL import Image
import scipy.io

CIFAR_IMAGES = 50000  # to train on
PHOTOS = 1024
SVHN = {'train': 73257, 'extra': 531131, 'test': 26032}  # images of the official files


def blurred_noise(random: np.random.RandomState) -> np.ndarray:
    """An image (32, 32, 3) uint8 that compresses about as well as a photograph."""
    return cv2.resize(random.randint(0, 256, (6, 6, 3)).astype(np.uint8), (32, 32))


def write_cifar10(folder: str, train: int = CIFAR_IMAGES, test: int = 10000) -> None:
    """Write CIFAR-10's six binary files of noise below `folder`."""
    random, where = np.random.RandomState(0), os.path.join(folder, 'cifar-10-batches-bin')
    os.makedirs(where)
    files = {f'data_batch_{number}.bin': train // 5 for number in range(1, 6)} | {'test_batch.bin': test}
    for name, count in files.items():
        records = np.empty((count, 3073), np.uint8)
        records[:, 0] = np.arange(count) % 10
        for record in records:
            record[1:] = blurred_noise(random).transpose(2, 0, 1).ravel()
        records.tofile(os.path.join(where, name))


def write_svhn(folder: str, images: dict[str, int] = SVHN) -> None:
    """Write SVHN's three .mat files of noise to `folder`."""
    random = np.random.RandomState(0)
    for name, count in images.items():
        pixels = np.empty((32, 32, 3, count), np.uint8, order='F')
        for index in range(count):
            pixels[..., index] = blurred_noise(random)
        labels = random.randint(1, 11, (count, 1)).astype(np.uint8)
        scipy.io.savemat(os.path.join(folder, f'{name}_32x32.mat'), {'X': pixels, 'y': labels}, do_compression=True)


def write_imagenet(folder: str) -> int:
    """Write ImageNet's folders train and val of parts of two photographs, most of them 500 × 375 as in ImageNet.

    Returns:
        The number of training images.
    """
    from sklearn.datasets import load_sample_images  # takes seconds to import

    random, photos = np.random.RandomState(0), [Image.fromarray(image) for image in load_sample_images().images]
    for number in range(PHOTOS):
        photo = photos[number % len(photos)]
        width, height = random.randint(300, 427), random.randint(225, 321)
        left, top = random.randint(photo.width - width), random.randint(photo.height - height)
        part = photo.crop((left, top, left + width, top + height)).resize((500, 500 * height // width))
        buffer = io.BytesIO()
        part.save(buffer, 'JPEG', quality=95)
        for split in ('train', 'val') if number < 10 else ('train',):
            where = os.path.join(folder, split, f'n{number % 10:08d}')
            os.makedirs(where, exist_ok=True)
            with open(os.path.join(where, f'{number}.JPEG'), 'wb') as file:
                file.write(buffer.getvalue())
    return PHOTOS
