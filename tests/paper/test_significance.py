"""Whether errors differ from the paper's: numbers worked out by hand, for 6.48 ± 0.04 of five runs (DFN-MR 14).

Its sample variance is 0.04² · 5/4 = 0.002, and the variance of its mean 0.0004.
"""

import math

import pytest

from paper.significance import differs, p_value, prediction_interval


def errors_with(mean, variance, n):
    """n = 3 or 5 errors with this mean and sample variance."""
    step = math.sqrt(variance)
    return [mean + step * k for k in ((-1, 0, 1) if n == 3 else (-1, -1, 0, 1, 1))]


def test_a_p_value_by_hand():
    """Three errors of variance 0.0024: their mean's is 0.0008, twice the paper's, so there are 4 degrees of freedom.

    (0.0004 + 0.0008)² / (0.0004²/4 + 0.0008²/2) = 4. For them, Student's distribution has a closed form.
    """
    t = 2
    errors = errors_with(6.48 + t * math.sqrt(0.0012), 0.0024, 3)
    below = 1 / 2 + 3 / 8 * t / math.sqrt(1 + t**2 / 4) * (1 - t**2 / (1 + t**2 / 4) / 12)
    assert p_value(6.48, 0.04, errors) == pytest.approx(2 * (1 - below), abs=1e-9)
    assert 2 * (1 - below) == pytest.approx(0.1161, abs=1e-4)


@pytest.mark.parametrize('n, variance, critical', [(5, 0.002, 2.306), (3, 0.0024, 2.776)])
def test_means_differ_beyond_the_critical_value_of_students_t(n, variance, critical):
    """From the tables of Student's t for 8 and 4 degrees of freedom, two-sided, 5 %."""
    deviation = math.sqrt(0.0004 + variance / n)
    for factor, expected in ((0.999, False), (1.001, True)):
        for sign in (-1, 1):
            errors = errors_with(6.48 + sign * factor * critical * deviation, variance, n)
            assert differs(6.48, 0.04, errors) is expected


def test_a_single_run_is_compared_with_the_spread_of_the_paper():
    """2.7764, the value of Student's t for 4 degrees of freedom, times √0.002 · √(1 + 1/5)."""
    low, high = prediction_interval(6.48, 0.04)
    assert (low, high) == (pytest.approx(6.48 - 0.13602, abs=1e-5), pytest.approx(6.48 + 0.13602, abs=1e-5))
    assert [differs(6.48, 0.04, [error]) for error in (6.34, 6.35, 6.61, 6.62)] == [True, False, False, True]
