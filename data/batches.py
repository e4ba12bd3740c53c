"""Batches for the 32×32 networks: normalized, augmented with numpy, in an order that can be repeated.

What an epoch shows, its order and every crop and mirror, is a pure function of (seed, epoch), so a run can be taken up
in the middle of an epoch. numpy's RandomState is the generator because every version of numpy draws the same numbers
from it.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from common.sharding import Shard

Arrays = tuple[np.ndarray, np.ndarray]  # images or data, and their labels


class Normalization:
    """(pixel - mean) / std per channel, by a table of the 256 levels; mean and std of R, G, B in 0–255."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        levels = np.arange(256.0)
        self._table = np.stack([(levels - m) / s for m, s in zip(mean, std)]).astype(np.float32)

    def __call__(self, images: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """images (n, 3, h, w) uint8 → float32 of the same shape, into `out` where given."""
        if out is None:
            out = np.empty(images.shape, np.float32)
        n, _, height, width = images.shape
        for channel, table in enumerate(self._table):  # OpenCV looks up four times as fast as numpy
            out[:, channel] = cv2.LUT(images[:, channel].reshape(n, height * width), table).reshape(n, height, width)
        return out

    def pixels(self, data: np.ndarray) -> np.ndarray:
        """What the levels were: data (3, h, w) → (h, w, 3) uint8 RGB."""
        low, high = self._table[:, 0], self._table[:, 255]
        levels = 255 * (data - low[:, None, None]) / (high - low)[:, None, None]
        return np.rint(levels).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)

    def black(self) -> np.ndarray:
        """What the level 0 becomes in each channel, (3,) float32."""
        return self._table[:, 0]


class TrainBatches:
    """A training split in memory: one pass over it an epoch, in batches; the last one has the images that remain.

    Args:
        images: (n, 3, 32, 32) uint8 RGB.
        labels: (n,).
        batch_size: images a step, over all devices.
        normalize: what images go through.
        seed: of order, crops and mirrors.
        pad: pixels on every side before a random crop of the old size.
        mirror: whether half of the images are mirrored.
        pad_value: 'zero', black before normalization (the paper), or 'mean', the channel's mean, which is zero after
            it (the authors' code).
        shard: the devices whose share of each batch is wanted.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        normalize: Normalization,
        seed: int,
        pad: int = 4,
        mirror: bool = True,
        pad_value: str = 'zero',
        shard: Shard = Shard(),  # noqa: B008
    ):
        self.images, self.labels, self.batch_size, self.normalize = images, labels, batch_size, normalize
        self.seed, self.pad, self.mirror, self.shard = seed, pad, mirror, shard
        self.fill = normalize.black() if pad_value == 'zero' else np.zeros(3, np.float32)

    @property
    def images_per_epoch(self) -> int:
        """Images in an epoch."""
        return len(self.labels)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.labels) // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[list[Arrays], int]]:
        """Yield ([(data (b, 3, 32, 32) float32, labels (b,) float32) for each device here], images of the whole batch).

        Begins with batch `start`; epochs count from 1.
        """
        drawn = self._draw(epoch)
        for first in range(start * self.batch_size, len(self.labels), self.batch_size):
            images = min(self.batch_size, len(self.labels) - first)
            slices = [slice(first + part.start, first + part.stop) for part in self.shard.slices(images)]
            yield [self._augmented([values[part] for values in drawn]) for part in slices], images

    def _draw(self, epoch: int) -> tuple[np.ndarray, ...]:
        """The epoch's order, and for each place in it the crop's top and left corner and the mirror."""
        random, n = np.random.RandomState([self.seed, epoch]), len(self.labels)
        order = random.permutation(n)
        top, left = random.randint(0, 2 * self.pad + 1, (2, n))
        flip = random.randint(0, 2, n).astype(bool) & self.mirror
        return order, top, left, flip

    def _augmented(self, drawn: list[np.ndarray]) -> Arrays:
        order, top, left, flip = drawn
        data = self._cropped(self.images[order], top, left) if self.pad else self.normalize(self.images[order])
        data[flip] = data[flip][..., ::-1]
        return data, self.labels[order].astype(np.float32)

    def _cropped(self, images: np.ndarray, top: np.ndarray, left: np.ndarray) -> np.ndarray:
        n, channels, height, width = images.shape
        pad = self.pad
        canvas = np.empty((n, channels, height + 2 * pad, width + 2 * pad), np.float32)
        canvas[:] = self.fill[:, None, None]
        self.normalize(images, out=canvas[:, :, pad:-pad, pad:-pad])
        windows = np.lib.stride_tricks.sliding_window_view(canvas, (height, width), axis=(2, 3))  # type: ignore[call-overload]
        return windows[np.arange(n), :, top, left]


def evaluation_batches(
    images: np.ndarray, labels: np.ndarray, batch_size: int, normalize: Normalization
) -> Iterator[Arrays]:
    """Yield (data, labels) over a split as it is, in order, every image once; the last batch is shorter."""
    for start in range(0, len(labels), batch_size):
        part = slice(start, start + batch_size)
        yield normalize(images[part]), labels[part]
