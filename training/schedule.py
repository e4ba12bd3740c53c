"""The learning rate, a pure function of the epoch."""

FRACTIONS = (1 / 2, 3 / 4, 7 / 8)  # of the epochs, after which the rate is divided by 10 (section 6.2)


def learning_rate(epoch, epochs, base):
    """Rate of an epoch, 1 … epochs: base, divided by 10 after floor(fraction · epochs) epochs each.

    A drop never comes before the first epoch, so that a run of one epoch trains at the base rate.
    """
    drops = sum(epoch > max(1, int(fraction * epochs)) for fraction in FRACTIONS)
    return base / 10 ** drops
