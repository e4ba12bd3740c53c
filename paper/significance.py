"""Whether our errors differ from the paper's by more than chance.

The paper prints the mean ± population standard deviation of five runs. Several runs of ours are compared with it by
Welch's t-test, which allows different variances. A single run has no variance. It is compared with the paper's spread:
the interval that holds one more run of the same kind with a probability of 95 %.
"""

import math

import numpy as np

PAPERS_RUNS = 5
LEVEL = 0.05  # two-sided


def p_value(mean: float, population_std: float, errors: list[float]) -> float:
    """The two-sided p-value of Welch's t-test: the paper's mean and deviation against at least two errors of ours."""
    from scipy import stats  # here, because it takes a second

    return float(
        stats.ttest_ind_from_stats(
            mean,
            sample_std(population_std),
            PAPERS_RUNS,
            np.mean(errors),
            np.std(errors, ddof=1),
            len(errors),
            equal_var=False,
        ).pvalue
    )


def prediction_interval(mean: float, population_std: float, runs: int = PAPERS_RUNS) -> tuple[float, float]:
    """Where one more run falls with a probability of 95 %, by the mean and deviation of several."""
    from scipy import stats

    t = float(stats.t.ppf(1 - LEVEL / 2, runs - 1))
    half = t * sample_std(population_std, runs) * math.sqrt(1 + 1 / runs)
    return mean - half, mean + half


def sample_std(population_std: float, runs: int = PAPERS_RUNS) -> float:
    """A deviation of several runs, divided by n - 1 instead of n."""
    return population_std * math.sqrt(runs / (runs - 1))


def differs(mean: float, population_std: float, errors: list[float]) -> bool:
    """Whether errors of ours, one or several, differ from the paper's mean ± population standard deviation."""
    if len(errors) > 1:
        return p_value(mean, population_std, errors) < LEVEL
    low, high = prediction_interval(mean, population_std)
    return not low <= errors[0] <= high
