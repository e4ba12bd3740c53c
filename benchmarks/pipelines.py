"""What feeds the networks: augmented images a second, of 32×32 pixels and of ImageNet's size."""
import io
import os
import statistics
import sys
import tempfile
import time

import numpy as np

from benchmarks.rounds import Row, faster, race
from benchmarks.subject import Remote

BATCH, IMAGES = 64, 50000
WANTED = 20000     # 32×32 images a second and core
SHARE = 0.03       # of a step, at most
PHOTOS = 1024      # for ImageNet


class Pipeline:
    """Goes through epochs of self.batches."""

    def seconds(self, epochs):
        """Mean seconds of an epoch."""
        begun = time.perf_counter()
        for epoch in range(1, epochs + 1):
            for _ in self.batches.epoch(epoch):  # as in training, a batch is there while the next is made
                pass
        return (time.perf_counter() - begun) / epochs


class Cifar(Pipeline):
    """Batches of CIFAR-10's size on one core: normalised, padded, cropped, mirrored."""

    def __init__(self, args):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        from data import SOURCES
        from data.batches import Normalization, TrainBatches
        images = np.random.RandomState(0).randint(0, 256, (IMAGES, 3, 32, 32)).astype(np.uint8)
        source = SOURCES['cifar10']
        self.batches = TrainBatches(images, np.zeros(IMAGES, np.int64), BATCH,
                                    Normalization(source.mean, source.std), seed=1)


class ImageNet(Pipeline):
    """Batches of 16 from RecordIO in args.images: decoded, cropped, scaled, mirrored, coloured, normalised."""

    def __init__(self, args):
        import data
        self.batches = data.load_imagenet(args.images, verify=False).train_batches(16, seed=1)


def cifar(setting):
    """The pipeline of 32×32 images on one core, and beside steps of the paper's smallest network and of DFN-MR 14."""
    with Remote(sys.executable, 'subjects', 'cifar') as pipeline, \
            Remote(sys.executable, 'subjects', 'training', '--net', 'component', '--path', 'LLL', '--depth', 14,
                   *setting.devices) as smallest, \
            Remote(sys.executable, 'subjects', 'training', '--net', 'dfn-mr', '--depth', 14, *setting.devices) as usual:
        seconds = race({'pipeline': pipeline, 'component LLL': smallest, 'dfn-mr 14': usual}, setting.rounds)
    each = statistics.median(seconds['pipeline']) / IMAGES
    yield Row('feed 32x32 on one core / 20,000 a second', 1 / each, WANTED, 1 / each / WANTED, 1.0)
    for net in ('component LLL', 'dfn-mr 14'):
        share = BATCH * each / statistics.median(seconds[net])
        yield Row('feed 32x32, share of a step of %s / 3 %%' % net, share, SHARE, SHARE / share, 1.0)


def imagenet(setting):
    """ImageNet's pipeline beside plain decoding of the same JPEGs by libjpeg-turbo, with as many threads."""
    with tempfile.TemporaryDirectory() as folder:
        write_photos(folder)
        import data
        from common.mxnet import mx, physical_cores
        data.load_imagenet(folder, verify=False)
        jpegs, threads = os.path.join(folder, 'jpegs.npz'), physical_cores()
        records = mx.recordio.MXRecordIO(os.path.join(folder, 'imagenet-train.rec'), 'r')
        contents = [mx.recordio.unpack(records.read())[1] for _ in range(PHOTOS)]
        np.savez(jpegs, *(np.frombuffer(content, np.uint8) for content in contents))
        with Remote(sys.executable, 'subjects', 'imagenet', '--images', folder) as ours, \
                Remote(setting.torch, 'torch_subjects', 'decoding', '--images', jpegs, '--threads', threads) as peer:
            yield faster('feed ImageNet / libjpeg-turbo alone, %d threads' % threads,
                         race({'ours': ours, 'decoding': peer}, min(5, setting.rounds)), 'decoding', 0.8, PHOTOS)


def write_photos(folder):
    """train and val of parts of two photographs, of the sizes that ImageNet's images have: 500 × 375 mostly."""
    from PIL import Image
    from sklearn.datasets import load_sample_images
    random, photos = np.random.RandomState(0), [Image.fromarray(image) for image in load_sample_images().images]
    for number in range(PHOTOS):
        photo = photos[number % len(photos)]
        width, height = random.randint(300, 427), random.randint(225, 321)
        left, top = random.randint(photo.width - width), random.randint(photo.height - height)
        buffer = io.BytesIO()
        photo.crop((left, top, left + width, top + height)).resize((500, 500 * height // width)).save(
            buffer, 'JPEG', quality=95)
        for split in ('train', 'val')[:1 + (number < 10)]:
            where = os.path.join(folder, split, 'n%08d' % (number % 10))
            os.makedirs(where, exist_ok=True)
            with open(os.path.join(where, '%d.JPEG' % number), 'wb') as file:
                file.write(buffer.getvalue())
