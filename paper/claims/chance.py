"""How far chance alone moves an error, or a difference of errors."""

from collections.abc import Sequence
import math
from statistics import NormalDist

import numpy as np

from paper import significance
from paper.claims.groups import Group
from paper.claims.names import NUMBER, Subject
from paper.claims.printed import printed_cell
from paper.experiments import ERROR, ERROR5, TOGETHER

TEST_IMAGES = {'cifar10': 10000, 'cifar100': 10000, 'svhn': 26032, 'imagenet': 50000}


def chance(variances: Sequence[tuple[float, float]]) -> float:
    """Half the width of the 95 % interval of a sum of means whose true value is 0; nan if a variance is.

    Args:
        variances: (variance, degrees of freedom) of each mean, for the formula of Welch and Satterthwaite.
    """
    from scipy.special import stdtrit  # here, because it takes a while

    total = sum(variance for variance, _ in variances)
    uncertain = sum(variance**2 / degrees for variance, degrees in variances)
    freedom = total**2 / uncertain if uncertain else 1e9
    return float(stdtrit(freedom, 1 - significance.LEVEL / 2)) * math.sqrt(total)


def variance_of_mean(group: Group) -> tuple[float, float]:
    """(variance, degrees of freedom) of the mean of our runs; nan if nothing tells."""
    if not group.run_dirs or math.isinf(group.mean):
        return 0, math.inf
    if len(group.counted) > 1:
        return float(np.var(group.counted, ddof=1)) / len(group.counted), len(group.counted) - 1
    of_one = of_images if group.differences else variance_in_paper
    return of_one(group.subject, group.mean)


def variance_in_paper(one: Subject, error: float) -> tuple[float, float]:
    """(variance, degrees of freedom) of a single run: the paper's, or else that of an error on its test images."""
    cell = printed_cell(one)
    if cell and cell.std:
        return significance.sample_std(cell.std) ** 2, significance.PAPERS_RUNS - 1
    return of_images(one, error)


def of_images(one: Subject, error: float) -> tuple[float, float]:
    """(variance, degrees of freedom) of an error, in percent, by the draw of its test images; nan of other columns."""
    if one.measurement is NUMBER:
        return 0, math.inf
    is_test_error = one.measurement.measure.startswith((ERROR, ERROR5)) or one.measurement.measure == TOGETHER
    known = is_test_error and not one.epochs
    return error * (100 - error) / TEST_IMAGES[one.dataset] if known else math.nan, math.inf


def tolerance(dataset: str, *errors: float) -> float:
    """By how much two networks with these errors, in percent, differ on the test images in 95 % of cases."""
    variance = sum(error * (100 - error) for error in errors) / TEST_IMAGES[dataset]
    return NormalDist().inv_cdf(1 - significance.LEVEL / 2) * math.sqrt(variance)
