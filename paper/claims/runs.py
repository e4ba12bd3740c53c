"""Checks of runs: `errors`, `grows`, `printed` and `missed-most` of claims.csv."""

from collections import Counter
import math

import numpy as np

from paper import results, significance
from paper.claims.chance import chance, tolerance, variance_in_paper, variance_of_mean
from paper.claims.groups import Group, alike, commands, groups_of, preference
from paper.claims.names import expand, pairs_of, rows_of, subject
from paper.claims.printed import printed_cell, printed_number
from paper.claims.verdicts import (
    CONFIRMED,
    CONSISTENT,
    NOT_TESTED,
    Finding,
    Place,
    sum_up,
    verdict_on_equality,
    verdict_on_order,
)
from paper.experiments import ERROR
from symbols.ensemble import COMPONENTS


def errors(rest: str, log_dir: str) -> Finding:
    """Whether an error is lower than another (`<`), or close to it (`~`), place by place."""
    return sum_up(
        [place for names, signs in rows_of(rest) for place in _along(list(map(subject, names)), signs, log_dir)]
    )


def _along(chain, signs, log_dir):
    """The places of a chain: each name beside the next one that has runs made alike."""
    for index, (one, sign) in enumerate(zip(chain, signs), 1):
        found = ((other, alike([one, other], log_dir)) for other in chain[index:])
        yield _pair(one, sign, *next((pair for pair in found if pair[1]), (chain[index], [])))


def _pair(a, sign, b, groups):
    """A place: A's error is lower than B's (`<`), or close to it (`~`); groups: their runs, made alike, if any."""
    papers = [printed_number(a), printed_number(b)]
    otherwise = f'{a.name} {papers[0]:.2f}, {b.name} {papers[1]:.2f}' if _disagree(a, sign, papers) else ''
    if not groups:
        return Place(otherwise=otherwise)
    difference = groups[0].mean - groups[1].mean
    if sign == '~':
        equal = math.isfinite(difference) and abs(difference) <= tolerance(a.dataset, *(one.mean for one in groups))
        verdict, shown = verdict_on_equality(equal, _as_in_paper(groups)), '≈' if equal else '≉'
    else:
        verdict, by_chance = _order(groups, (1, -1), papers)
        shown = '<' if difference < 0 else '≥'
    text = f'{groups[0].text} {shown} {groups[1].text}'
    within = sign != '~' and difference != 0 and abs(difference) <= by_chance
    return Place(verdict, text + (' (within chance)' if within else ''), groups, otherwise)


def _as_in_paper(groups):
    return all(group.as_in_paper for group in groups)


def _disagree(a, sign, papers):
    """Whether the paper's own numbers are not in the order of the claim."""
    if any(map(math.isnan, papers)):
        return False
    if sign == '<':
        return not papers[0] < papers[1]
    return abs(papers[0] - papers[1]) > tolerance(a.dataset, *papers)


def _order(groups, signs, papers):
    """The verdict on a sum, signs · means, that should be negative, and how large chance could make it.

    papers: the paper's numbers in place of the means.
    """
    as_in_paper = _as_in_paper(groups)
    difference = sum(sign * group.mean for sign, group in zip(signs, groups))
    ours = [variance_of_mean(group) for group in groups]
    if not all(map(math.isfinite, [difference, *papers])):  # the paper prints no difference, or a run diverged
        return verdict_on_order(difference, chance(ours), as_in_paper), chance(ours)
    theirs = []
    for group, number in zip(groups, papers):
        variance, degrees = variance_in_paper(group.subject, number)
        cell = printed_cell(group.subject)
        theirs.append((variance / (significance.PAPERS_RUNS if cell and cell.std else 1), degrees))
    from_papers = difference - sum(sign * number for sign, number in zip(signs, papers))
    return verdict_on_order(difference, chance(ours), as_in_paper, from_papers, chance(ours + theirs)), chance(ours)


