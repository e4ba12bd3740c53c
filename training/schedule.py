"""The learning rates, pure functions of the epoch."""

FRACTIONS = (1 / 2, 3 / 4, 7 / 8)  # of the epochs, after which the rate is divided by 10 (section 6.2)


def learning_rate(epoch, epochs, base):
    """Rate of an epoch, 1 … epochs: base, divided by 10 after floor(fraction · epochs) epochs each.

    A drop never comes before the first epoch, so that a run of one epoch trains at the base rate.
    """
    drops = sum(epoch > max(1, int(fraction * epochs)) for fraction in FRACTIONS)
    return base / 10 ** drops


def stepwise(epoch, base, divisor, every):
    """Rate of an epoch, 1 …: base, divided by `divisor` after each `every` epochs (section 6.5, Appendix A.1)."""
    return base / divisor ** ((epoch - 1) // every)
