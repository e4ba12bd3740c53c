"""Loss and error over a data set, every image counted exactly once, of a network or of an ensemble."""
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

EACH, WITHOUT = 'test_error_', 'test_error_without_'
SMALLEST = np.finfo(np.float32).tiny  # a probability that underflowed has a loss of 87, not infinity


class Tally:
    """Sums over the images seen so far: cross-entropy `loss`, `wrong` predictions, `seen` images."""

    def __init__(self, loss=0.0, wrong=0, seen=0):
        self.loss, self.wrong, self.seen = loss, wrong, seen

    def add(self, probabilities, labels):
        """Count a batch. probabilities: a list of (n, classes), one for each member of an ensemble, or the one.

        The prediction is the mean of the members' probabilities, the loss the mean of their losses. labels (n,).
        Returns the predicted classes, (n,) int.
        """
        labels = labels.astype(np.int64)
        right = np.array([member[np.arange(len(labels)), labels] for member in probabilities], np.float64)
        predicted = np.mean(probabilities, axis=0).argmax(axis=1)
        self.loss -= float(np.log(np.maximum(right, SMALLEST)).mean(axis=0).sum())
        self.wrong += int((predicted != labels).sum())
        self.seen += len(labels)
        return predicted

    @property
    def mean_loss(self):
        """Mean cross-entropy of an image and member, in nats."""
        return self.loss / self.seen

    @property
    def error(self):
        """Images classified wrongly, percent."""
        return 100 * self.wrong / self.seen


class Evaluation(NamedTuple):
    """What one pass over a data set gives."""

    tally: Tally           # of the network, or of all members together
    confusion: np.ndarray  # (classes, classes): images of a class (row) by prediction
    subsets: dict          # name → Tally of some of the members


def evaluate(predictor, batches, images=None, subsets=None):
    """Run the network over batches (data, labels) of any sizes; returns an Evaluation.

    images: their number, for the progress bar. subsets: {name: indices of members to tally by themselves}.
    """
    tally, confusion, subsets = Tally(), None, subsets or {}
    tallies = {name: Tally() for name in subsets}
    with tqdm(total=images, unit=' images', desc='evaluation', leave=False, disable=None) as bar:
        for data, labels in batches:
            members = predictor.predict(data)
            if confusion is None:
                confusion = np.zeros((members[0].shape[1],) * 2, np.int64)
            np.add.at(confusion, (labels.astype(np.int64), tally.add(members, labels)), 1)
            for name, indices in subsets.items():
                tallies[name].add([members[index] for index in indices], labels)
            bar.update(len(labels))
    return Evaluation(tally, confusion, tallies)


def member_names(symbol):
    """The names of a network's softmax outputs: the component networks of an ensemble, else `softmax` alone."""
    return [name[:-len('_output')] for name in symbol.list_outputs()]


def each_and_without(names):
    """{name of a subset: indices}: each member by itself, then all without it; none where there is one alone.

    These are the columns of Tables 2 and 3, under the names that they have in metrics.csv.
    """
    everyone = range(len(names))
    if len(names) < 2:
        return {}
    subsets = {EACH + name: [index] for index, name in enumerate(names)}
    subsets.update({WITHOUT + name: [other for other in everyone if other != index]
                    for index, name in enumerate(names)})
    return subsets
