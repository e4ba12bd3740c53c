"""Batches for the 224×224 networks: RecordIO files, decoded and augmented by OpenCV, with a thread for each core.

The order of an epoch is a function of (seed, epoch), an image's crop and colors are a function of (seed, epoch,
record). So an epoch can be repeated, taken up in its middle without decoding what came before, and shared by any number
of devices.

MXNet's ImageRecordIter can do little of this. It decodes at a third of the speed, because the JPEG library in MXNet's
wheel has no vector code, and in no more threads than half of the processors. `mx.random.seed` does not reach it, and
with its own seeds an image's random numbers follow from the place in a batch. It ignores options that it does not know.
"""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
import functools
import threading

import cv2
import numpy as np

from common.errors import UserError
from common.mxnet import share_of_cores
from common.sharding import Shard
from data import recordio
from data.augmentation import AUGMENTATIONS, IMAGENET, SIZE, Augmented, Traits, center
from data.batches import Normalization

IMAGE_SHAPE = (3, SIZE, SIZE)
AHEAD = 2  # batches that are prepared before they are asked for
TOGETHER = 4  # images that a thread takes at a time

Batch = tuple[np.ndarray, np.ndarray]


def _decode(content: memoryview) -> np.ndarray | None:
    """(height, width, 3) uint8 BGR, or None."""
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


class Reader:
    """Decodes and augments the records of PREFIX.rec, in any thread. about: the side file's dict."""

    def __init__(self, prefix: str, about: dict):
        self._records, self._own = recordio.Records(prefix, about), threading.local()
        self._shorter_side = about['shorter_side']
        self.ids = self._records.ids
        cv2.setNumThreads(1)  # each image has a thread already

    def read(self, record: int, augment: Callable[..., Augmented], seeds: list[int], out: np.ndarray) -> float:
        """Decode a record and augment it into `out`; return its label.

        Args:
            record: its id.
            augment: an augmentation (see data/augmentation.py).
            seeds: of the random numbers that it gets.
            out: (3, 224, 224) float32.
        """
        random = self._random_of_this_thread()
        random.seed(seeds)
        label, content = self._records.read(record)
        image = _decode(content)
        if image is None or min(image.shape[:2]) != self._shorter_side:
            raise self._records.damage(record, 'it cannot be decoded, or has another size')
        image, table = augment(image, random)
        for plane, levels, channel in zip(cv2.split(image)[::-1], table, out):
            cv2.LUT(plane, levels, dst=channel)
        return label

    def _random_of_this_thread(self) -> np.random.RandomState:
        if not hasattr(self._own, 'random'):
            self._own.random = np.random.RandomState()
        return self._own.random

    def batches(self, plan: Iterable[list[int]], augment: Callable[..., Augmented], *seeds: int) -> Iterator[Batch]:
        """Yield (data (n, 3, 224, 224) float32, labels (n,) float32) for each list of records in `plan`.

        An image's random numbers are a function of the seeds and its record. The memory of `data` is used again for
        later batches.

        Raises:
            UserError: a record is damaged.
        """

        def read(records: list[int], outs: np.ndarray) -> list[float]:
            return [self.read(record, augment, [*seeds, record], out) for record, out in zip(records, outs)]

        plan, begun, free = iter(plan), collections.deque(), []
        with ThreadPoolExecutor(share_of_cores()) as pool:
            try:
                while True:
                    for records in plan:
                        same_size = free and len(free[-1]) == len(records)
                        data = free.pop() if same_size else np.empty((len(records),) + IMAGE_SHAPE, np.float32)
                        parts = [
                            pool.submit(read, records[i : i + TOGETHER], data[i : i + TOGETHER])
                            for i in range(0, len(records), TOGETHER)
                        ]
                        begun.append((data, parts))
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


def check_split(batch_size: int, shard: Shard) -> None:
    """Raise UserError unless batches can be split evenly over the devices."""
    if batch_size % shard.total:
        raise UserError(
            f'--batch-size {batch_size} cannot be split evenly over {shard.total} devices: choose a multiple'
        )


