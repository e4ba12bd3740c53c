"""Loss and error over a data set, every image counted exactly once, of a network or of an ensemble."""
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

SMALLEST = np.finfo(np.float32).tiny  # a probability that underflowed has a loss of 87, not infinity


class Tally:
    """Sums over the images seen so far: cross-entropy `loss`, `wrong` predictions, `seen` images.

    wrong5: images whose class is not among the five most probable.
    """

    def __init__(self, loss=0.0, wrong=0, seen=0, wrong5=0):
        self.loss, self.wrong, self.seen, self.wrong5 = loss, wrong, seen, wrong5

    def add(self, probabilities, labels):
        """Count a batch. probabilities: a list of (n, classes), one for each member of an ensemble, or the one.

        The prediction is the mean of the members' probabilities, the loss the mean of their losses. labels (n,).
        Returns the predicted classes, (n,) int.
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

    def count(self, loss, wrong, seen, wrong5):
        """Add another tally's four numbers."""
        self.loss += float(loss)
        self.wrong, self.seen, self.wrong5 = self.wrong + int(wrong), self.seen + int(seen), self.wrong5 + int(wrong5)

    @property
    def mean_loss(self):
        """Mean cross-entropy of an image and member, in nats."""
        return self.loss / self.seen

    @property
    def error(self):
        """Images classified wrongly, percent: the top-1 error."""
        return 100 * self.wrong / self.seen

    @property
    def error5(self):
        """Images whose class is not among the five most probable, percent: the top-5 error."""
        return 100 * self.wrong5 / self.seen


def _rank(probabilities, labels):
    """How many classes come before the right one, (n,) int; of equally probable ones the lower label is first.

    Where a network that is broken gives NaN, all of them do.
    """
    own = probabilities[np.arange(len(labels)), labels][:, None]
    first = np.arange(probabilities.shape[1]) < labels[:, None]
    return (~(probabilities <= own) | ((probabilities == own) & first)).sum(axis=1)


class Evaluation(NamedTuple):
    """What one pass over a data set gives; a member is an output of the network, or of several networks."""

    tally: Tally           # of all members together
    confusion: np.ndarray  # (classes, classes): images of a class (row) by their prediction
    each: list             # a Tally for each member by itself (Table 2); none where it is the only one
    without: list          # a Tally for all the others without it (Table 3)
    subsets: list          # a Tally for each of the subsets asked for


def evaluate(predictor, batches, images=None, subsets=()):
    """Run the network over batches (data, labels) of any sizes; returns an Evaluation.

    images: their number, for the progress bar; RuntimeError if there were others. subsets: lists of members' indices,
    to be tallied as well.
    """
    tally, confusion, each, without, some = Tally(), None, [], [], [Tally() for _ in subsets]
    with tqdm(total=images, unit=' images', desc='evaluation', leave=False, disable=None) as bar:
        for data, labels in batches:
            members = predictor.predict(data)
            if confusion is None:
                confusion = np.zeros((members[0].shape[1],) * 2, np.int64)
                if len(members) > 1:
                    each, without = [Tally() for _ in members], [Tally() for _ in members]
            np.add.at(confusion, (labels.astype(np.int64), tally.add(members, labels)), 1)
            for index in range(len(each)):
                each[index].add(members[index:index + 1], labels)
                without[index].add(members[:index] + members[index + 1:], labels)
            for of_subset, subset in zip(some, subsets):
                of_subset.add([members[index] for index in subset], labels)
            bar.update(len(labels))
    if images not in (None, tally.seen):
        raise RuntimeError('%d images were evaluated instead of %d' % (tally.seen, images))
    return Evaluation(tally, confusion, each, without, some)


def member_names(symbol):
    """The names of a network's softmax outputs: the component networks of an ensemble, else `softmax` alone."""
    return [name[:-len('_output')] for name in symbol.list_outputs()]
