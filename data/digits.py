"""scikit-learn's handwritten digits, a real data set that needs no download: 1,797 images, 10 classes."""

import cv2
import numpy as np

TEST_FRACTION = 0.2
SPLIT_SEED = 0


def read(folder: str | None = None, verify: bool = True) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], bool]:
    """Read the digits: 1,437 images to train on, 360 to test. The arguments are those of the other data sets; unused.

    The 8×8 images with 17 levels of gray are enlarged to 32×32 by bicubic interpolation. The digits have no official
    split; a fifth of every class is the test set.

    Returns:
        {split: (images (n, 32, 32, 3) uint8 RGB, labels (n,) int)}, and True: this is the official data.
    """
    from sklearn.datasets import load_digits  # imported here: it takes a second
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.stack([_enlarge(image) for image in digits.images])
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits.target.astype(np.int64), test_size=TEST_FRACTION, random_state=SPLIT_SEED, stratify=digits.target
    )
    return {'train': (train_x, train_y), 'test': (test_x, test_y)}, True


def _enlarge(image: np.ndarray) -> np.ndarray:
    gray = cv2.resize(image.astype(np.float32) * (255 / 16), (32, 32), interpolation=cv2.INTER_CUBIC)
    return np.repeat(np.clip(np.rint(gray), 0, 255).astype(np.uint8)[..., None], 3, axis=2)
