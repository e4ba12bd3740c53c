"""Damages, kills and repeats in the hundreds, and the table of what came of them, for docs/reliability.md.

    python -m tests.faults.campaign                     # under an hour on one core; goes on where it was stopped
    python -m tests.faults.campaign --damages 50 --kills 10 --strangers 100 --repeats 5

Each trial is a command in a fork, as in commands.py. What each came to is kept in FOLDER/trials.jsonl as it goes. The
exit status is 1 if a trial went wrong.
"""

from common.cli import Parser, positive_int, run

from collections import Counter
from collections.abc import Callable, Iterator
import contextlib
import functools
import glob
import json
import os
from random import Random
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

from tqdm import tqdm

from common.files import write_atomically
from tests.conftest import ROOT
from tests.faults import commands, strangers, trials
from tests.faults.commands import COMMANDS, Command
from tests.faults.damages import DAMAGES

PAGE = os.path.join(ROOT, 'docs', 'reliability.md')
BEGIN, END = '<!-- table: written by make faults -->', '<!-- end of table -->'

SAME, HEALED, OTHER, LEFTOVER = 'same result', 'mended, same result', 'other result', 'half-written file left'
UNSEEN = 'other pixels'  # of a source that there is nothing to compare with
GOOD = (SAME, HEALED, trials.ONE_LINE, 'evaluated', UNSEEN)
COLUMNS = ('tried', 'same result', 'mended', 'one line', 'lost or wrong')
HALF_WRITTEN = re.compile(r'\.unfinished|\.tmp$|\.part$')


class Templates:
    """Undamaged folders, made once, and what their commands then come to."""

    def __init__(self, folder: str):
        self.folder = folder

    @functools.cache  # noqa: B019  there is one
    def place(self, prepare: Callable, seed: int) -> str:
        """The folder that a command's `prepare` fills."""
        path = os.path.join(self.folder, f'{prepare.__name__}-{seed}')
        if not os.path.isdir(path):
            shutil.rmtree(f'{path}.new', ignore_errors=True)
            os.makedirs(f'{path}.new')
            prepare(f'{path}.new', seed)
            os.rename(f'{path}.new', path)
        return path

    @functools.cache  # noqa: B019
    def expected(self, name: str) -> tuple[Any, float]:
        """(What a command comes to without damage, seconds that it takes.)"""
        with self.copied(COMMANDS[name]) as folder:
            begun = time.monotonic()
            ended = call(COMMANDS[name], folder)
            seconds = time.monotonic() - begun
            assert ended.status == 0, (name, ended)
            return COMMANDS[name].result(folder, ended), seconds

    @contextlib.contextmanager
    def copied(self, command: Command) -> Iterator[str]:
        """A copy of a command's folder, for one trial."""
        path = os.path.join(self.folder, 'trial')
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.place(command.prepare, 1), path, symlinks=True)
        yield path


def call(command: Command, folder: str, **options) -> trials.Ended:
    """Give a command in a folder."""
    return trials.forked(command.main, *command.words, cwd=folder, **options)


def damage(templates: Templates, random: Random) -> dict:
    """Damage a file, give the command, and see what comes of it."""
    name, kind = random.choice([(name, kind) for name, command in COMMANDS.items() for kind in command.files])
    command = COMMANDS[name]
    expected, _ = templates.expected(name)
    other = templates.place(command.prepare, 2)
    with templates.copied(command) as folder:
        paths = sorted(glob.glob(os.path.join(folder, command.files[kind].format(1))))
        assert paths, (name, kind)
        path = random.choice([*paths, *paths[-1:] * 3])  # the last checkpoint is the one that counts
        others = sorted(glob.glob(os.path.join(other, command.files[kind].format(2))))
        how = random.choice(list(DAMAGES))
        what = DAMAGES[how](path, random, others[min(paths.index(path), len(others) - 1)])
        ended = call(command, folder)
        if ended.kind != trials.DONE:
            outcome = ended.kind
        elif _result(command, folder, ended) == expected:
            outcome = HEALED if commands.MENDING.search(ended.out + ended.err) else SAME
        else:
            outcome = UNSEEN if command.is_source else OTHER
        return {
            'fault': kind,
            'outcome': outcome,
            'what': f'{name}: {os.path.relpath(path, folder)} {what}',
            'said': (ended.out + ended.err)[-600:],
        }


def _result(command, folder, ended):
    try:
        return command.result(folder, ended)
    except (OSError, ValueError, KeyError, IndexError) as error:
        return repr(error)


def half_written(folder: str) -> list[str]:
    """The names of what was never finished."""
    return [name for _, folders, files in os.walk(folder) for name in folders + files if HALF_WRITTEN.search(name)]


KILLED = ('train on an archive', 'train again', 'train again', 'train on .mat', 'pack folders', 'eval')


def kill(templates: Templates, random: Random) -> dict:
    """Kill a command one to three times, and let it finish."""
    name = random.choice(KILLED)
    command = COMMANDS[name]
    expected, seconds = templates.expected(name)
    while True:
        with templates.copied(command) as folder:
            moments = [random.uniform(0, seconds) for _ in range(random.randrange(1, 4))]
            killed = sum(call(command, folder, kill_after=moment).status == -signal.SIGKILL for moment in moments)
            if not killed:  # it was faster
                seconds /= 2
                continue
            ended = call(command, folder)
            if ended.kind != trials.DONE:
                outcome = ended.kind
            elif _result(command, folder, ended) != expected:
                outcome = OTHER
            else:
                outcome = LEFTOVER if half_written(folder) else SAME
            return {
                'fault': f'killed: {name}',
                'outcome': outcome if outcome != trials.ONE_LINE else 'cannot go on',
                'kills': killed,
                'what': f'{name}: killed {killed} times, after {", ".join(f"{moment:.3f}" for moment in moments)} s',
                'said': (ended.out + ended.err)[-600:],
            }


