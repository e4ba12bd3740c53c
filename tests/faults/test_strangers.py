"""Changed symbols and weights, each evaluated in a process of its own; the long form is part of `make faults`."""

from tests.faults import strangers, trials


def test_changed_networks_are_evaluated_or_refused_in_one_line():
    counts = strangers.fuzz(tries=40, seed=0)
    assert set(counts) == {'evaluated', trials.ONE_LINE}, counts
