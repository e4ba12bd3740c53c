"""Batches for the 224×224 networks: MXNet's ImageRecordIter over RecordIO files, decoded and augmented in C++.

What it does unless it is told otherwise, and what is done about it here:

- Options that it does not know are ignored without a word: `_iterator` refuses them.
- Without the .idx file it shuffles within 64 MB only: it always gets the file.
- `mx.random.seed` does not reach it. Each epoch has an iterator of its own, whose order and crops are drawn from
  (seed, epoch, device), so an epoch can be repeated, or taken up in its middle by reading on to the place.
- With `seed_aug`, which that needs, an image's random numbers are a function of its place in the iterator's
  batch. One batch of the iterator therefore makes WINDOW steps; with the iterator's batches as the steps' there
  would be 32 different crops in an epoch on a GPU with 32 images.
- With `round_batch` a pass need not begin at the first record; without it the last batch ends in garbage while its
  `pad` says 0. It is off, and what is used of the last batch follows from the number of records.
- `num_parts` cuts the file into contiguous parts, the last ones smaller. All devices, of all workers, have a part
  each, another one in every epoch; the steps of an epoch are those that the smallest part has.
- What a scaled image does not cover is filled with 255, white, or another single number: here with 114, the mean
  over the channels.
"""
import re

import numpy as np

from compat import mx, share_of_cores
from errors import UserError

IMAGE_SHAPE = (3, 224, 224)
MEAN, STD = (123.370, 112.757, 99.406), (68.998, 66.093, 68.292)  # R, G, B, 0–255, of images of shorter side 480
WINDOW = 8          # steps
FILL = 114
AUTO = 9            # interpolation: area to shrink, cubic to enlarge

# From images of shorter side 480. [8]: shorter side drawn from 256 to 480, a crop of 224, AlexNet's colours.
AUGMENTATIONS = {
    'paper': dict(min_random_scale=256 / 480, max_random_scale=1, pca_noise=0.1),
    'code-2016': dict(min_crop_size=196, max_crop_size=480, max_aspect_ratio=0.25, max_random_contrast=0.2,
                      max_random_illumination=10),
    'code-2018': dict(min_random_scale=0.533, max_random_scale=1, max_aspect_ratio=0.25, random_h=36, random_s=50,
                      random_l=50),
}

OPTIONS = set(re.findall(r'^(\w+) : ', mx.io.ImageRecordIter.__doc__, re.M))


def _iterator(prefix, batch_size, **options):
    """A new ImageRecordIter of PREFIX.rec; TypeError for an option that it does not have."""
    unknown = set(options) - OPTIONS
    if unknown:
        raise TypeError('ImageRecordIter has no option %s' % ', '.join(sorted(unknown)))
    return mx.io.ImageRecordIter(
        path_imgrec=prefix + '.rec', path_imgidx=prefix + '.idx', data_shape=IMAGE_SHAPE, batch_size=batch_size,
        round_batch=False, inter_method=AUTO, fill_value=FILL, verbose=False,
        **dict(zip(('mean_r', 'mean_g', 'mean_b', 'std_r', 'std_g', 'std_b'), MEAN + STD)), **options)


def _batches(prefix, batch_size, **options):
    """Yield the batches of a new iterator; UserError where a record cannot be decoded."""
    try:
        yield from _iterator(prefix, batch_size, **options)
    except mx.MXNetError as error:
        raise UserError('%s.rec is damaged, or the disk that it is on: delete it, and it is made again (%s)' % (
            prefix, str(error).strip().splitlines()[-1])) from error


class TrainRecords:
    """A training split, an epoch at a time, in batches of one size.

    prefix: of the RecordIO files, `records` records. batch_size: over all devices; place: which of them are here.
    augmentation: a name of AUGMENTATIONS. Raises UserError where the batches do not come out even.
    """

    def __init__(self, prefix, records, batch_size, seed, place, augmentation='paper'):
        self.prefix, self.seed, self.place = prefix, seed, place
        self.batch_size, self.augmentation = batch_size, AUGMENTATIONS[augmentation]
        self.share, rest = divmod(batch_size, place.total)
        if rest:
            raise UserError('--batch-size %d cannot be split evenly over %d devices: choose a multiple' % (
                batch_size, place.total))
        self.steps = min(part_sizes(records, place.total)) // self.share
        if not self.steps:
            raise UserError('%d images are too few for a batch of %d over %d devices' % (
                records, batch_size, place.total))

    @property
    def images_per_epoch(self):
        """Images in an epoch: whole batches only; which are left out is another draw in each epoch."""
        return self.steps * self.batch_size

    def epoch(self, epoch, start=0):
        """Yield ([(data (b, 3, 224, 224) NDArray, labels (b,) float32) for each device here], images of the batch).

        Begins with batch `start`, having decoded those before it; epochs count from 1. The memory of `data` is used
        again for later batches.
        """
        windows = zip(*(self._windows(epoch, device) for device in range(self.place.first,
                                                                         self.place.first + self.place.count)))
        for first, window in zip(range(0, self.steps, WINDOW), windows):
            for step in range(max(first, start), min(first + WINDOW, self.steps)):
                pick = slice((step - first) * self.share, (step - first + 1) * self.share)
                yield [(data[pick], labels[pick]) for data, labels in window], self.batch_size

    def _windows(self, epoch, device):
        """A device's images of an epoch, WINDOW steps at a time."""
        order, crops = np.random.RandomState([self.seed, epoch, device]).randint(0, 2 ** 30, 2)
        batches = _batches(
            self.prefix, WINDOW * self.share, shuffle=True, seed=int(order), seed_aug=int(crops), rand_crop=True,
            rand_mirror=True, num_parts=self.place.total, part_index=(device + epoch) % self.place.total,
            preprocess_threads=max(1, share_of_cores() // self.place.count), prefetch_buffer=1, **self.augmentation)
        for batch in batches:
            yield batch.data[0], batch.label[0].asnumpy()


def part_sizes(records, parts):
    """How many records each of ImageRecordIter's parts of a file has."""
    step = -(-records // parts)
    return [max(0, min(step, records - step * part)) for part in range(parts)]


def evaluation_batches(prefix, records, batch_size):
    """Yield (data (b, 3, 224, 224) NDArray, labels (b,)), the centre crops of a split's images, each once, in order.

    The iterator uses the memory of `data` again for later batches.
    """
    batches = _batches(prefix, batch_size, preprocess_threads=share_of_cores())
    for first, batch in zip(range(0, records, batch_size), batches):
        there = min(batch_size, records - first)
        yield batch.data[0][:there], batch.label[0].asnumpy()[:there]


class ImageRecords:
    """ImageNet, or what is prepared like it: RecordIO files {split: prefix} and {split: their side file's dict}."""

    name, image_shape, test_split, has_top5, test_batch = 'imagenet', IMAGE_SHAPE, 'val', True, 32

    def __init__(self, prefixes, about):
        self.prefixes, self.about = prefixes, about
        self.classes = tuple(next(iter(about.values()))['classes'])

    def train_batches(self, batch_size, seed, place, augmentation='paper'):
        """TrainRecords of the training split."""
        return TrainRecords(self.prefixes['train'], self.about['train']['records'], batch_size, seed, place,
                            augmentation)

    def evaluation_batches(self, split, batch_size):
        """Yield (data, labels) over a split's centre crops, every image once."""
        return evaluation_batches(self.prefixes[split], self.about[split]['records'], batch_size)