def repeat(templates: Templates, random: Random) -> dict:
    """Train once more, beside a process that takes what it can."""
    command = COMMANDS['train on an archive']
    expected, _ = templates.expected('train on an archive')
    busy = subprocess.Popen([sys.executable, '-c', 'while True: sum(range(10**6))'])
    try:
        with templates.copied(command) as folder:
            ended = call(command, folder)
            same = ended.status == 0 and _result(command, folder, ended) == expected
    finally:
        busy.kill()
        busy.wait()
    return {
        'fault': 'trained again under load',
        'outcome': SAME if same else OTHER,
        'what': '',
        'said': (ended.out + ended.err)[-600:],
    }


def stranger(templates: Templates, random: Random) -> dict:
    """Evaluate a changed symbol or its weights."""
    folder, bases = _networks(templates.folder)
    what = strangers.write(folder, random.choice(bases), random)
    ended = strangers.evaluate(folder)
    return {
        'fault': 'changed symbols and weights',
        'outcome': 'evaluated' if ended.kind == trials.DONE else ended.kind,
        'what': what,
        'said': (ended.out + ended.err)[-600:],
    }


@functools.cache
def _networks(folder):
    place = os.path.join(folder, 'strangers')
    if not os.path.isdir(place):
        strangers.small_digits(os.path.join(place, 'data'))
    return place, list(strangers.networks())


PARTS = {'damages': damage, 'kills': kill, 'repeats': repeat, 'strangers': stranger}


def table(results: list[dict]) -> str:
    """The results as Markdown, a line for each kind of fault."""
    counts: dict[str, Counter] = {}
    for result in results:
        counts.setdefault(result['fault'], Counter())[result['outcome']] += 1
    rows = []
    for fault, of_fault in sorted(counts.items()):
        wrong = sum(count for outcome, count in of_fault.items() if outcome not in GOOD)
        same = of_fault[SAME] + of_fault['evaluated']
        note = f' ({of_fault[UNSEEN]} other pixels)' if of_fault[UNSEEN] else ''
        rows.append(
            [fault, sum(of_fault.values()), f'{same}{note}', of_fault[HEALED], of_fault[trials.ONE_LINE], wrong]
        )
    lines = [['fault', *COLUMNS], ['---', *['---:'] * len(COLUMNS)], *rows]
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def source(results: list[dict], seed: int) -> str:
    """Where the results come from."""
    kills, commits = sum(result.get('kills', 0) for result in results), {result['commit']: 1 for result in results}
    return f'{kills} kills. `make faults`, seed {seed}, {_processor()}, commit {" and ".join(commits)}.'


def _processor():
    with open('/proc/cpuinfo') as file:
        found = re.search(r'model name\s*: (.*)', file.read())
    return found[1] if found else 'unknown processor'


def _commit():
    head = subprocess.run(['git', '-C', ROOT, 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True)
    return head.stdout.strip()


def write_page(text: str) -> None:
    """Put the table into docs/reliability.md."""
    with open(PAGE, encoding='utf-8') as file:
        before, _, rest = file.read().partition(BEGIN)
    write_atomically(PAGE, f'{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}')


def parser() -> Parser:
    """The command line."""
    parser = Parser(prog='python -m tests.faults.campaign', description=__doc__)
    for name, number in (('damages', 500), ('kills', 100), ('repeats', 20), ('strangers', 2000)):
        parser.add_argument(f'--{name}', type=int, default=number, help=(PARTS[name].__doc__ or '').splitlines()[0])
    parser.add_argument('--seed', type=positive_int, default=1, help='of what is damaged and when is killed')
    parser.add_argument('--folder', default='.faults', help='where the trials take place')
    parser.add_argument('--again', action='store_true', help='do again what went wrong')
    parser.add_argument('--write', action='store_true', help='put the table into docs/reliability.md')
    return parser


def main() -> int:
    """Do the trials that are not done yet, and print the table."""
    args = parser().parse_args()
    os.makedirs(args.folder, exist_ok=True)
    folder = os.path.abspath(args.folder)
    journal = os.path.join(folder, f'trials-{args.seed}.jsonl')
    done = read(journal)
    if args.again:
        done = {key: result for key, result in done.items() if result['outcome'] in GOOD}
    wanted = [(part, number) for part in PARTS for number in range(getattr(args, part))]
    templates, commit = Templates(folder), _commit()
    with commands.official(folder), open(journal, 'a') as file:
        for part, number in tqdm(wanted, unit=' trials', disable=None):
            if f'{part} {number}' in done:
                continue
            result = PARTS[part](templates, Random(f'{args.seed} {part} {number}')) | {'commit': commit}
            done[f'{part} {number}'] = result
            file.write(json.dumps({'trial': f'{part} {number}', **result}) + '\n')
            file.flush()
            if result['outcome'] not in GOOD:
                tqdm.write(f'{part} {number}: {result["outcome"]}: {result["what"]}\n    {result["said"][-300:]}')
    results = [done[f'{part} {number}'] for part, number in wanted]
    text = f'{table(results)}\n\n{source(results, args.seed)}'
    print(text)
    if args.write:
        write_page(text)
    return int(any(result['outcome'] not in GOOD for result in results))


def read(journal: str) -> dict[str, dict]:
    """{trial: result} of a journal; of a trial done again, the last."""
    if not os.path.exists(journal):
        return {}
    with open(journal) as file:
        return {result['trial']: result for result in map(json.loads, file)}


if __name__ == '__main__':
    run(main)
