"""Loss and error over a data set, every image counted exactly once."""
import numpy as np
from tqdm import tqdm

SMALLEST = np.finfo(np.float32).tiny  # a probability that underflowed has a loss of 87, not infinity


class Tally:
    """Sums over the images seen so far: cross-entropy `loss`, `wrong` predictions, `seen` images."""

    def __init__(self, loss=0.0, wrong=0, seen=0):
        self.loss, self.wrong, self.seen = loss, wrong, seen

    def add(self, probabilities, labels):
        """Count a batch: probabilities (n, classes), labels (n,). Returns the predictions, (n,) int."""
        labels = labels.astype(np.int64)
        right = probabilities[np.arange(len(labels)), labels].astype(np.float64)
        predicted = probabilities.argmax(axis=1)
        self.loss -= float(np.log(np.maximum(right, SMALLEST)).sum())
        self.wrong += int((predicted != labels).sum())
        self.seen += len(labels)
        return predicted

    @property
    def mean_loss(self):
        """Mean cross-entropy of an image, in nats."""
        return self.loss / self.seen

    @property
    def error(self):
        """Images classified wrongly, percent."""
        return 100 * self.wrong / self.seen


def evaluate(predictor, batches, images=None):
    """Run the network over batches (data, labels) of any sizes; `images`, their number, is for the progress bar.

    Returns a Tally and the confusion table (classes, classes): images of a class (row) by prediction.
    """
    tally, confusion = Tally(), None
    with tqdm(total=images, unit=' images', desc='evaluation', leave=False, disable=None) as bar:
        for data, labels in batches:
            probabilities, = predictor.predict(data)
            if confusion is None:
                confusion = np.zeros((probabilities.shape[1],) * 2, np.int64)
            np.add.at(confusion, (labels.astype(np.int64), tally.add(probabilities, labels)), 1)
            bar.update(len(labels))
    return tally, confusion
