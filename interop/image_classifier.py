"""A trained network that takes images as they are, in your own code:

    from interop.image_classifier import load

    classifier = load('logs/cifar10/dfn-mr-14/epochs8-seed1')
    probabilities = classifier.predict(['a.jpg', 'b.png'])      # (2, 10); also arrays, Pillow's images, or bytes
    classifier.top(probabilities)                               # [[('cat', 0.93), …], …]

Each image goes the way of the run's test images. For a network for 32×32 images it is turned as its Exif says, its
shorter side becomes 32 (by area where it shrinks, bicubically where it grows), and the middle square is taken. For
ImageNet its shorter side becomes 256 bilinearly, and the middle 224×224 are taken; Exif counts for the user's own
images alone. Then the run's mean and standard deviation are applied.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
import itertools
import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from common.errors import UserError
from common.mxnet import mx, share_of_cores
from data import imagenet, own_images
from data.augmentation import middle
from data.batches import Normalization
from data.image_folders import KINDS
from data.packing.convert import Form, decode, fit
from interop import trained
from training import devices
from training.evaluation import member_names
from training.replicas import Predictor

AnyImage = str | os.PathLike | bytes | np.ndarray | Image.Image


class Predicted(NamedTuple):
    """What became of a file.

    pixels: what the network saw, (height, width, 3) uint8 RGB. members: the probabilities, (members, classes).
    problem: why there are none.
    """

    name: str
    pixels: np.ndarray | None = None
    members: np.ndarray | None = None
    problem: str = ''


class ImageClassifier:
    """The network of a run with its preprocessing and its classes. Threads may share it; they wait for one another.

    Attributes:
        classes: their names, in the order of the probabilities; numbers where the run does not know them.
        members: the names of an ensemble's members; of another network one name.
    """

    def __init__(self, network: trained.Trained, contexts: Sequence[mx.Context] = (mx.cpu(),)):
        """Put the network onto the devices."""
        facts = network.facts
        self.classes = list(facts.get('classes') or map(str, range(facts['num_classes'])))
        self.members = member_names(network.symbol)
        self._form, self._crops = _form_of(facts), facts['imagenet']
        self._normalize = Normalization(facts['mean'], facts['std'])
        self._predictor = Predictor(
            network.symbol, contexts, trained.image_shape(facts), network.parameters, network.statistics
        )

    def predict(self, images: Sequence[AnyImage], batch_size: int = 32) -> np.ndarray:
        """The probabilities of the classes, (n, classes) float32; of an ensemble the mean of its members'.

        Args:
            images: each a file's name or its bytes, an array (height, width, 3) or (height, width) uint8 in RGB or
                gray, or a Pillow image.
            batch_size: images at a time, over all devices; no result depends on it beyond rounding.

        Raises:
            UserError: an image cannot be read, or it is not in a list. It is a ValueError.
        """
        return self.predict_members(images, batch_size).mean(axis=0)

    def predict_members(self, images: Sequence[AnyImage], batch_size: int = 32) -> np.ndarray:
        """As predict, for each member: (members, n, classes)."""
        if _is_one(images):
            raise UserError('this is one image: give a list of images, even of one')
        parts = [np.zeros((len(self.members), 0, len(self.classes)), np.float32)]
        for start in range(0, len(images), batch_size):
            parts.append(self._probabilities([self._pixels(image) for image in images[start : start + batch_size]]))
        return np.concatenate(parts, axis=1)

    def predict_files(self, names: Iterable[str], batch_size: int = 32) -> Iterator[Predicted]:
        """Yield what became of each file, in order; names are taken as they are needed."""
        names = iter(names)
        with ThreadPoolExecutor(share_of_cores()) as pool:
            while batch := list(itertools.islice(names, batch_size)):
                read = list(pool.map(self._try, batch))
                images = [image for image in read if not isinstance(image, str)]
                members = iter(self._probabilities(images).transpose(1, 0, 2) if images else ())
                for name, image in zip(batch, read):
                    if isinstance(image, str):
                        yield Predicted(name, problem=image)
                    else:
                        yield Predicted(name, image, next(members))

    def top(self, probabilities: np.ndarray, count: int = 5) -> list[list[tuple[str, float]]]:
        """The most probable classes of each image, (class, probability), the most probable one first."""
        orders = np.argsort(-probabilities, axis=1, kind='stable')[:, :count]
        return [
            [(self.classes[label], float(own[label])) for label in order] for own, order in zip(probabilities, orders)
        ]

    def _probabilities(self, images):
        """(members, n, classes) for what _pixels returned."""
        data = self._normalize(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)))
        return np.stack(self._predictor.predict(data))

    def _try(self, name):
        """What the network sees of a file, or what is wrong with it."""
        try:
            return self._pixels(name)
        except UserError as error:
            return str(error)

    def _pixels(self, image: AnyImage) -> np.ndarray:
        """What the network sees: (height, width, 3) uint8 RGB."""
        name = ''
        if isinstance(image, str | os.PathLike):
            name = f'{os.fspath(image)}: '
            try:
                with open(image, 'rb') as file:
                    image = file.read()
            except OSError as error:
                raise UserError(f'{name}{error.strerror}') from error
        if isinstance(image, np.ndarray):
            image = _from_array(image)
        fitted = decode(image, self._form) if isinstance(image, bytes) else fit(image, self._form)
        if fitted is None:
            raise UserError(f'{name}this is no image that can be decoded ({KINDS})')
        pixels = np.asarray(fitted)
        return middle(pixels) if self._crops else pixels


def _is_one(images: Sequence[AnyImage] | AnyImage) -> bool:
    if isinstance(images, np.ndarray):
        return images.ndim < 3 or (images.ndim == 3 and images.shape[2] == 3)
    return isinstance(images, str | bytes | os.PathLike | Image.Image)


def _form_of(facts: dict) -> Form:
    """How the run's test images are prepared."""
    if facts['imagenet'] and 'size' not in facts:
        official = imagenet.SPLITS['val']
        return Form(official.shorter_side, official.coding)
    return own_images.FORMS[224 if facts['imagenet'] else 32, 'val']


def _from_array(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise UserError(
            f'an image has to be (height, width, 3) or (height, width) uint8, not {pixels.shape} {pixels.dtype}'
        )
    return Image.fromarray(pixels)


def load(run: str, gpus: str | None = None, cpus: int = 1) -> ImageClassifier:
    """The classifier of a run's newest checkpoint, or of the checkpoint whose folder is named.

    Args:
        gpus, cpus: the devices, as --gpus and --cpus.

    Raises:
        UserError: there is no such network, or no such device. It is a ValueError.
    """
    return ImageClassifier(trained.read(run), devices.contexts(gpus, cpus))
