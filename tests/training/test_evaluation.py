"""Loss and error over a data set, against the same in plain numpy."""

import numpy as np
import pytest

from training.evaluation import Tally, evaluate


class Fixed:
    """A predictor whose members' probabilities are known; a batch of "data" is a batch of indices."""

    def __init__(self, *members):
        self.members = members

    def predict(self, data):
        return [probabilities[data] for probabilities in self.members]


def batches(labels, size):
    return ((np.arange(i, min(i + size, len(labels))), labels[i : i + size]) for i in range(0, len(labels), size))


@pytest.mark.parametrize('size', [1, 7, 50, 64])
def test_loss_error_and_confusion_count_every_image_once(random, size):
    probabilities, labels = random.dirichlet(np.ones(10), 50).astype(np.float32), random.randint(0, 10, 50)
    found = evaluate(Fixed(probabilities), batches(labels, size), images=50)
    predicted = probabilities.argmax(axis=1)
    assert found.tally.seen == found.confusion.sum() == 50
    assert found.tally.error == pytest.approx(100 * (predicted != labels).mean())
    assert found.tally.mean_loss == pytest.approx(-np.log(probabilities[np.arange(50), labels]).mean(), rel=1e-6)
    ranks = (-probabilities).argsort(axis=1).argsort(axis=1)[np.arange(50), labels]
    assert found.tally.error5 == pytest.approx(100 * (ranks > 4).mean()) and 0 < found.tally.error5 < found.tally.error
    for label in range(10):
        assert found.confusion[label].tolist() == np.bincount(predicted[labels == label], minlength=10).tolist()
    assert not found.each and not found.without and not found.subsets


def test_an_ensemble_is_tallied_together_each_by_itself_without_each_and_in_parts(random):
    members = random.dirichlet(np.ones(4), (3, 50)).astype(np.float32)
    labels = random.randint(0, 4, 50)

    def error(*chosen):
        return 100 * (members[list(chosen)].mean(axis=0).argmax(axis=1) != labels).mean()

    found = evaluate(Fixed(*members), batches(labels, 7), subsets=[[2], [0, 1]])
    assert found.tally.error == pytest.approx(error(0, 1, 2))
    assert [tally.error for tally in found.each] == pytest.approx([error(0), error(1), error(2)])
    assert [tally.error for tally in found.without] == pytest.approx([error(1, 2), error(0, 2), error(0, 1)])
    assert [tally.error for tally in found.subsets] == pytest.approx([error(2), error(0, 1)])
    losses = -np.log(members[:, np.arange(50), labels]).mean(axis=1)
    assert [tally.mean_loss for tally in found.each] == pytest.approx(losses, rel=1e-5)
    assert found.tally.mean_loss == pytest.approx(losses.mean(), rel=1e-5)


def test_of_equal_probabilities_the_lower_label_comes_first():
    tally = Tally()
    tally.add([np.full((10, 10), 0.1, np.float32)], np.arange(10))
    assert (tally.wrong, tally.wrong5) == (9, 5)


def test_a_probability_that_underflows_has_a_finite_loss_and_nan_stays_nan():
    tally = Tally()
    tally.add([np.array([[0.0, 1.0]], np.float32)], np.array([0]))
    assert tally.mean_loss == pytest.approx(87.3, abs=0.1) and tally.error == 100
    tally.add([np.array([[np.nan, np.nan]], np.float32)], np.array([0]))
    assert np.isnan(tally.mean_loss)
    tally.add([np.full((3, 10), np.nan, np.float32)], np.array([0, 1, 2]))
    assert (tally.seen, tally.wrong5) == (5, 3)


def test_tallies_add_up():
    """The numbers come as float32 from other workers."""
    tally = Tally(loss=1.5, wrong=2, seen=4, wrong5=1)
    tally.count(*np.array([0.5, 1, 4, 1], np.float32))
    assert vars(tally) == {'loss': 2.0, 'wrong': 3, 'seen': 8, 'wrong5': 2}
    assert all(type(tally.__dict__[name]) is int for name in ('wrong', 'seen', 'wrong5'))
    assert (tally.mean_loss, tally.error, tally.error5) == (0.25, 37.5, 25)


@pytest.mark.parametrize('images', [3, 5])
def test_an_evaluation_that_did_not_see_every_image_is_no_result(random, images):
    predictor, labels = Fixed(random.rand(4, 3)), np.zeros(4)
    assert evaluate(predictor, batches(labels, 4), images=4).tally.seen == 4
    with pytest.raises(RuntimeError, match=f'4 images were evaluated instead of {images}'):
        evaluate(predictor, batches(labels, 4), images=images)
