"""The campaign: how an end is judged, that a wrong result is seen, and the table."""

import os
import signal
import sys
import time

import pytest

from common.errors import UserError
from tests.faults import campaign, commands, trials
from tests.faults.commands import Command


def ended(main, **options):
    """A function, ended in a fork."""
    return trials.forked(main, 'test', **options)


def refuse():
    print('warning: it is late', file=sys.stderr)
    raise UserError('no')


def say_two_lines():
    print('no', file=sys.stderr)
    raise UserError('no')


@pytest.mark.parametrize(
    'main, kind',
    [
        (lambda: print('well'), trials.DONE),
        (refuse, trials.ONE_LINE),
        (say_two_lines, trials.TRACEBACK),
        (lambda: [][0], trials.TRACEBACK),
        (lambda: os.kill(os.getpid(), signal.SIGFPE), trials.CRASH),
        (lambda: bytearray(trials.MEMORY + 1), trials.TRACEBACK),
        (lambda: time.sleep(60), trials.HANG),
    ],
)
def test_each_end_has_its_kind(main, kind):
    assert ended(main, seconds=60 if kind != trials.HANG else 0.5).kind == kind


def test_a_kill_is_no_hang():
    assert ended(lambda: time.sleep(60), kill_after=0.1).status == -signal.SIGKILL


# A command that believes its file.
def write_number(folder, seed):
    with open(os.path.join(folder, 'number.txt'), 'w') as file:
        file.write('7' * 64)


def print_number():
    with open('number.txt') as file:
        print(file.read())


def test_another_result_is_seen(tmp_path, monkeypatch):
    files = {'number.txt': 'number.txt'}
    command = Command(write_number, print_number, ('print',), commands.said, files)
    monkeypatch.setattr(campaign, 'COMMANDS', {'print': command})
    templates = campaign.Templates(str(tmp_path))
    results = [campaign.damage(templates, campaign.Random(number)) for number in range(25)]
    outcomes = {result['outcome'] for result in results}
    assert outcomes == {campaign.OTHER, campaign.SAME, trials.TRACEBACK}  # replaced by an equal one; deleted
    changed = [result for result in results if 'digit' in result['what']]
    assert changed and all(result['outcome'] == campaign.OTHER for result in changed)


def test_what_a_kill_leaves_is_seen(tmp_path):
    os.makedirs(tmp_path / 'run' / '.unfinished-checkpoint')
    (tmp_path / 'config.json.tmp').write_text('')
    (tmp_path / 'config.json').write_text('')
    assert sorted(campaign.half_written(str(tmp_path))) == ['.unfinished-checkpoint', 'config.json.tmp']


def test_the_table_counts_what_went_wrong():
    outcomes = [campaign.SAME, campaign.SAME, campaign.HEALED, trials.ONE_LINE, campaign.OTHER, trials.HANG]
    text = campaign.table([{'fault': 'a.json', 'outcome': outcome} for outcome in outcomes])
    assert text.splitlines()[-1] == '| a.json | 6 | 2 | 1 | 1 | 2 |'


@pytest.mark.slow
def test_a_small_campaign_goes_well(command, tmp_path):
    words = ('-m', 'tests.faults.campaign', '--damages', 6, '--kills', 2, '--repeats', 1, '--strangers', 2)
    for _ in range(2):  # the second time, all of it is done already
        _, out, _ = command(*words, '--folder', tmp_path, check=0)
        assert '| killed: ' in out
