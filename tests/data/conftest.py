"""Fixtures for the data room."""

import contextlib
import resource
import signal

import pytest

from data import imagenet
from tests.data.small_imagenet import Copy


@pytest.fixture
def copy(random):
    """A small ImageNet, as it should be: 20 images to train on, 10 to validate."""
    return Copy(random)


@pytest.fixture
def small_sides(monkeypatch):
    """Sides of 48 and 32 pixels instead of 480 and 256, where the size is of no matter."""
    for split, side in (('train', 48), ('val', 32)):
        monkeypatch.setitem(imagenet.SPLITS, split, imagenet.SPLITS[split]._replace(shorter_side=side))


@pytest.fixture
def full_disk():
    """A context in which no file can be longer than so many bytes; it stands for a full disk."""

    @contextlib.contextmanager
    def limited(size):
        before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
            signal.signal(signal.SIGXFSZ, handler)

    return limited