class TrainRecords:
    """A training split, an epoch at a time, in batches of one size.

    Args:
        prefix: of the RecordIO files.
        about: the side file's dict.
        batch_size: images a step, over all devices.
        seed: of order and augmentation.
        shard: the devices whose share of each batch is wanted.
        augmentation: a name of AUGMENTATIONS.
        traits: of the images.

    Raises:
        UserError: the batches do not come out even.
    """

    def __init__(
        self,
        prefix: str,
        about: dict,
        batch_size: int,
        seed: int,
        shard: Shard = Shard(),  # noqa: B008
        augmentation: str = 'paper',
        traits: Traits = IMAGENET,
    ):
        self.seed, self.shard, self.batch_size = seed, shard, batch_size
        self.augment = functools.partial(AUGMENTATIONS[augmentation], traits=traits)
        check_split(batch_size, shard)
        self.steps = about['records'] // batch_size
        if not self.steps:
            raise UserError(
                f'{about["records"]} images are too few for a batch of {batch_size}: choose a smaller --batch-size'
            )
        self.reader = Reader(prefix, about)

    @property
    def images_per_epoch(self) -> int:
        """Images in an epoch: whole batches only. Each epoch draws anew which images are left out."""
        return self.steps * self.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[list[Batch], int]]:
        """Yield ([(data (b, 3, 224, 224) float32, labels (b,) float32) for each device here], images of the batch).

        Begins with batch `start`; epochs count from 1. The memory of `data` is used again for later batches.
        """
        order = np.random.RandomState([self.seed, epoch]).permutation(self.reader.ids)
        slices = self.shard.slices(self.batch_size)
        begin, end = slices[0].start, slices[-1].stop  # of this process's part of a batch
        plan = (
            order[step * self.batch_size + begin : step * self.batch_size + end].tolist()
            for step in range(start, self.steps)
        )
        devices = [slice(part.start - begin, part.stop - begin) for part in slices]
        for data, labels in self.reader.batches(plan, self.augment, self.seed, epoch):
            yield [(data[device], labels[device]) for device in devices], self.batch_size


def evaluation_batches(reader: Reader, batch_size: int, traits: Traits = IMAGENET) -> Iterator[Batch]:
    """Yield (data (b, 3, 224, 224) float32, labels (b,)), the center crops of a split's images, each once, in order.

    The memory of `data` is used again for later batches.
    """
    plan = (reader.ids[first : first + batch_size].tolist() for first in range(0, len(reader.ids), batch_size))
    return reader.batches(plan, functools.partial(center, traits=traits))


class ImageRecords:
    """ImageNet, or what is prepared like it: RecordIO files {split: prefix} and {split: their side file's dict}."""

    image_shape, test_split, test_batch = IMAGE_SHAPE, 'val', 32

    def __init__(
        self,
        prefixes: dict[str, str],
        about: dict[str, dict],
        name: str = 'imagenet',
        traits: Traits = IMAGENET,
        has_top5: bool = True,
    ):
        self.prefixes, self.about, self.name, self.traits, self.has_top5 = prefixes, about, name, traits, has_top5
        # Open from the start: another command may pack a folder's images anew while a run trains on them.
        self._readers = {split: Reader(prefix, about[split]) for split, prefix in prefixes.items() if split != 'train'}
        self.classes = tuple(next(iter(about.values()))['classes'])

    @property
    def normalization(self) -> Normalization:
        """From pixels to what the networks are given, and back."""
        return Normalization(self.traits.mean, self.traits.std)

    def normalized_by(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> 'ImageRecords':
        """The same images, normalized as another network's were."""
        traits = self.traits._replace(mean=mean, std=std)
        return ImageRecords(self.prefixes, self.about, self.name, traits, self.has_top5)

    def train_batches(
        self,
        batch_size: int,
        seed: int,
        shard: Shard = Shard(),  # noqa: B008
        augmentation: str = 'paper',
    ) -> TrainRecords:
        """The training split's batches for the devices in `shard`."""
        return TrainRecords(
            self.prefixes['train'], self.about['train'], batch_size, seed, shard, augmentation, self.traits
        )

    def evaluation_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Yield (data, labels) over a split's center crops, every image once."""
        return evaluation_batches(self._readers[split], batch_size, self.traits)
