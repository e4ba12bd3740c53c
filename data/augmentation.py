"""What is done to a training image of 224×224: a random crop, a mirror and a change of colors.

An augmentation takes an image of shorter side 480, (height, width, 3) uint8 BGR, and a RandomState. It returns the
crop, (224, 224, 3) uint8 BGR, and a table (3, 256) float32 of what each level 0–255 of R, G and B becomes. Its third
argument, the Traits of the images, is ImageNet's by default.

`paper` does what ResNet's paper [8] says. `code-2016` and `code-2018` do what MXNet's ImageRecordIter did with the
options of the authors' scripts (zlmzju/fusenet): their training went through src/io/image_aug_default.cc and
iter_normalize.h of their own fork of MXNet (zlmzju/mxnet). tests/data/test_augmentation.py runs MXNet 1.9.1's iterator
on the same images with one option pinned at a time. The crops differ as follows, in levels of 0–255:

    square crops, resized           not at all where they shrink; by 1 in 4 of 100 values where they grow
    scale and aspect ratio          by up to 5, in 7 of 1,000 values: we warp the crop alone and not the whole canvas,
                                    which rounds some coordinates to another 1/32 of a pixel; the whole would be equal
    hue, lightness, saturation      by up to 3, in 1 of 3,000 values: versions of OpenCV convert them differently
    contrast and illumination       not at all (2e-5)

Three things cannot be compared, because MXNet 1.9.1 and the fork differ in them. They are inferred:

- The border beside a stretched image has the authors' fill values, 123, 113, 99. MXNet 1.9.1 has one value for all
  channels, and ignores those options.
- Hue, lightness and saturation are drawn uniformly and truncated towards zero. MXNet 1.9.1 draws extreme values less
  often.
- Illumination is added to pixels, as in MXNet 1.9.1. The fork, in the one version of it that is known, adds it after
  the division by the standard deviation, so that ±10 would be ten standard deviations. The script's comment on that
  option means a small change: 10/57.8 = 0.17 of a standard deviation.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

Augmented = tuple[np.ndarray, np.ndarray]


class Traits(NamedTuple):
    """What an augmentation has to know of the images: their channels' mean and std (R, G, B, 0–255), and the mirror.

    mirror: whether a mirrored image is one of the same class.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mirror: bool = True


SIZE = 224  # of a crop, in pixels
MEAN, STD = (123.370, 112.757, 99.406), (68.998, 66.093, 68.292)  # R, G, B, 0–255, of images of shorter side 480
IMAGENET = Traits(MEAN, STD)
LEVELS = np.arange(256.0)

# AlexNet's lighting: eigenvalues and eigenvectors of the covariance of R, G, B, for pixels of 0–1. The eigenvalues
# 0.2175, 0.0188, 0.0045 are multiplied by 255, so that they shift pixels of 0–255. A row of VECTORS is a channel.
VALUES = np.array([55.46, 4.794, 1.148])
VECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])

BORDER = (99, 113, 123)  # B, G, R
CANVAS = 256  # pixels; the authors' min_img_size
LIMITS = (180, 255, 255)  # of hue, lightness, saturation in MXNet; OpenCV's hues end at 179, and 180 is 0 again


def paper(image: np.ndarray, random: np.random.RandomState, traits: Traits = IMAGENET) -> Augmented:
    """As [8]: shorter side 256 to 480, a crop of 224, mirror, AlexNet's colors (a shift of each channel).

    The image is not scaled but the crop, which has 224 to 420 pixels a side. As it shrinks by at most 480/256 = 1.875,
    bilinear sampling skips no pixel.
    """
    side = round(SIZE * min(image.shape[:2]) / random.randint(256, 481))
    top, left = (random.randint(length - side + 1) for length in image.shape[:2])
    crop = _mirrored(cv2.resize(image[top : top + side, left : left + side], (SIZE, SIZE)), random, traits)
    return crop, levels(shift=VECTORS @ (VALUES * random.normal(0, 0.1, 3)), traits=traits)


def code_2016(image: np.ndarray, random: np.random.RandomState, traits: Traits = IMAGENET) -> Augmented:
    """The authors' code of 2016: aspect ratio ±25 %, crops of 196 to 480 pixels, contrast ±20 %, illumination ±10.

    A crop shrinks by at most 480/224 = 2.14, together with the change of the aspect ratio by 2.5.
    """
    side = random.randint(196, 481)
    crop = stretched_crop(image, 1, random.uniform(0.75, 1.25), side, random)
    crop = cv2.resize(crop, (SIZE, SIZE), interpolation=interpolation(side))
    return _mirrored(crop, random, traits), levels(
        gain=random.uniform(0.8, 1.2), shift=random.uniform(-10, 10), traits=traits
    )


