"""Learning rates as pure functions of the epoch: schedule(epoch, epochs, base)."""

from collections.abc import Callable
from functools import partial

FRACTIONS = (1 / 2, 3 / 4, 7 / 8)  # of the epochs; the rate drops after them (section 6.2)


def by_fractions(epoch: int, epochs: int, base: float) -> float:
    """The rate of an epoch, 1 … epochs: `base`, divided by 10 after floor(fraction · epochs) epochs for each fraction.

    No drop comes before the first epoch, so that a run of one epoch trains at the base rate.
    """
    drops = sum(epoch > max(1, int(fraction * epochs)) for fraction in FRACTIONS)
    return base / 10**drops


def by_steps(epoch: int, epochs: int, base: float, divisor: float, every: int) -> float:
    """The rate of an epoch from 1: `base`, divided by `divisor` every `every` epochs, however many there are."""
    return base / divisor ** ((epoch - 1) // every)


SCHEDULES: dict[str, Callable[..., float]] = {
    'fractions': by_fractions,  # CIFAR and SVHN, section 6.2
    'main': partial(by_steps, divisor=10, every=30),  # ImageNet, section 6.5
    'appendix': partial(by_steps, divisor=2, every=10),  # ImageNet, Appendix A.1
}
