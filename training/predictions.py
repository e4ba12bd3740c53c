"""What an evaluation saw, image by image: the predictions to keep, and the surest mistakes to look at."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.files import replacing


class Predictions:
    """The outputs of an evaluation, in the order of the records in the .rec file."""

    def __init__(self):
        self._labels, self._members = [], []

    def add(self, data: np.ndarray, members: Sequence[np.ndarray], labels: np.ndarray) -> None:
        """Keep a batch; arguments as in training.evaluation.Watch."""
        self._labels.append(labels.astype(np.int64))
        self._members.append(np.stack(members))

    @property
    def labels(self) -> np.ndarray:
        """The right classes, (n,) int64."""
        return np.concatenate(self._labels)

    @property
    def members(self) -> np.ndarray:
        """The probabilities that each member gives, (members, n, classes) float32."""
        return np.concatenate(self._members, axis=1)

    def save(self, path: str, names: Sequence[str], classes: Sequence[str]) -> None:
        """Write an .npz with the arrays labels, probabilities, members, member_names and classes.

        `probabilities` (n, classes) is the mean of the members' probabilities, which is what an ensemble predicts by.
        """
        members = self.members
        with replacing(path) as temporary, open(temporary, 'wb') as file:
            np.savez_compressed(
                file,
                labels=self.labels,
                probabilities=np.mean(members, axis=0),
                members=members,
                member_names=np.array(names),
                classes=np.array(classes),
            )


class Disagreement(NamedTuple):
    """How far the members of an ensemble differ in their predictions.

    images: percent of the images that not all members put into one class.
    pairs: percent of the images that two members put into different classes, the mean over all pairs.
    error, error_agreed: the ensemble's error on these images, and on the others, in percent; nan where there are none.
    """

    images: float
    pairs: float
    error: float
    error_agreed: float


def disagreement(members: np.ndarray, labels: np.ndarray) -> Disagreement:
    """Compare the predictions of at least two members; arguments as the properties of Predictions."""
    answers = members.argmax(axis=2)
    wrong = members.mean(axis=0).argmax(axis=1) != labels
    split = (answers != answers[0]).any(axis=0)
    first, second = np.triu_indices(len(answers), 1)
    return Disagreement(
        100 * split.mean(),
        100 * (answers[first] != answers[second]).mean(),
        *(100 * wrong[part].mean() if part.any() else np.nan for part in (split, ~split)),
    )


class Mistake(NamedTuple):
    """An image that was put into a wrong class.

    data: (channels, height, width), as the network saw it. record: its place in the .rec file, from 0.
    """

    probability: float
    record: int
    label: int
    predicted: int
    data: np.ndarray


class Mistakes:
    """The `count` wrong predictions with the highest probabilities; `found` has the surest first."""

    def __init__(self, count: int):
        self.found: list[Mistake] = []
        self._count, self._seen = count, 0

    def add(self, data: np.ndarray, members: Sequence[np.ndarray], labels: np.ndarray) -> None:
        """Look at a batch; arguments as in training.evaluation.Watch."""
        together = np.mean(members, axis=0)
        predicted = together.argmax(axis=1)
        for row in np.flatnonzero(predicted != labels):
            probability = float(together[row, predicted[row]])
            if len(self.found) < self._count or probability > self.found[-1].probability:
                record, label, other = self._seen + int(row), int(labels[row]), int(predicted[row])
                self.found.append(Mistake(probability, record, label, other, data[row].copy()))
                self.found.sort(key=lambda mistake: (-mistake.probability, mistake.record))
                del self.found[self._count :]
        self._seen += len(labels)
