"""The digits that need no download, against scikit-learn's."""

import numpy as np
import pytest

import data
from data import digits


def test_digits_are_scikit_learns_enlarged():
    from sklearn.datasets import load_digits

    splits, official = digits.read()
    assert official
    images = np.concatenate([splits['train'][0], splits['test'][0]])
    labels = np.concatenate([splits['train'][1], splits['test'][1]])
    assert len(splits['train'][1]) == 1437 and len(splits['test'][1]) == 360
    assert (images[..., 0] == images[..., 1]).all() and (images[..., 0] == images[..., 2]).all()
    small = load_digits()
    assert np.bincount(labels).tolist() == np.bincount(small.target).tolist()
    # shrunk again, every image is close to one of the originals of its class, and to no other
    for image, label in list(zip(images, labels))[::60]:
        shrunk = image[..., 0].reshape(8, 4, 8, 4).mean(axis=(1, 3)) * 16 / 255
        nearest, second = sorted(np.abs(small.images[small.target == label] - shrunk).mean(axis=(1, 2)))[:2]
        assert nearest < 1 < second
    source = data.SOURCES['digits']
    pixels = splits['train'][0].astype(np.float64)
    assert pixels.mean() == pytest.approx(source.mean[0], abs=1e-3)
    assert pixels.std() == pytest.approx(source.std[0], abs=1e-3)
