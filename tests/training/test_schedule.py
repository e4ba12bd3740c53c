"""The learning rates of the paper, epoch by epoch."""

import pytest

from training.schedule import SCHEDULES, by_fractions


@pytest.mark.parametrize('epochs, drops', [(400, (200, 300, 350)), (40, (20, 30, 35)), (8, (4, 6, 7)), (3, (1, 2, 2))])
def test_the_rate_drops_after_the_papers_fractions(epochs, drops):
    """Section 6.2."""
    rates = [by_fractions(epoch, epochs, 0.1) for epoch in range(1, epochs + 1)]
    expected = [0.1 * 0.1 ** sum(epoch > drop for drop in drops) for epoch in range(1, epochs + 1)]
    assert rates == pytest.approx(expected, rel=1e-12)
    assert rates == [SCHEDULES['fractions'](epoch, epochs=epochs, base=0.1) for epoch in range(1, epochs + 1)]


def test_one_epoch_trains_at_the_base_rate():
    assert by_fractions(1, 1, 0.1) == 0.1


@pytest.mark.parametrize(
    'name, expected',
    [
        ('main', [0.1] * 30 + [0.01] * 30 + [0.001] * 30 + [0.0001] * 10),  # section 6.5
        ('appendix', [0.1 / 2**i for i in range(10) for _ in range(10)]),
    ],
)  # Appendix A.1
def test_the_rates_of_imagenet(name, expected):
    assert [SCHEDULES[name](epoch, epochs=100, base=0.1) for epoch in range(1, 101)] == pytest.approx(expected)
