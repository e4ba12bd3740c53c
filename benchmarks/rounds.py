"""Rivals in alternating rounds, and the rows of the table that come from them."""

from collections.abc import Hashable, Mapping, Sequence
import statistics
import sys
import tempfile
from typing import Any, NamedTuple, TypeVar

from benchmarks.remote import Remote
from common.mxnet import physical_cores

ROUND = 1.0  # seconds for which each rival works in a round
# Rivals start side by side, and would take one another for other work on the processors.
THREADS = {'OMP_NUM_THREADS': str(physical_cores())}
Name = TypeVar('Name', bound=Hashable)


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        name: what was compared.
        ours, peer: images a second, unless the name says another unit. None: there is no such number.
        ratio: of ours to the peer or to a fixed goal; larger is better.
        target: the ratio that we want.
        problem: why there are no numbers; empty where there are.
    """

    name: str
    ours: float | None = None
    peer: float | None = None
    ratio: float | None = None
    target: float | None = None
    problem: str = ''


class Setting(NamedTuple):
    """What every benchmark is told.

    Attributes:
        torch_python: the Python of PyTorch's environment.
        gpus: as on the command line. One GPU is used.
        rounds: that count.
        write: whether to write files beside the table.
    """

    torch_python: str
    gpus: str | None = None
    rounds: int = 9
    write: bool = False

    @property
    def devices(self) -> dict[str, Any]:
        """The option `gpus` of subjects and training scripts, where it is needed."""
        return {} if self.gpus is None else {'gpus': self.gpus.split(',')[0]}

    @property
    def on_cpu(self) -> 'Setting':
        """The same without a GPU."""
        return self._replace(gpus=None)

    def ours(self, name: str, environment: dict[str, str] | None = None, **options: Any) -> Remote:
        """Start a subject of mxnet_subjects.py, with a thread for each core unless the environment says otherwise."""
        environment = THREADS | (environment or {})
        return Remote(sys.executable, 'mxnet_subjects', name, environment, **self.devices, **options)

    def torch(self, name: str, **options: Any) -> Remote:
        """Start a subject of torch_subjects.py."""
        return Remote(self.torch_python, 'torch_subjects', name, THREADS, **self.devices, **options)


def race(rivals: Mapping[Name, Remote], rounds: int) -> dict[Name, list[float]]:
    """{name: seconds of a step in each round}. All rivals work in turn; one round before these does not count."""
    steps = {}
    for name, rival in rivals.items():
        rival.seconds(2)  # compiles, allocates
        steps[name] = max(1, round(ROUND / rival.seconds(1)))
    found = [{name: rival.seconds(steps[name]) for name, rival in rivals.items()} for _ in range(rounds + 1)]
    return {name: [seconds[name] for seconds in found[1:]] for name in rivals}


def compare(name: str, seconds: Mapping[str, list[float]], peer: str, target: float | None, images: int) -> Row:
    """The row of two rivals, `ours` and a peer: images a second, and the median of the rounds' ratios.

    Args:
        seconds: from `race`.
        images: in a step.
    """
    ours, theirs = seconds['ours'], seconds[peer]
    return Row(
        name, images / statistics.median(ours), images / statistics.median(theirs), median_ratio(theirs, ours), target
    )


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median over the rounds of the ratio."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def check_same(ours: Remote, peer: Remote) -> None:
    """Raise AssertionError unless the peer's network, with our weights, gives the same probabilities."""
    with tempfile.NamedTemporaryFile(suffix='.npz') as file:
        ours.save(file.name)
        difference = peer.difference(file.name)
    if not difference < 1e-4:  # NaN is no match either
        raise AssertionError(f'the probabilities of the networks differ by {difference:g}')
