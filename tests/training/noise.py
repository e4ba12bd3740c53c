"""Small runs in this process: a plain network of 8 layers on 8×8 images of noise, three steps an epoch."""

import functools
from unittest import mock

import numpy as np

from common.mxnet import mx
from data.augmentation import Traits
import symbols
from training import options
from training.loop import Trainer
from training.run import open_run

RECIPE = dict(net='plain', depth=8, dataset='noise', epochs=2, batch_size=8, schedule='fractions')
IMAGE_SHAPE = (3, 8, 8)
TRAIN, TEST = 22, 10  # images; with eight a step, the last step of an epoch has six


class Killed(BaseException):
    """What a `before` raises to end a run as SIGKILL would: nothing in the program catches it."""


def order_of(seed, epoch):
    """The order of the training images in an epoch."""
    return np.random.RandomState([seed, epoch]).permutation(TRAIN)


class Noise:
    """A data set and its training batches.

    before: called with (epoch, step) before each batch is prepared; steps count from 0. At that time the step before it
    is queued, and what the loop does after that is still to come.
    """

    name, test_split, test_batch, image_shape = 'noise', 'test', 4, IMAGE_SHAPE
    classes, traits = tuple('0123456789'), Traits((0.0,) * 3, (1.0,) * 3)

    def __init__(self, before=lambda epoch, step: None, has_top5=False, content='0' * 64):
        random = np.random.RandomState(0)
        self.train, self.test = (
            (random.randn(n, *IMAGE_SHAPE).astype(np.float32), np.arange(n) % 10) for n in (TRAIN, TEST)
        )
        self.about = {
            'train': {'records': TRAIN, 'verified': True, 'content_sha256': content},
            'test': {'records': TEST, 'verified': True, 'content_sha256': 64 * '1'},
        }
        self.before, self.has_top5 = before, has_top5
        self.images_per_epoch = TRAIN

    @property
    def steps(self):
        """Batches in an epoch."""
        return -(-TRAIN // self.run.args.batch_size)

    def open(self, run):
        """Itself as the training batches of a run."""
        self.run = run
        return self

    def epoch(self, epoch, start):
        """The batches of an epoch from a step on, as the loop takes them: parts for each device here, and their sum."""
        data, labels = self.train
        order, size = order_of(self.run.args.seed, epoch), self.run.args.batch_size
        for step in range(start, self.steps):
            self.before(epoch, step)
            own = order[step * size : (step + 1) * size]
            yield (
                [(data[own[part]], labels[own[part]].astype(np.float32)) for part in self.run.shard.slices(len(own))],
                len(own),
            )

    def evaluation_batches(self, split, batch_size):
        """The test images in order."""
        data, labels = getattr(self, split)
        for start in range(0, len(labels), batch_size):
            yield data[start : start + batch_size], labels[start : start + batch_size]


def parser():
    """The command line of a script that trains on noise."""
    return options.parser('Train on noise.', (*symbols.OPTIONS, 'no_verify'), RECIPE)


def open_noise(log_dir, *words):
    """The run of a command line in a log directory, not begun."""
    words = ['train_noise.py', '--log-dir', str(log_dir), *map(str, words)]
    with mock.patch('sys.argv', words):
        return open_run(parser())


def fit(log_dir, *words, noise=None):
    """Train as a script does, with the options in `words`; returns its exit status, None for a run that was Killed."""
    run, noise = open_noise(log_dir, *words), noise or Noise()
    if run.outcome:
        return run.report(run.outcome)
    network = functools.partial(
        symbols.get_symbol,
        run.args.net,
        run.args.depth,
        bn_momentum=run.args.bn_momentum,
        **symbols.arguments_of(vars(run.args)),
    )
    try:
        with mx.name.NameManager():  # which numbers unnamed operators from 0, as in a new process
            return Trainer(run, network, noise, noise.open(run)).fit()
    except Killed:
        return None


def at(*place, do):
    """A `before` that does something before one batch, (epoch, step)."""
    return lambda *now: do() if now == place else None


def kill():
    """End the run at once."""
    raise Killed
