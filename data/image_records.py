"""Batches for the 224×224 networks: RecordIO files, decoded and augmented by OpenCV, with a thread for each core.

The order of an epoch is a function of (seed, epoch), an image's crop and colours of (seed, epoch, record): an epoch can
be repeated, taken up in its middle without decoding what came before, and shared by any number of devices.

Not MXNet's ImageRecordIter, of which little of this can be had. It decodes at a third of the speed, because the JPEG
library in MXNet's wheel has no vector code, and in no more threads than half of the processors; `mx.random.seed` does
not reach it, and with its own seeds an image's random numbers follow from the place in a batch. Options that it does
not know it ignores.
"""
import collections
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from common.mxnet import mx, share_of_cores
from common.errors import UserError

IMAGE_SHAPE = (3, 224, 224)
MEAN, STD = (123.370, 112.757, 99.406), (68.998, 66.093, 68.292)  # R, G, B, 0–255, of images of shorter side 480
AHEAD = 2     # batches that are prepared before they are asked for
TOGETHER = 4  # images that a thread takes at a time
LEVELS = np.arange(256.0)
# AlexNet's: of the covariance of the pixels R, G, B, 0–255; a row of VECTORS is a channel.
VALUES = np.array([55.46, 4.794, 1.148])
VECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def paper(image, random):
    """As [8]: shorter side 256 to 480, a crop of 224, mirror, AlexNet's colours (a shift of each channel)."""
    side = 224 * min(image.shape[:2]) / random.randint(256, 481)
    return crop(image, side, side, random), _table(shift=VECTORS @ (VALUES * random.normal(0, 0.1, 3)))


def code_2016(image, random):
    """The authors' code of 2016: crops of 196 to 480 pixels, aspect ratio ±25 %, contrast ±20 %, illumination ±10."""
    image = crop(image, *_with_aspect(random.randint(196, 481), random), random)
    return image, _table(random.uniform(0.8, 1.2), random.uniform(-10, 10))


def code_2018(image, random):
    """Their code of 2018: scale 0.533 to 1, aspect ratio ±25 %, hue ±36, lightness, saturation ±50 (OpenCV's HLS)."""
    image = crop(image, *_with_aspect(224 / random.uniform(0.533, 1), random), random)
    hue, lightness, saturation = (random.randint(-most, most + 1) for most in (36, 50, 50))
    image = cv2.cvtColor(image, cv2.COLOR_BGR2HLS).astype(np.int16) + np.array([hue, lightness, saturation], np.int16)
    image = np.clip(image, 0, (180, 255, 255)).astype(np.uint8)  # the hue does not go round, in MXNet either
    return cv2.cvtColor(image, cv2.COLOR_HLS2BGR), _table()


def centre(image, _):
    """The middle 224×224, for evaluation."""
    top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
    return image[top:top + 224, left:left + 224], _table()


# Of images of shorter side 480, (height, width, 3) uint8 BGR, with a RandomState: a crop, and what its levels become.
AUGMENTATIONS = {'paper': paper, 'code-2016': code_2016, 'code-2018': code_2018}


def crop(image, width, height, random):
    """A random part of so many pixels, resized to 224×224; half of them mirrored.

    Bilinear, which is MXNet's default and so the authors': no crop has more than twice the pixels each way, so none is
    passed over, and averaging over areas would take as long again as half of the decoding.
    """
    height, width = (min(whole, round(part)) for whole, part in zip(image.shape, (height, width)))
    top, left = (random.randint(whole - part + 1) for whole, part in zip(image.shape, (height, width)))
    image = cv2.resize(image[top:top + height, left:left + width], (224, 224))
    return cv2.flip(image, 1) if random.randint(2) else image


def _with_aspect(side, random):
    """(width, height) of a crop whose two have a ratio of 1 ± 25 %, as MXNet draws it."""
    ratio = random.uniform(0.75, 1.25)
    return side * (1 + ratio) / (2 * ratio), side * (1 + ratio) / 2


def _table(gain=1, shift=0):
    """(3, 256) float32: what the levels of R, G, B become: less the mean, times gain, plus shift, normalised."""
    levels = (LEVELS - np.array(MEAN)[:, None]) * gain + np.reshape(shift, (-1, 1))
    return (levels / np.array(STD)[:, None]).astype(np.float32)


def _decode(content):
    """(height, width, 3) uint8 BGR, or None."""
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