def code_2018(image: np.ndarray, random: np.random.RandomState, traits: Traits = IMAGENET) -> Augmented:
    """Their code of 2018: scale 0.533 to 1, aspect ratio ±25 %, hue ±36, lightness and saturation ±50 (OpenCV's HLS).

    An image shrinks by at most 1/0.533 = 1.88, together with the change of the aspect ratio by 2.19.
    """
    crop = stretched_crop(image, random.uniform(0.533, 1), random.uniform(0.75, 1.25), SIZE, random)
    hue, lightness, saturation = (int(random.uniform(-most, most)) for most in (36, 50, 50))
    return _mirrored(shift_colors(crop, hue, lightness, saturation), random, traits), levels(traits=traits)


def center(image: np.ndarray, _: np.random.RandomState, traits: Traits = IMAGENET) -> Augmented:
    """The middle 224×224, for evaluation."""
    return middle(image), levels(traits=traits)


def middle(image: np.ndarray) -> np.ndarray:
    """The middle 224×224 of an image; where a side is odd, the corner is rounded down."""
    top, left = ((length - SIZE) // 2 for length in image.shape[:2])
    return image[top : top + SIZE, left : left + SIZE]


AUGMENTATIONS: dict[str, Callable[..., Augmented]] = {
    'paper': paper,
    'code-2016': code_2016,
    'code-2018': code_2018,
}


def stretched_crop(
    image: np.ndarray, scale: float, ratio: float, side: int, random: np.random.RandomState
) -> np.ndarray:
    """A random square from MXNet's canvas: the image scaled, and its aspect ratio changed.

    The canvas has the scaled image's size, but at least 256 pixels a side. The image is stretched about its middle,
    `ratio` times as much in height as in width; the mean of both factors is `scale`. What goes beyond the canvas is cut
    off, and what stays free is filled.

    Args:
        image: (height, width, 3) uint8.
        scale: of the image's sides.
        ratio: of the factor in height to the factor in width.
        side: of the square, in pixels.
        random: where on the canvas it is.
    """
    height, width = image.shape[:2]
    across = 2 * scale / (1 + ratio)
    down = ratio * across
    canvas_width, canvas_height = max(CANVAS, scale * width), max(CANVAS, scale * height)
    top, left = (random.randint(int(length) - side + 1) for length in (canvas_height, canvas_width))
    margin_left, margin_top = (canvas_width - across * width) / 2, (canvas_height - down * height) / 2
    matrix = np.array([[across, 0, margin_left - left], [0, down, margin_top - top]])
    # Bilinear, although MXNet asks for areas where the scale is below 1: OpenCV's warpAffine has no areas.
    return cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=BORDER
    )


def interpolation(side: int) -> int:
    """What MXNet's `inter_method=9` takes to make 224 pixels of `side`: areas to shrink, bicubic to enlarge."""
    if side == SIZE:
        return cv2.INTER_LINEAR
    return cv2.INTER_AREA if side > SIZE else cv2.INTER_CUBIC


def shift_colors(image: np.ndarray, hue: int, lightness: int, saturation: int) -> np.ndarray:
    """Add to the hue, lightness and saturation of an image; they stop at their limits: a hue does not go round."""
    table = np.stack(
        [np.clip(np.arange(256) + shift, 0, limit) for shift, limit in zip((hue, lightness, saturation), LIMITS)],
        axis=-1,
    )
    image = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HLS), table.astype(np.uint8)[None])
    return cv2.cvtColor(image, cv2.COLOR_HLS2BGR)


def levels(gain: float = 1, shift: float | np.ndarray = 0, traits: Traits = IMAGENET) -> np.ndarray:
    """(3, 256) float32: what the levels of R, G, B become: less the mean, times gain, plus shift, over the std."""
    changed = (LEVELS - np.array(traits.mean)[:, None]) * gain + np.reshape(shift, (-1, 1))
    return (changed / np.array(traits.std)[:, None]).astype(np.float32)


def _mirrored(image: np.ndarray, random: np.random.RandomState, traits: Traits) -> np.ndarray:
    return cv2.flip(image, 1) if random.randint(2) and traits.mirror else image
