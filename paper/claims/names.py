"""The names in claims.csv: what each stands for, and the pairs that a check compares."""

import math
import re
from typing import NamedTuple

from paper.experiments import ERROR, Experiment, Measurement

NUMBER = Measurement('number', Experiment('', '', 0))


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


def rows_of(text: str) -> list[tuple[tuple[str, ...], list[str]]]:
    """`a{1,2} < b{3,4} < 5` → [((a1, b3, 5), [<, <]), ((a2, b4, 5), [<, <])]."""
    words = text.split()
    names, operators = [expand(word) for word in words[::2]], words[1::2]
    count = max(map(len, names))
    if any(len(column) not in (1, count) for column in names):
        raise ValueError(f'claims.csv: {text} has lists of different lengths')
    return [(row, operators) for row in zip(*(column * count if len(column) == 1 else column for column in names))]


def pairs_of(text: str) -> list[tuple[str, str, str]]:
    """`a{1,2} < b{3,4} < 5` → [(a1, <, b3), (b3, <, 5), (a2, <, b4), (b4, <, 5)]."""
    return [pair for names, operators in rows_of(text) for pair in zip(names, operators, names[1:])]