class Reader:
    """The records of PREFIX.rec, from any thread."""

    def __init__(self, prefix):
        self.prefix, self._own = prefix, threading.local()
        with open(prefix + '.idx') as file:
            ids, offsets = np.array(file.read().split(), np.int64).reshape(-1, 2).T
        self.ids = np.sort(ids)
        self._offsets = dict(zip(ids.tolist(), offsets.tolist()))
        cv2.setNumThreads(1)  # each image has a thread already

    def read(self, record, augment, seeds, out):
        """Decode a record and augment it, by random numbers from seeds, into out (3, 224, 224) float32; its label."""
        own = self._of_this_thread()
        own.random.seed(seeds)
        header, content = mx.recordio.unpack(own.file.read_idx(record))
        image = _decode(content)
        if image is None:
            raise UserError('%s.rec is damaged, or the disk that it is on: delete it, and it is made again (record %d '
                            'cannot be decoded)' % (self.prefix, record))
        image, table = augment(image, own.random)
        assert image.shape == IMAGE_SHAPE[1:] + (3,), 'record %d is smaller than 224 pixels' % record
        for plane, levels, channel in zip(cv2.split(image)[::-1], table, out):
            cv2.LUT(plane, levels, dst=channel)
        return header.label

    def _of_this_thread(self):
        if not hasattr(self._own, 'file'):
            self._own.file = mx.recordio.MXIndexedRecordIO(os.devnull, self.prefix + '.rec', 'r')
            self._own.file.idx = self._offsets  # one for all threads, ImageNet's is long
            self._own.random = np.random.RandomState()
        return self._own

    def batches(self, plan, augment, *seeds):
        """Yield (data (n, 3, 224, 224) float32, labels (n,) float32) for each list of records in the iterable `plan`.

        An image's random numbers are a function of the seeds and its record. The memory of `data` is used again for
        later batches. UserError where an image cannot be decoded.
        """
        def read(records, outs):
            return [self.read(record, augment, [*seeds, record], out) for record, out in zip(records, outs)]

        plan, begun, free = iter(plan), collections.deque(), []
        with ThreadPoolExecutor(share_of_cores()) as pool:
            try:
                while True:
                    for records in plan:
                        same_size = free and len(free[-1]) == len(records)
                        data = free.pop() if same_size else np.empty((len(records),) + IMAGE_SHAPE, np.float32)
                        begun.append((data, [pool.submit(read, records[i:i + TOGETHER], data[i:i + TOGETHER])
                                             for i in range(0, len(records), TOGETHER)]))
                        if len(begun) > AHEAD:
                            break
                    if not begun:
                        return
                    data, parts = begun[0]
                    labels = np.concatenate([part.result() for part in parts]).astype(np.float32)
                    begun.popleft()
                    yield data, labels
                    free.append(data)
            finally:
                for _, parts in begun:
                    for part in parts:
                        part.cancel()


class TrainRecords:
    """A training split, an epoch at a time, in batches of one size.

    prefix: of the RecordIO files, `records` records. batch_size: over all devices; shard: which of them are here.
    augmentation: a name of AUGMENTATIONS. Raises UserError where the batches do not come out even.
    """

    def __init__(self, prefix, records, batch_size, seed, shard, augmentation='paper'):
        self.seed, self.shard, self.batch_size = seed, shard, batch_size
        self.augment = AUGMENTATIONS[augmentation]
        if batch_size % shard.total:
            raise UserError('--batch-size %d cannot be split evenly over %d devices: choose a multiple' % (
                batch_size, shard.total))
        self.steps = records // batch_size
        if not self.steps:
            raise UserError('%d images are too few for a batch of %d' % (records, batch_size))
        self.reader = Reader(prefix)

    @property
    def images_per_epoch(self):
        """Images in an epoch: whole batches only; which are left out is another draw in each epoch."""
        return self.steps * self.batch_size

    def epoch(self, epoch, start=0):
        """Yield ([(data (b, 3, 224, 224) float32, labels (b,) float32) for each device here], images of the batch).

        Begins with batch `start`; epochs count from 1. The memory of `data` is used again for later batches.
        """
        order = np.random.RandomState([self.seed, epoch]).permutation(self.reader.ids)
        shares = self.shard.slices(self.batch_size)
        here = slice(shares[0].start, shares[-1].stop)
        plan = (order[step * self.batch_size:(step + 1) * self.batch_size][here].tolist()
                for step in range(start, self.steps))
        for data, labels in self.reader.batches(plan, self.augment, self.seed, epoch):
            yield [(data[share.start - here.start:share.stop - here.start],
                    labels[share.start - here.start:share.stop - here.start]) for share in shares], self.batch_size


def evaluation_batches(prefix, batch_size):
    """Yield (data (b, 3, 224, 224) float32, labels (b,)), the centre crops of a split's images, each once, in order.

    The memory of `data` is used again for later batches.
    """
    reader = Reader(prefix)
    plan = (reader.ids[first:first + batch_size].tolist() for first in range(0, len(reader.ids), batch_size))
    return reader.batches(plan, centre)


class ImageRecords:
    """ImageNet, or what is prepared like it: RecordIO files {split: prefix} and {split: their side file's dict}."""

    name, image_shape, test_split, has_top5, test_batch = 'imagenet', IMAGE_SHAPE, 'val', True, 32

    def __init__(self, prefixes, about):
        self.prefixes, self.about = prefixes, about
        self.classes = tuple(next(iter(about.values()))['classes'])

    def train_batches(self, batch_size, seed, shard, augmentation='paper'):
        """TrainRecords of the training split."""
        return TrainRecords(self.prefixes['train'], self.about['train']['records'], batch_size, seed, shard,
                            augmentation)

    def evaluation_batches(self, split, batch_size):
        """Yield (data, labels) over a split's centre crops, every image once."""
        return evaluation_batches(self.prefixes[split], batch_size)
