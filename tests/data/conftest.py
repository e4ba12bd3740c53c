"""Fixtures for the data room."""

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
