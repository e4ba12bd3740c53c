"""What is kept of an evaluation, against sums by hand."""

import numpy as np
import pytest

from training.predictions import Mistakes, Predictions, disagreement

LABELS = np.array([0, 1, 2, 0])
# Three members, four images, three classes. Their means put the images into 0, 2, 2, 1.
MEMBERS = np.array(
    [
        [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.0, 0.1, 0.9], [0.2, 0.7, 0.1]],
        [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.1, 0.0, 0.9], [0.5, 0.4, 0.1]],
        [[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.1, 0.0, 0.9], [0.2, 0.7, 0.1]],
    ],
    np.float32,
)


def in_batches(watch):
    """Show the images in batches of three and one, in memory that is used again."""
    data = np.empty((3, 1, 1, 1), np.float32)
    for part in (slice(0, 3), slice(3, 4)):
        size = len(LABELS[part])
        data[:size, 0, 0, 0] = np.arange(4)[part]
        watch(data[:size], list(MEMBERS[:, part]), LABELS[part].astype(np.float32))


def test_predictions_are_kept_in_order(tmp_path):
    kept = Predictions()
    in_batches(kept.add)
    path = tmp_path / 'kept.npz'
    kept.save(str(path), ['a', 'b', 'c'], ['x', 'y', 'z'])
    with np.load(path) as file:
        assert file['labels'].tolist() == LABELS.tolist() and (file['members'] == MEMBERS).all()
        assert np.allclose(file['probabilities'][3], [0.3, 0.6, 0.1])
        assert file['member_names'].tolist() == ['a', 'b', 'c'] and file['classes'].tolist() == ['x', 'y', 'z']
    assert [one.name for one in tmp_path.iterdir()] == ['kept.npz']


def test_disagreement():
    # They differ on the images 1 and 3, there one of three pairs agrees; 0 and 2 are right, 1 and 3 wrong.
    assert disagreement(MEMBERS, LABELS) == pytest.approx((50, 100 * (2 * 2 / 3) / 4, 100, 0))
    assert np.isnan(disagreement(MEMBERS[:, :1], LABELS[:1]).error)


@pytest.mark.parametrize('count, records', [(5, [3, 1]), (1, [3])])
def test_the_surest_mistakes_come_first(count, records):
    mistakes = Mistakes(count)
    in_batches(mistakes.add)
    assert [one.record for one in mistakes.found] == records
    first = mistakes.found[0]
    assert (first.label, first.predicted, first.data.item()) == (0, 1, 3) and first.probability == pytest.approx(0.6)
