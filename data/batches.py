"""Batches for the 32×32 networks: normalised, augmented with numpy, in an order that can be repeated.

What an epoch shows, its order and every crop and mirror, is a pure function of (seed, epoch), so a run
can be taken up in the middle of an epoch. numpy's RandomState is the generator because its numbers are
the same in every version of numpy.
"""
import cv2
import numpy as np


class Normalisation:
    """(pixel - mean) / std per channel, mean and std in 0–255; a table of the 256 values, rounded once."""

    def __init__(self, mean, std):
        levels = np.arange(256.0)
        self._table = np.stack([(levels - m) / s for m, s in zip(mean, std)]).astype(np.float32)

    def __call__(self, images, out=None):
        """images (n, 3, h, w) uint8 → float32 of the same shape, into `out` where given."""
        if out is None:
            out = np.empty(images.shape, np.float32)
        n, _, height, width = images.shape
        for channel, table in enumerate(self._table):  # OpenCV looks up four times as fast as numpy
            out[:, channel] = cv2.LUT(images[:, channel].reshape(n, height * width), table).reshape(n, height, width)
        return out

    def black(self):
        """What the pixel value 0 becomes in each channel, (3,) float32."""
        return self._table[:, 0]


class TrainBatches:
    """One pass over a training split per epoch, in batches, the last one with the images that remain.

    images (n, 3, 32, 32) uint8, labels (n,). pad: pixels of padding on every side before a random crop of
    the old size. pad_value: 'zero', black before normalisation (the paper), or 'mean', the channel's mean,
    which is zero after it (the authors' code). mirror: whether half of the images are mirrored. shares: from the
    images of a batch to the slices of it that the devices here work on.
    """

    def __init__(self, images, labels, batch_size, normalise, seed, pad=4, mirror=True, pad_value='zero',
                 shares=lambda images: [slice(0, images)]):
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.normalise, self.seed, self.pad, self.mirror, self.shares = normalise, seed, pad, mirror, shares
        self.fill = normalise.black() if pad_value == 'zero' else np.zeros(3, np.float32)

    @property
    def images_per_epoch(self):
        """Images in an epoch."""
        return len(self.labels)

    @property
    def steps(self):
        """Batches in an epoch."""
        return -(-len(self.labels) // self.batch_size)

    def epoch(self, epoch, start=0):
        """Yield ([(data (b, 3, 32, 32) float32, labels (b,) float32) for each share], images of the whole batch).

        Begins with batch `start`; epochs count from 1.
        """
        drawn = self._draw(epoch)
        for first in range(start * self.batch_size, len(self.labels), self.batch_size):
            images = min(self.batch_size, len(self.labels) - first)
            yield [self._share([values[first + share.start:first + share.stop] for values in drawn])
                   for share in self.shares(images)], images

    def _share(self, drawn):
        order, top, left, flip = drawn
        return self._augment(self.images[order], top, left, flip), self.labels[order].astype(np.float32)

    def _draw(self, epoch):
        """The epoch's order, and for each place in it the crop's top and left corner and the mirror."""
        random, n = np.random.RandomState([self.seed, epoch]), len(self.labels)
        order = random.permutation(n)
        top, left = random.randint(0, 2 * self.pad + 1, (2, n))
        flip = random.randint(0, 2, n).astype(bool) & self.mirror
        return order, top, left, flip

    def _augment(self, images, top, left, flip):
        n, channels, height, width = images.shape
        pad = self.pad
        if pad:
            canvas = np.empty((n, channels, height + 2 * pad, width + 2 * pad), np.float32)
            canvas[:] = self.fill[:, None, None]
            self.normalise(images, out=canvas[:, :, pad:-pad, pad:-pad])
            windows = np.lib.stride_tricks.sliding_window_view(canvas, (height, width), axis=(2, 3))
            data = windows[np.arange(n), :, top, left]
        else:
            data = self.normalise(images)
        data[flip] = data[flip][..., ::-1]
        return data


def evaluation_batches(images, labels, batch_size, normalise):
    """Yield (data, labels) over a split as it is, in order, every image once, the last batch shorter."""
    for start in range(0, len(labels), batch_size):
        pick = slice(start, start + batch_size)
        yield normalise(images[pick]), labels[pick]
