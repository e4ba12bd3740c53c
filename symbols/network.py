"""A line of the tables of networks."""

from collections.abc import Callable
from typing import NamedTuple


class Network(NamedTuple):
    """A network of the paper.

    build: (layers, n, **argument) → symbol. n counts the fusion units of a group, or of each group in a tuple.
    title: its name in the paper.
    units: n, where the network exists in one depth alone.
    argument: an option that only this network takes, and `keywords`: what argparse's add_argument takes for it.
    paths_of_units: (layers, n) → layers on each path through each unit, where the paper counts other paths than the
        graph has; see analysis/paths.py.
    """

    build: Callable
    title: str
    units: tuple | None = None
    argument: str | None = None
    keywords: dict = {}
    paths_of_units: Callable | None = None
