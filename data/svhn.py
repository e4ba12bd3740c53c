"""SVHN, the cropped digits [section 6.1]: official .mat files → arrays.

The three files hold X (32, 32, 3, n) uint8 RGB and y (n, 1), where the label 10 stands for the digit 0. The paper
trains on train and extra together but holds out 400 images of each class of train and 200 of each class of extra:
604,388 − 6,000 = 598,388.
"""

import os

import numpy as np

from common.errors import UserError
from common.files import write_atomically
from data import matlab
from data.download import Archive, fetch, refuse, unreadable

BASE = 'http://ufldl.stanford.edu/housenumbers/'
FILES = {
    'train': Archive('train_32x32.mat', BASE, 182040794, 'e26dedcc434d2e4c54c9b2d4a06d8373'),
    'extra': Archive('extra_32x32.mat', BASE, 1329278602, 'a93ce644f1a588dc4d68dda5feec44a7'),
    'test': Archive('test_32x32.mat', BASE, 64275384, 'eb5a983be6a315427106f1b164d9cef3'),
}
CLASSES = tuple('0123456789')
HELD_OUT = {'train': 400, 'extra': 200}  # images of each class
SPLIT_SEED = 2016
INDICES = 'svhn-held-out.txt'

Split = tuple[np.ndarray | list[np.ndarray], np.ndarray]


def read(folder: str, verify: bool = True) -> tuple[dict[str, Split], bool]:
    """Read SVHN from `folder`; files that are not there are fetched.

    The splits are train, which the paper trains on, val, which it holds out, and test. Which images are held out is
    drawn with a fixed seed and written to svhn-held-out.txt. Files with too few images of a class are not split: val is
    then empty. Needs 2.1 GB: the images are views of the files' arrays.

    Returns:
        {split: (images, each (32, 32, 3) uint8 RGB, labels (n,) int)}, and whether this is the official data.

    Raises:
        UserError: a file cannot be used, or with `verify` is not the official one.
    """
    files = {}
    for name, archive in FILES.items():
        files[name] = fetch(archive, folder)
        refuse(files[name][1], verify)  # before the next one is fetched, which may have 1.3 GB
    contents = {name: _load(path) for name, (path, _) in files.items()}
    held_out = hold_out({name: contents[name][1] for name in HELD_OUT})
    write_atomically(
        os.path.join(folder, INDICES),
        ''.join(f'{name} {index}\n' for name, indices in held_out.items() for index in indices),
    )
    rest = {name: np.setdiff1d(np.arange(len(contents[name][1])), indices) for name, indices in held_out.items()}
    splits = {'train': _pick(contents, rest), 'val': _pick(contents, held_out), 'test': contents['test']}
    return splits, not any(problem for _, problem in files.values())


def hold_out(labels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The indices to hold out, sorted, of each file; none if a class has too few images."""
    if any((np.bincount(labels[name], minlength=10) <= count).any() for name, count in HELD_OUT.items()):
        return {name: np.empty(0, int) for name in HELD_OUT}
    random = np.random.RandomState(SPLIT_SEED)
    return {
        name: np.sort(
            np.concatenate(
                [random.choice(np.flatnonzero(labels[name] == digit), count, replace=False) for digit in range(10)]
            )
        )
        for name, count in HELD_OUT.items()
    }


def _pick(contents: dict[str, Split], indices: dict[str, np.ndarray]) -> Split:
    images = [contents[name][0][i] for name, chosen in indices.items() for i in chosen]
    return images, np.concatenate([contents[name][1][chosen] for name, chosen in indices.items()])


def _load(path: str) -> Split:
    """Images (n, 32, 32, 3) uint8, a view of the file's array, and labels (n,) int, 0 … 9."""
    try:
        with open(path, 'rb') as file:
            images, labels = matlab.read_arrays(file, ['X', 'y']).values()
    except matlab.Killed as error:
        raise UserError(f'{path} cannot be read: {error}') from error
    except matlab.Unreadable as error:
        raise unreadable(path, error) from error
    labels = labels.ravel()
    whole = images.shape == (32, 32, 3, len(labels)) and images.dtype == np.uint8
    if not whole or not np.isin(labels, range(1, 11)).all():
        raise UserError(
            f'{path} is not in the format of SVHN: it needs X (32, 32, 3, n) of bytes and y (n, 1) of 1 to 10'
        )
    return images.transpose(3, 0, 1, 2), labels.astype(np.int64) % 10
