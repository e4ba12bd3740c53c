"""The paper's claims beside our logs: claims.csv, the checks that it names, and their verdicts.

A line of claims.csv is a claim. `id` names it, `section` says where it stands, `claim` puts it in short words, `shows`
says what would show it, and `check` is what is checked here, in these terms:

**Names.** `cifar10/dfn-mr-14` is the test error of a network after the last epoch. `-w4` after the depth means 4 times
wider, and `/path=LLL` is an option. `:train_loss` names another column of metrics.csv, `:together` the error of eight
runs as one ensemble. `@all` or `@30-55` is the mean over these epochs. A plain number is itself. Braces stand for
several names, as in a shell: `dfn-mr-{14,20} < resnet-{26,38}` compares 14 with 26, and 20 with 38.

**Checks of runs**

- `errors A < B`: A's error is lower. `A ~ B`: the two are close. `A < B < C` is two comparisons.
- `grows A - B`: the difference at the last names in the braces that have runs is larger than at the first.
- `printed A B`: the errors are those in the paper's tables.
- `missed-most LLR,RLR A`: of an ensemble's eight components, removing one of these raises the error the most.

**Checks by computation** compare networks by `<`, `<=`, `=` or `>=`, also with numbers such as 2^12 or 27.2M:

- `parameters`, `depth` (layers on the longest path), `layers` (convolutions and FC without projections);
- `size`, the number of component networks as the paper counts, and of their depths in layers `mean-depth`, `deviation`
  and `depths` (how many different ones);
- `components`, the number of component networks of each depth: `A >= B` if A has as many of each as B;
- `scores A = B`: with the same weights, the networks give random images the same scores;
- `computed table4`: the parameters and depths in the table.

**Around a check**

- `CHECK else near CHECK`: the second is made if the first has no runs. It looks at what is nearest to the claim.
- `near CHECK`: the networks are not the claim's. It neither confirms nor contradicts.
- `inferred CHECK`: the networks were inferred from the claim and cannot test it.
- `none`: nothing here checks it.

**Verdicts.** Runs are compared if they were made alike, finished, and on the official files. Those with the paper's
schedule, devices and options come first, then those with the longest schedule.

- *confirmed*: with runs as in the paper, the order is the paper's, and the difference is compatible with the printed
  one, if there is one; or a printed number is met. What is computed holds everywhere.
- *contradicted*: with runs as in the paper, the order is the other way by more than chance, or a printed number is not
  met. What is computed does not hold somewhere.
- *consistent*: the order is the paper's, but the schedule, devices or networks are not; or the difference is not
  compatible; or chance is not known; or only a part of the claim was tested.
- *not seen*: the order is not the paper's, but that proves nothing.
- *not tested*: no run here bears on it.

A claim about several places is contradicted or not seen if it is so in one of them, and confirmed if it is so in all.
If some places have runs as in the paper, these decide, and the others are only shown.

**Chance.** Several runs have the variance of their errors; with it, an order is tested by Welch's t-test (two-sided,
5 %). A single run has the variance that the paper prints, else that of the draw of the test images: p (100 - p) / N for
an error of p % on N images. Other columns and means over epochs then have none. Our difference is compatible with the
paper's if the two are not further apart than both variances allow. A number is met if compare.py would not mark it;
where the paper prints no deviation, and for `~`, if the draw of the test images allows for the difference.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
import csv
import functools
import math
import operator
import os
import re
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from common.mxnet import mx
import paper
from paper import ensembles, experiments, recipes, results, significance
from paper.experiments import ERROR, ERROR5, TOGETHER, Experiment, Measurement
from paper.tables import table
import symbols
from symbols.analysis.graph import is_layer, nodes
from symbols.analysis.paths import moments, paths_of
from symbols.analysis.summary import parameter_shapes, summarize
from symbols.ensemble import COMPONENTS
from training.initializer import initial_parameters
from training.run_directory import read_config, read_metrics

VERDICTS = ('confirmed', 'consistent', 'not seen', 'contradicted', 'not tested')
CONFIRMED, CONSISTENT, NOT_SEEN, CONTRADICTED, NOT_TESTED = VERDICTS
HEADS = ('section', 'claim', 'shown by', 'runs', 'seen', 'verdict')  # of the ledger as a table
TEST_IMAGES = {'cifar10': 10000, 'cifar100': 10000, 'svhn': 26032, 'imagenet': 50000}
SAME_SCORES = 0.0001  # between float32 sums of another order
# How the differences begin of runs that are compared with nothing.
UNFIT = ('stopped after', 'a schedule of', 'files that are not the official ones')


class Claim(NamedTuple):
    """A line of claims.csv."""

    id: str
    section: str
    claim: str
    shows: str
    check: str


class Finding(NamedTuple):
    """What a check found.

    runs: {command, with the number of runs and how they differ from the paper's: first run directory, or None}.
    """

    verdict: str
    seen: str
    runs: dict[str, str | None]


def claims() -> list[Claim]:
    """The lines of claims.csv."""
    with open(os.path.join(paper.FOLDER, 'claims.csv'), newline='', encoding='utf-8') as file:
        return [Claim(**line) for line in csv.DictReader(file)]


def ledger(log_dir: str) -> list[tuple[Claim, Finding]]:
    """Every claim, and what the logs say about it.

    Raises:
        UserError: a run is damaged.
    """
    return [(claim, examine(claim.check, log_dir)) for claim in claims()]


def examine(check: str, log_dir: str) -> Finding:
    """Make a check, as the module's docstring describes it."""
    first, _, nearest = check.partition(' else ')
    word, _, rest = first.partition(' ')
    finding = CHECKS[word](rest, log_dir)
    return examine(nearest, log_dir) if nearest and finding.verdict == NOT_TESTED else finding


class Subject(NamedTuple):
    """What a name stands for: a measurement, or its mean over epochs; or a number, whose measurement is NUMBER."""

    name: str
    measurement: Measurement
    epochs: slice | None = None
    number: float = math.nan

    @property
    def dataset(self) -> str:
        """The name of its data set."""
        return self.measurement.experiment.dataset


NUMBER = Measurement('number', Experiment('', '', 0))
NAME = re.compile(r'(\w+)/([\w-]+?)-(\d+)(?:-w(\d+))?((?:/\w+=\w+)*)(?::(\w+))?(?:@(all|\d+-\d+))?')


def subject(name: str) -> Subject:
    """What one name, without braces, stands for."""
    if re.fullmatch(r'[\d.]+', name):
        return Subject(name, NUMBER, number=float(name))
    parts = NAME.fullmatch(name)
    if not parts:
        raise ValueError(f'claims.csv: {name} is no name')
    dataset, net, depth, widen, given, measure, epochs = parts.groups()
    pairs = [pair.split('=') for pair in given.split('/')[1:]]
    experiment = Experiment(
        dataset, net, int(depth), int(widen or 1), tuple((option, value) for option, value in pairs)
    )
    first, _, last = (epochs or '').replace('all', '1-').partition('-')
    span = slice(int(first) - 1, int(last) if last else None) if epochs else None
    return Subject(name, Measurement(measure or ERROR, experiment), span)


def expand(text: str) -> list[str]:
    """Replace braces by each of their options: a{1,2} → a1, a2."""
    braces = re.search(r'{([^{}]*)}', text)
    if not braces:
        return [text]
    before, after = text[: braces.start()], text[braces.end() :]
    return [full for option in braces[1].split(',') for full in expand(before + option + after)]


def pairs_of(text: str) -> list[tuple[str, str, str]]:
    """`a{1,2} < b{3,4} < 5` → [(a1, <, b3), (b3, <, 5), (a2, <, b4), (b4, <, 5)]."""
    words = text.split()
    names, operators = [expand(word) for word in words[::2]], words[1::2]
    count = max(map(len, names))
    if any(len(column) not in (1, count) for column in names):
        raise ValueError(f'claims.csv: {text} has lists of different lengths')
    rows = zip(*(column * count if len(column) == 1 else column for column in names))
    return [pair for row in rows for pair in zip(row, operators, row[1:])]


class Group(NamedTuple):
    """Runs of a subject that differ in the seed alone: their values, and how they differ from the paper's.

    The group of a number has no run, and the number for a value.
    """

    subject: Subject
    values: list[float]
    run_dirs: list[str]
    differences: tuple[str, ...]

    @property
    def mean(self) -> float:
        """The mean, infinite if a run diverged."""
        return float(np.mean(self.values))

    @property
    def text(self) -> str:
        """The name, mean ± deviation and number of runs."""
        if not self.run_dirs:
            return self.subject.name
        if not self.subject.measurement.measure.endswith('_loss'):
            return f'{self.subject.name} {results.text(self.values)}'
        return f'{self.subject.name} {self.mean:.3f} ± {np.std(self.values):.3f} ({len(self.values)})'


def groups_of(one: Subject, log_dir: str) -> dict[tuple[str, ...], Group]:
    """{differences from the paper's runs: runs} of a subject, those that can be compared."""
    return {
        found.differences: Group(one, _values(one, found), found.runs, found.differences)
        for found in results.find(one.measurement, log_dir)
        if not any(text.startswith(UNFIT) for text in found.differences)
    }


def _values(one, found):
    if not one.epochs:
        return found.last
    rows = [read_metrics(run_dir)[one.epochs] for run_dir in found.runs]
    means = [np.mean([row[one.measurement.measure] for row in part]) if part else np.nan for part in rows]
    return [mean if np.isfinite(last) and np.isfinite(mean) else np.inf for mean, last in zip(means, found.last)]


def alike(subjects: Sequence[Subject], log_dir: str) -> list[Group]:
    """Runs of every subject that were all made in one way; none if there is no such way."""
    found = [groups_of(one, log_dir) for one in subjects if one.measurement is not NUMBER]
    ways = set(found[0]).intersection(*found[1:])
    if not ways:
        return []
    way = min(ways, key=lambda way: (way != (), -_schedule(found[0][way]), len(way), way))
    runs = iter(groups[way] for groups in found)
    return [Group(one, [one.number], [], way) if one.measurement is NUMBER else next(runs) for one in subjects]


def _schedule(group):
    return read_config(group.run_dirs[0])['options']['epochs']


def commands(groups: Iterable[Group]) -> dict[str, str | None]:
    """Finding.runs of groups."""
    lines: dict[str, str | None] = {}
    for group in groups:
        if group.run_dirs:
            first, experiment = group.run_dirs[0], group.subject.measurement.experiment
            words = [recipes.script(experiment.dataset), *results.arguments(experiment, epochs=_schedule(group))]
            if group.subject.measurement.measure == TOGETHER:
                members = first.replace(f'/{ensembles.PREFIX}-', '/path*-').removesuffix('.json')
                words = ['eval.py', '--ensemble', '--save', members]
            way = ', '.join(group.differences) or f'{experiment.epochs} epochs, as in the paper'
            lines[f'python {" ".join(words)} (n = {len(group.values)}; {way})'] = first
    return lines


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
        return not any(group.differences for group in self.groups)


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


def chance(variances: Sequence[tuple[float, float]]) -> float:
    """How large chance makes a sum of means whose true value is 0, in 95 % of cases; nan if a variance is.

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
    if len(group.values) > 1:
        return float(np.var(group.values, ddof=1)) / len(group.values), len(group.values) - 1
    return variance_in_paper(group.subject, group.mean)


def variance_in_paper(one: Subject, error: float) -> tuple[float, float]:
    """(variance, degrees of freedom) of a single run: the paper's, or else that of an error on its test images."""
    cell = printed_cell(one)
    if cell and cell.std:
        return significance.sample_std(cell.std) ** 2, significance.PAPERS_RUNS - 1
    if one.measurement is NUMBER:
        return 0, math.inf
    is_test_error = one.measurement.measure.startswith((ERROR, ERROR5)) or one.measurement.measure == TOGETHER
    known = is_test_error and not one.epochs
    return error * (100 - error) / TEST_IMAGES[one.dataset] if known else math.nan, math.inf


def tolerance(dataset: str, *errors: float) -> float:
    """By how much two networks with these errors, in percent, differ on the test images in 95 % of cases."""
    variance = sum(error * (100 - error) for error in errors) / TEST_IMAGES[dataset]
    return NormalDist().inv_cdf(1 - significance.LEVEL / 2) * math.sqrt(variance)


@functools.cache
def _cells() -> dict[tuple, paper.Cell]:
    """{(measure, experiment): cell}, the one with a deviation where several tables have it."""
    found = {}
    for number in paper.TABLES:
        for cell in paper.cells(number):
            for measurement in experiments.of_cell(number, cell.row, cell.column):
                known = found.get(measurement[:2])
                if known is None or (cell.std and not known.std):
                    found[measurement[:2]] = cell
    return found


def printed_cell(one: Subject) -> paper.Cell | None:
    """The cell of a table that prints a subject."""
    return None if one.epochs else _cells().get(one.measurement[:2])


def _printed(one):
    """The number that the paper has for a subject: infinite for a "fail", nan for none."""
    cell = printed_cell(one)
    if cell is None:
        return one.number
    return math.inf if cell.fail else math.nan if cell.value is None else cell.value


def _errors(rest, log_dir):
    return sum_up([_pair(subject(a), sign, subject(b), log_dir) for a, sign, b in pairs_of(rest)])


def _pair(a, sign, b, log_dir):
    """A place: A's error is lower than B's (`<`), or close to it (`~`)."""
    papers = [_printed(a), _printed(b)]
    otherwise = f'{a.name} {papers[0]:.2f}, {b.name} {papers[1]:.2f}' if _disagree(a, sign, papers) else ''
    groups = alike([a, b], log_dir)
    if not groups:
        return Place(otherwise=otherwise)
    difference = groups[0].mean - groups[1].mean
    if sign == '~':
        equal = abs(difference) <= tolerance(a.dataset, groups[0].mean, groups[1].mean)
        verdict, shown = verdict_on_equality(equal, not groups[0].differences), '≈' if equal else '≉'
    else:
        verdict, by_chance = _order(groups, (1, -1), papers)
        shown = '<' if difference < 0 else '≥'
    text = f'{groups[0].text} {shown} {groups[1].text}'
    within = sign != '~' and difference != 0 and abs(difference) <= by_chance
    return Place(verdict, text + (' (within chance)' if within else ''), groups, otherwise)


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
    as_in_paper = not groups[0].differences
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


def _grows(rest, log_dir):
    """The difference A - B is larger at the last place with runs than at the first."""
    pairs = [(subject(a), subject(b)) for a, _, b in pairs_of(rest)]
    places = [(alike(pair, log_dir), [_printed(one) for one in pair]) for pair in pairs]
    ways = Counter(groups[0].differences for groups, _ in places if groups)
    if not ways:
        return sum_up([Place()])
    way = min(ways, key=lambda way: (ways[way] < 2, len(way), -ways[way]))
    tested = [(groups, papers) for groups, papers in places if groups and groups[0].differences == way]
    texts = [
        f'{groups[0].mean - groups[1].mean:.2f} ({groups[0].subject.name} - {groups[1].subject.name})'
        for groups, _ in tested
    ]
    shown = commands(group for groups, _ in tested for group in groups)
    if len(tested) < 2:
        return Finding(NOT_TESTED, f'{texts[0]}; no other depth to compare with', shown)
    (first, papers_first), (last, papers_last) = tested[0], tested[-1]
    verdict, by_chance = _order([*first, *last], (1, -1, -1, 1), [*papers_first, *papers_last])
    if verdict == CONFIRMED and len(tested) < len(places):
        verdict = CONSISTENT
    growth = last[0].mean - last[1].mean - first[0].mean + first[1].mean
    within = ' (within chance)' if abs(growth) <= by_chance else ''
    return Finding(verdict, f'{"; ".join(texts)}{within}', shown)


def _as_printed(rest, log_dir):
    return sum_up([_number(subject(name), log_dir) for word in rest.split() for name in expand(word)])


def _number(one, log_dir):
    """A place: the errors of runs, whose schedule is the paper's, are what the paper prints."""
    cell = _cells()[one.measurement[:2]]
    found = [each for each in results.find(one.measurement, log_dir) if each.only_devices_differ]
    if not found:
        return Place()
    group = Group(one, found[0].last, found[0].runs, found[0].differences)
    met = _is_met(cell, group)
    verdict = verdict_on_equality(met, not group.differences)
    return Place(verdict, f'{group.text} {"for" if met else "instead of"} {cell.printed}', [group])


def _is_met(cell, group):
    good, failed = results.split(group.values)
    if cell.fail or failed:
        return cell.fail and not good
    if cell.std:
        return not significance.differs(cell.value, cell.std, good)
    return abs(group.mean - cell.value) <= tolerance(group.subject.dataset, group.mean, cell.value)


def _missed_most(rest, log_dir):
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
    return _pair(raised[other].subject, '<', raised[most].subject, log_dir)


@functools.cache
def _cost(experiment):
    """(parameters, layers on the longest path, layers without projections)."""
    build, image_shape = results.network(experiment)
    symbol = build()
    cost = summarize(symbol, image_shape)
    layers = sum(is_layer(node) and 'shortcut' not in node['name'] for node in nodes(symbol))
    return cost.parameters, cost.depth, layers


@functools.cache
def _paths(experiment):
    given = symbols.arguments_of(results.options_of(experiment)) if experiment.dataset != 'imagenet' else {}
    return paths_of(experiment.net, experiment.depth, experiment.dataset, **given)[1]


STRUCTURE: dict[str, Callable] = {
    'parameters': lambda experiment: _cost(experiment)[0],
    'depth': lambda experiment: _cost(experiment)[1],
    'layers': lambda experiment: _cost(experiment)[2],
    'size': lambda experiment: sum(_paths(experiment).nominal),
    'mean-depth': lambda experiment: moments(_paths(experiment).nominal)[0],
    'deviation': lambda experiment: moments(_paths(experiment).nominal)[1],
    'depths': lambda experiment: sum(map(bool, _paths(experiment).nominal)),
    'components': lambda experiment: Counter(dict(enumerate(_paths(experiment).distinct))),
}
OPERATORS = {'<': operator.lt, '<=': operator.le, '=': operator.eq, '>=': operator.ge}


def _structure(measure, rest, _):
    """Compare a measure of networks, place by place."""
    held, failed = [], []
    for a, sign, b in pairs_of(rest):
        left, right = (_structural(measure, name) for name in (a, b))
        text = f'{_shown(a, left)} {sign} {_shown(b, right)}'
        (held if OPERATORS[sign](left, right) else failed).append(text)
    command = f'python -m symbols {"summary" if measure in ("parameters", "layers", "depth") else "paths"}'
    return _exact(held, failed, command)


def _exact(held, failed, command):
    """The finding of a check by computation; of what holds, the first and the last are shown."""
    shown = held if len(held) < 4 else [held[0], '…', held[-1]]
    if failed:
        seen = f'{len(failed)} of {len(held) + len(failed)} do not hold: {"; ".join(failed)}'
    else:
        seen = '; '.join(shown) + (f' ({len(held)} of {len(held)})' if len(held) > 1 else '')
    return Finding(CONTRADICTED if failed else CONFIRMED, seen, {command: None})


def _structural(measure, name):
    number = re.fullmatch(r'(\d+)\^(\d+)|([\d.]+)(M?)', name)
    if not number:
        return STRUCTURE[measure](subject(name).measurement.experiment)
    base, exponent, plain, millions = number.groups()
    return int(base) ** int(exponent) if base else float(plain) * 1e6 if millions else float(plain)


def _shown(name, value):
    if isinstance(value, Counter):
        depths = [depth for depth, count in value.items() if count]
        return f'{name} ({value.total():,} of {min(depths)} to {max(depths)} layers)'
    if not float(value).is_integer():
        text = f'{value:.2f}'
    elif value < 10**9:
        text = f'{int(value):,}'
    else:
        power = math.log2(value)
        text = f'2^{power:.0f}' if value == 2 ** round(power) else f'≈2^{power:.2f}'
    return f'{name} {text}' if '/' in name else text


def _scores(rest, _):
    """Two networks with the same weights score random images the same; statistics are those of the batch."""
    held, failed = [], []
    for a, _, b in pairs_of(rest):
        difference = float(np.abs(_outputs(a) - _outputs(b)).max())
        if difference < SAME_SCORES:
            held.append(f'{a} and {b}: scores of four images differ by less than {SAME_SCORES}')
        else:
            failed.append(f'{a} and {b}: scores of four images differ by {difference:.4f}')
    return _exact(held, failed, 'python -m paper claims')


def _outputs(name):
    """(4, classes): softmax of the initial weights' scores, in training."""
    build, image_shape = results.network(subject(name).measurement.experiment)
    symbol = build()
    images = np.random.RandomState(0).randn(4, *image_shape).astype(np.float32)
    executor = symbol.simple_bind(mx.cpu(), data=images.shape)
    for weight, value in initial_parameters(parameter_shapes(symbol, image_shape), seed=1).items():
        executor.arg_dict[weight][:] = value
    return executor.forward(is_train=True, data=mx.nd.array(images))[0].asnumpy()


def _computed_cells(rest, log_dir):
    """The parameters and depths of a table."""
    number = int(rest.removeprefix('table'))
    held, failed = [], []
    for row, cells in table(number, log_dir).rows.items():
        for column, cell in cells.items():
            if cell.computed:
                text = f'{row} {column}: {cell.computed} for {cell.paper.printed}'
                (failed if cell.disagrees else held).append(text)
    return _exact(held, failed, f'python compare.py {number}')


def _near(rest, log_dir):
    finding = examine(rest, log_dir)
    verdict = {CONFIRMED: CONSISTENT, CONTRADICTED: NOT_SEEN}.get(finding.verdict, finding.verdict)
    seen = f'not the networks of the claim: {finding.seen}' if finding.seen and verdict != NOT_TESTED else finding.seen
    return finding._replace(verdict=verdict, seen=seen)


def _none(_, __):
    return Finding(NOT_TESTED, '', {})


def _inferred(rest, log_dir):
    finding = examine(rest, log_dir)
    return finding._replace(verdict=NOT_TESTED, seen=f'{finding.seen}; inferred from this claim')


CHECKS: dict[str, Callable[[str, str], Finding]] = {
    'errors': _errors,
    'grows': _grows,
    'printed': _as_printed,
    'missed-most': _missed_most,
    'scores': _scores,
    'computed': _computed_cells,
    'near': _near,
    'inferred': _inferred,
    'none': _none,
    **{measure: functools.partial(_structure, measure) for measure in STRUCTURE},
}


def summary(entries: Sequence[tuple[Claim, Finding]]) -> str:
    """How many claims have each verdict."""
    counts = Counter(finding.verdict for _, finding in entries)
    return f'{len(entries)} claims: ' + ', '.join(f'{counts[verdict]} {verdict}' for verdict in VERDICTS)
