"""Rivals in alternating rounds, and the rows of the table that come of them."""
import statistics
import tempfile
from typing import NamedTuple

ROUND = 1.0  # seconds that each rival works in a round


class Row(NamedTuple):
    """A line of results.csv. ratio: of ours to the peer's or the goal, the larger the better; None: not there."""

    name: str
    ours: float
    peer: float
    ratio: float
    target: float


class Setting(NamedTuple):
    """What all benchmarks are told."""

    torch: str          # python of PyTorch's environment
    gpus: str = None    # as --gpus
    rounds: int = 9
    write: bool = False  # files beside the table

    @property
    def devices(self):
        """The words for subjects."""
        return [] if self.gpus is None else ['--gpus', self.gpus.split(',')[0]]


def race(rivals, rounds):
    """{name: [seconds of a step in each round]} of {name: Remote}. All work in turn; the first round is not counted."""
    steps = {}
    for name, rival in rivals.items():
        rival.seconds(2)  # compiles, allocates
        steps[name] = max(1, round(ROUND / rival.seconds(1)))
    found = [{name: rival.seconds(steps[name]) for name, rival in rivals.items()} for _ in range(rounds + 1)]
    return {name: [of_round[name] for of_round in found[1:]] for name in rivals}


def faster(name, seconds, peer, target, units):
    """The Row of two rivals in a race: `units` of a step a second, and the median over the rounds of the ratio."""
    ours = seconds['ours']
    return Row(name, units / statistics.median(ours), units / statistics.median(seconds[peer]),
               statistics.median(theirs / own for own, theirs in zip(ours, seconds[peer])), target)


def check_same(ours, peer):
    """End with an error unless the peer's network, with our weights, gives the same probabilities."""
    with tempfile.NamedTemporaryFile(suffix='.npz') as file:
        ours.save(file.name)
        difference = peer.difference(file.name)
    if not difference < 1e-4:
        raise AssertionError('the networks differ by %g' % difference)
