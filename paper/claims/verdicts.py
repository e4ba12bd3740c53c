"""Verdicts on one comparison, and on a claim about several."""

from collections.abc import Sequence
import math
from typing import NamedTuple

from paper.claims.groups import Group, commands

VERDICTS = ('confirmed', 'consistent', 'not seen', 'contradicted', 'not tested')

CONFIRMED, CONSISTENT, NOT_SEEN, CONTRADICTED, NOT_TESTED = VERDICTS


class Finding(NamedTuple):
    """What a check found.

    runs: {command, with the number of runs and how they differ from the paper's: first run directory, or None}.
    """

    verdict: str
    seen: str
    runs: dict[str, str | None]


class Place(NamedTuple):
    """One comparison of a claim.

    otherwise: how the paper's own numbers disagree with the claim; empty if they do not.
    """

    verdict: str = NOT_TESTED
    text: str = ''
    groups: Sequence[Group] = ()
    otherwise: str = ''

    @property
    def as_in_paper(self) -> bool:
        """Whether the runs were made as the paper's."""
        return all(group.as_in_paper for group in self.groups)


def verdict_on_order(
    difference: float, by_chance: float, as_in_paper: bool, from_papers: float = 0, allowed: float = math.inf
) -> str:
    """The verdict on an order that holds if `difference` is negative.

    Args:
        by_chance: how large chance could make it; nan if that is not known.
        from_papers: how far it is from the paper's difference, and `allowed` how far chance could bring it.
    """
    if difference < 0:
        compatible = abs(from_papers) <= allowed and not math.isnan(by_chance)
        return CONFIRMED if as_in_paper and compatible else CONSISTENT
    return CONTRADICTED if as_in_paper and difference > by_chance else NOT_SEEN


def verdict_on_equality(equal: bool, as_in_paper: bool) -> str:
    """The verdict on numbers that should agree."""
    if as_in_paper:
        return CONFIRMED if equal else CONTRADICTED
    return CONSISTENT if equal else NOT_SEEN


def verdict_on_all(places: Sequence[Place]) -> str:
    """The verdict on a claim about several places."""
    tested = [place for place in places if place.verdict != NOT_TESTED]
    verdicts = [place.verdict for place in tested if place.as_in_paper] or [place.verdict for place in tested]
    for verdict in (CONTRADICTED, NOT_SEEN):
        if verdict in verdicts:
            return verdict
    if not verdicts:
        return NOT_TESTED
    return CONFIRMED if verdicts == [CONFIRMED] * len(places) else CONSISTENT


def sum_up(places: Sequence[Place]) -> Finding:
    """The finding of a claim about several places."""
    tested = [place for place in places if place.verdict != NOT_TESTED]
    texts = [place.text for place in tested]
    if tested and len(tested) < len(places):
        texts.append(f'{len(places) - len(tested)} of {len(places)} without runs')
    otherwise = [place.otherwise for place in places if place.otherwise]
    if otherwise:
        texts.append(
            f"the paper's own numbers are otherwise at {len(otherwise)} of {len(places)}: {otherwise[0]}"
            + ', …' * (len(otherwise) > 1)
        )
    runs = commands(group for place in tested for group in place.groups)
    return Finding(verdict_on_all(places), '; '.join(texts), runs)
