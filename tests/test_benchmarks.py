"""How benchmarks are run and shown; what they measure is no test's matter."""
import sys

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import rounds
from benchmarks.rounds import Row, Setting
from benchmarks.subject import Remote


class Rival:
    """Counts its calls in a list that all rivals share."""

    def __init__(self, name, pace, calls):
        self.name, self.pace, self.calls = name, pace, calls

    def seconds(self, steps):
        self.calls.append((self.name, steps))
        return self.pace


def test_rivals_take_turns_for_as_long_as_one_another_and_the_first_round_does_not_count():
    calls = []
    found = rounds.race({'ours': Rival('ours', 0.1, calls), 'peer': Rival('peer', 0.5, calls)}, 3)
    assert found == {'ours': [0.1] * 3, 'peer': [0.5] * 3}
    assert calls[-8:] == [('ours', 10), ('peer', 2)] * 4  # a second each
    slow = rounds.race({'slow': Rival('slow', 7.0, calls)}, 1)
    assert slow == {'slow': [7.0]} and calls[-1] == ('slow', 1)


def test_the_ratio_is_the_median_of_the_rounds_and_larger_where_ours_is_faster():
    row = rounds.faster('x', {'ours': [1.0, 2.0, 4.0], 'peer': [2.0, 6.0, 4.0]}, 'peer', 1.0, units=64)
    assert row == Row('x', 32.0, 16.0, 2.0, 1.0)


def test_a_peer_that_computes_something_else_is_not_timed(tmp_path):
    class Ours:
        def save(self, path):
            open(path, 'w').close()

    class Peer:
        def __init__(self, difference):
            self.difference = lambda path: difference

    rounds.check_same(Ours(), Peer(1e-6))
    for difference in (0.1, float('nan')):
        with pytest.raises(AssertionError, match='differ'):
            rounds.check_same(Ours(), Peer(difference))


def test_a_subject_in_a_process_of_its_own():
    with Remote(sys.executable, 'subjects', 'training', '--net', 'plain', '--depth', 8, '--batch', 2) as subject:
        assert 0 < subject.seconds(2) < 60
        assert 0.05 < subject.peak_memory() < 5


def test_results_are_written_as_csv_and_as_a_table(tmp_path):
    benchmarks.write([Row('fast / PyTorch', 1234.5, 1000.0, 1.2345, 1.0), Row('slow', 0.04567, None, 0.5, 0.97),
                      Row('exponent', 0.987, None, None, None)], 'a machine', str(tmp_path / 'results'))
    assert (tmp_path / 'results.csv').read_text() == (
        'name,ours,peer,ratio,target\nfast / PyTorch,1234,1000,1.234,1\nslow,0.04567,,0.5,0.97\nexponent,0.987,,,\n')
    assert (tmp_path / 'results.md').read_text() == (
        '*a machine.*\n\n| ours / peer | ours | peer | ratio | target | |\n|---|---|---|---|---|---|\n'
        '| fast / PyTorch | 1,234 | 1,000 | 1.23 | 1.00 | met |\n'
        '| slow | 0.0457 | – | 0.50 | 0.97 | **missed** |\n'
        '| exponent | 0.987 | – | – | – |  |\n')


def test_mistakes(mistake, tmp_path):
    assert 'there is no benchmark trainin: choose from training, gluoncv' in mistake(
        benchmarks.main, 'benchmarks', 'trainin')
    assert 'run `make bench`' in mistake(benchmarks.main, 'benchmarks', 'training', '--torch', tmp_path / 'no')


def test_every_benchmark_says_what_it_measures():
    assert all(measure.__doc__ for measure in benchmarks.BENCHMARKS.values())
    assert Setting('python').devices == [] and Setting('python', '1,2').devices == ['--gpus', '1']