def grows(rest: str, log_dir: str) -> Finding:
    """Whether the difference A - B is larger at the last place with runs than at the first."""
    pairs = [(subject(a), subject(b)) for a, _, b in pairs_of(rest)]
    found = [[_with_mean(one, log_dir) for one in pair] for pair in pairs]
    ways = Counter(way for a, b in found for way in set(a) & set(b))
    if not ways:
        return sum_up([Place()])
    one_of = {way: group for pair in found for groups in pair for way, group in groups.items()}
    way = min(ways, key=lambda way: (ways[way] < 2, preference(one_of[way])))
    tested = [
        ([groups[way] for groups in place], [printed_number(one) for one in pair])
        for place, pair in zip(found, pairs)
        if all(way in groups for groups in place)
    ]
    texts = [
        f'{groups[0].mean - groups[1].mean:.2f} ({groups[0].subject.name} - {groups[1].subject.name})'
        for groups, _ in tested
    ]
    shown = commands(group for groups, _ in tested for group in groups)
    if len(tested) < 2:
        return Finding(NOT_TESTED, f'{texts[0]}; no other depth to compare with', shown)
    (first, papers_first), (last, papers_last) = tested[0], tested[-1]
    verdict, by_chance = _order([*first, *last], (1, -1, -1, 1), [*papers_first, *papers_last])
    if verdict == CONFIRMED and len(tested) < len(pairs):
        verdict = CONSISTENT
    growth = last[0].mean - last[1].mean - first[0].mean + first[1].mean
    within = ' (within chance)' if abs(growth) <= by_chance else ''
    return Finding(verdict, f'{"; ".join(texts)}{within}', shown)


def _with_mean(one, log_dir):
    """Groups of a subject without those all of whose runs failed."""
    return {way: group for way, group in groups_of(one, log_dir).items() if math.isfinite(group.mean)}


def as_printed(rest: str, log_dir: str) -> Finding:
    """Whether errors are those in the paper's tables."""
    return sum_up([_number(subject(name), log_dir) for word in rest.split() for name in expand(word)])


def _number(one, log_dir):
    """A place: the errors of runs, whose schedule is the paper's, are what the paper prints."""
    cell = printed_cell(one)
    found = [each for each in results.find(one.measurement, log_dir) if each.only_devices_differ]
    if cell is None or not found:
        return Place()
    group = Group(one, found[0].last, found[0].runs, found[0].differences)
    met = _is_met(cell, group)
    spread_is_known = cell.std or cell.fail or len(group.values) > 1
    verdict = verdict_on_equality(met, bool(spread_is_known) and group.as_in_paper)
    return Place(verdict, f'{group.text} {"for" if met else "instead of"} {cell.printed}', [group])


def _is_met(cell, group):
    good, failed = results.split(group.values)
    if cell.fail or failed:
        return cell.fail and not good
    if cell.std:
        return not significance.differs(cell.value, cell.std, good)
    if len(good) > 1:
        low, high = significance.prediction_interval(group.mean, float(np.std(good)), len(good))
        return low <= cell.value <= high
    return abs(group.mean - cell.value) <= tolerance(group.subject.dataset, group.mean, cell.value)


def missed_most(rest: str, log_dir: str) -> Finding:
    """Whether removing one of the named components raises an ensemble's error the most."""
    named, names = rest.split()
    return sum_up([_most(name, named.split(','), log_dir) for name in expand(names)])


def _most(name, named, log_dir):
    """A place: the error without one of the named components is the largest of the eight."""
    groups = alike([subject(f'{name}:{ERROR}_without_{path}') for path in COMPONENTS], log_dir)
    if not groups:
        return Place()
    raised = dict(zip(COMPONENTS, groups))
    most = max(named, key=lambda path: raised[path].mean)
    other = max(set(COMPONENTS) - set(named), key=lambda path: raised[path].mean)
    return _pair(raised[other].subject, '<', raised[most].subject, [raised[other], raised[most]])
