"""Loss and error of a network or an ensemble over a data set; every image counts exactly once."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from common.mxnet import mx

# Is shown each batch: data (n, channels, height, width), each member's probabilities (n, classes), labels (n,). The
# memory of the data is used again for later batches.
Watch = Callable[[np.ndarray, Sequence[np.ndarray], np.ndarray], None]

SMALLEST = np.finfo(np.float32).tiny  # gives a probability that underflowed a loss of 87 instead of infinity


class Tally:
    """Sums over the images seen so far.

    Attributes:
        loss: cross-entropy, in nats.
        wrong, wrong5: images whose class is not the most probable one, not among the five most probable ones.
        seen: images.
    """

    def __init__(self, loss: float = 0.0, wrong: int = 0, seen: int = 0, wrong5: int = 0):
        self.loss, self.wrong, self.seen, self.wrong5 = loss, wrong, seen, wrong5

    def add(self, probabilities: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
        """Count a batch.

        The prediction is the mean of the members' probabilities, the loss the mean of their losses.

        Args:
            probabilities: (n, classes) for each member of an ensemble, or for the one network.
            labels: (n,).

        Returns:
            The predicted classes, (n,) int.
        """
        labels = labels.astype(np.int64)
        right = np.array([member[np.arange(len(labels)), labels] for member in probabilities], np.float64)
        together = np.mean(probabilities, axis=0)
        predicted = together.argmax(axis=1)
        self.loss -= float(np.log(np.maximum(right, SMALLEST)).mean(axis=0).sum())
        self.wrong += int((predicted != labels).sum())
        self.wrong5 += int((_rank(together, labels) >= 5).sum())
        self.seen += len(labels)
        return predicted

    def count(self, loss: float, wrong: float, seen: float, wrong5: float) -> None:
        """Add the numbers of another tally."""
        self.loss += float(loss)
        self.wrong, self.seen, self.wrong5 = self.wrong + int(wrong), self.seen + int(seen), self.wrong5 + int(wrong5)

    @property
    def mean_loss(self) -> float:
        """Mean cross-entropy per image and member, in nats."""
        return self.loss / self.seen

    @property
    def error(self) -> float:
        """Top-1 error in percent."""
        return 100 * self.wrong / self.seen

    @property
    def error5(self) -> float:
        """Top-5 error in percent."""
        return 100 * self.wrong5 / self.seen


def _rank(probabilities, labels):
    """The number of classes before the right one, (n,) int. Of equal probabilities the lower label comes first.

    NaN, from a broken network, comes before everything.
    """
    own = probabilities[np.arange(len(labels)), labels][:, None]
    first = np.arange(probabilities.shape[1]) < labels[:, None]
    return (~(probabilities <= own) | ((probabilities == own) & first)).sum(axis=1)


class Evaluation(NamedTuple):
    """The result of one pass over a data set. A member is an output of the network, or of one of several networks.

    confusion: (classes, classes), images of a class (row) by their prediction. each: a Tally for each member by itself
    (Table 2), empty where there is only one. without: a Tally for all members but one, for each (Table 3). subsets: a
    Tally for each subset asked for.
    """

    tally: Tally
    confusion: np.ndarray
    each: list[Tally]
    without: list[Tally]
    subsets: list[Tally]


def evaluate(
    predictor,
    batches: Iterable,
    images: int | None = None,
    subsets: Sequence[Sequence[int]] = (),
    watch: Sequence[Watch] = (),
) -> Evaluation:
    """Run a network over batches (data, labels) of any sizes.

    Args:
        predictor: has predict(data), as Predictor.
        images: their number, for the progress bar.
        subsets: indices of members, to be tallied together.
        watch: is shown every batch.

    Raises:
        RuntimeError: there were more or fewer images than `images`.
    """
    tally, each, without, some = Tally(), [], [], [Tally() for _ in subsets]
    confusion = np.zeros((0, 0), np.int64)
    with tqdm(total=images, unit=' images', desc='evaluation', leave=False, disable=None) as bar:
        for data, labels in batches:
            members = predictor.predict(data)
            if not confusion.size:
                confusion = np.zeros((members[0].shape[1],) * 2, np.int64)
                if len(members) > 1:
                    each, without = [Tally() for _ in members], [Tally() for _ in members]
            np.add.at(confusion, (labels.astype(np.int64), tally.add(members, labels)), 1)
            for index in range(len(each)):
                each[index].add(members[index : index + 1], labels)
                without[index].add(members[:index] + members[index + 1 :], labels)
            for of_subset, subset in zip(some, subsets):
                of_subset.add([members[index] for index in subset], labels)
            for show in watch:
                show(data, members, labels)
            bar.update(len(labels))
    if images not in (None, tally.seen):
        raise RuntimeError(f'{tally.seen} images were evaluated instead of {images}')
    return Evaluation(tally, confusion, each, without, some)


def member_names(symbol: mx.sym.Symbol) -> list[str]:
    """The names of a network's softmax outputs: an ensemble's component networks, else `softmax` alone."""
    return [name.removesuffix('_output') for name in symbol.list_outputs()]
