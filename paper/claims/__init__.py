"""The paper's claims beside our logs: claims.csv, the checks that it names, and their verdicts.

A line of claims.csv is a claim. `id` names it, `section` says where it stands, `claim` puts it in short words, `shows`
says what would show it, and `check` is what is checked here, in these terms:

**Names.** `cifar10/dfn-mr-14` is the test error of a network after the last epoch. `-w4` after the depth means 4 times
wider, and `/path=LLL` is an option. `:train_loss` names another column of metrics.csv, `:together` the error of eight
runs as one ensemble. `@all` or `@30-55` is the mean over these epochs. A plain number is itself. Braces stand for
several names, as in a shell: `dfn-mr-{14,20} < resnet-{26,38}` compares 14 with 26, and 20 with 38.

**Checks of runs**

- `errors A < B`: A's error is lower. `A ~ B`: the two are close. `A < B < C` is two comparisons; where B has no runs,
  A is compared with C.
- `grows A - B`: the difference at the last names in the braces that have runs is larger than at the first.
- `printed A B`: the errors are those in the paper's tables.
- `missed-most LLR,RLR A`: of an ensemble's eight components, removing one of these raises the error the most.

**Checks by computation** compare networks by `<`, `<=`, `=` or `>=`, also with numbers such as 2^12 or 27.2M:

- `parameters`, `depth` (layers on the longest path), `layers` (convolutions and FC without projections);
- `size`, the number of component networks as the paper counts, and of their depths in layers `mean-depth`, `deviation`,
  `shallowest` and `depths` (how many different ones); `routes`, their number as ways through the graph;
- `components`, the number of component networks of each depth: `A >= B` if A has as many of each as B;
- `scores A = B`: with the same weights, the networks give random images the same scores;
- `computed table4`: the parameters and depths in the table.

**Around a check**

- `CHECK else near CHECK`: the second is made if the first has no runs. It looks at what is nearest to the claim.
- `near CHECK`: the networks are not the claim's. It neither confirms nor contradicts.
- `necessary CHECK`: what is checked follows from the claim. It can contradict it, but not confirm it.
- `inferred CHECK`: the networks were inferred from the claim and cannot test it.
- `none`: nothing here checks it.

**Verdicts.** Runs are compared if they were made alike, finished, and on the official files. Those with the paper's
schedule, devices and options come first, then those with the longest schedule.

- *confirmed*: with runs as in the paper, the order is the paper's, and the difference is compatible with the printed
  one, if there is one; or a printed number is met. What is computed holds everywhere.
- *contradicted*: with runs as in the paper, the order is the other way by more than chance, or a printed number is not
  met. What is computed does not hold somewhere.
- *consistent*: the order is the paper's, but the schedule, devices or networks are not; or the difference is not
  compatible; or chance is not known; or only a part of the claim was tested. A single run that meets a number without
  a printed deviation is no more than that.
- *not seen*: the order is not the paper's, or a number is not met, but that proves nothing.
- *not tested*: no run here bears on it.

A claim about several places is contradicted or not seen if it is so in one of them, and confirmed if it is so in all.
If some places have runs as in the paper, these decide, and the others are only shown.

**Chance.** Several runs have the variance of their errors; with it, an order is tested by Welch's t-test (two-sided,
5 %). A single run as in the paper has the variance that the paper prints. Any other has that of the draw of the test
images alone, p (100 - p) / N for an error of p % on N images, which is too small: a difference beyond it may still be
chance. Other columns and means over epochs then have none. Our difference is compatible with the paper's if the two are
not further apart than both variances allow. A number is met if compare.py would not mark it. Where the paper prints no
deviation, several runs meet it if it lies where one more of them would, with a probability of 95 %. A single run does,
as for `~`, if two draws of test images allow for the difference, which is lenient: here the images are the same.
"""

from collections import Counter
from collections.abc import Callable, Sequence
import csv
import functools
import os
from typing import NamedTuple

import paper
from paper.claims import computed, runs
from paper.claims.verdicts import CONFIRMED, CONSISTENT, CONTRADICTED, NOT_SEEN, NOT_TESTED, VERDICTS, Finding

HEADS = ('section', 'claim', 'shown by', 'runs', 'seen', 'verdict')  # of the ledger as a table


class Claim(NamedTuple):
    """A line of claims.csv."""

    id: str
    section: str
    claim: str
    shows: str
    check: str


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


def _near(rest, log_dir):
    finding = examine(rest, log_dir)
    verdict = {CONFIRMED: CONSISTENT, CONTRADICTED: NOT_SEEN}.get(finding.verdict, finding.verdict)
    seen = f'not the networks of the claim: {finding.seen}' if finding.seen and verdict != NOT_TESTED else finding.seen
    return finding._replace(verdict=verdict, seen=seen)


def _none(_, __):
    return Finding(NOT_TESTED, '', {})


def _necessary(rest, log_dir):
    finding = examine(rest, log_dir)
    return finding._replace(verdict=CONSISTENT) if finding.verdict == CONFIRMED else finding


def _inferred(rest, log_dir):
    finding = examine(rest, log_dir)
    return finding._replace(verdict=NOT_TESTED, seen=f'{finding.seen}; inferred from this claim')


CHECKS: dict[str, Callable[[str, str], Finding]] = {
    'errors': runs.errors,
    'grows': runs.grows,
    'printed': runs.as_printed,
    'missed-most': runs.missed_most,
    'scores': computed.scores,
    'computed': computed.computed_cells,
    'near': _near,
    'necessary': _necessary,
    'inferred': _inferred,
    'none': _none,
    **{measure: functools.partial(computed.structure, measure) for measure in computed.STRUCTURE},
}


def summary(entries: Sequence[tuple[Claim, Finding]]) -> str:
    """How many claims have each verdict."""
    counts = Counter(finding.verdict for _, finding in entries)
    return f'{len(entries)} claims: ' + ', '.join(f'{counts[verdict]} {verdict}' for verdict in VERDICTS)
