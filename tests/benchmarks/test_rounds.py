"""Rounds, and the rows that come from them."""

import sys

import pytest

from benchmarks import rounds
from benchmarks.rounds import Row, Setting


class Rival:
    """Counts its calls in a list that all rivals share."""

    def __init__(self, name, pace, calls):
        self.name, self.pace, self.calls = name, pace, calls

    def seconds(self, steps):
        self.calls.append((self.name, steps))
        return self.pace


def test_rivals_work_in_turn_for_a_second_each_and_the_first_round_does_not_count():
    calls = []
    found = rounds.race({'ours': Rival('ours', 0.1, calls), 'peer': Rival('peer', 0.5, calls)}, 3)
    assert found == {'ours': [0.1] * 3, 'peer': [0.5] * 3}
    assert calls[-8:] == [('ours', 10), ('peer', 2)] * 4


def test_a_step_of_more_than_a_second_is_made_once_a_round():
    calls = []
    assert rounds.race({'slow': Rival('slow', 7.0, calls)}, 1) == {'slow': [7.0]}
    assert calls[-1] == ('slow', 1)


def test_the_ratio_is_the_median_of_the_rounds_and_larger_where_ours_is_faster():
    row = rounds.compare('x', {'ours': [1.0, 2.0, 4.0], 'peer': [2.0, 6.0, 4.0]}, 'peer', 1.0, images=64)
    assert row == Row('x', 32.0, 16.0, 2.0, 1.0)


def test_a_peer_that_computes_something_else_is_not_timed():
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


def test_a_setting_starts_subjects_on_its_first_gpu(monkeypatch):
    monkeypatch.setattr(rounds, 'Remote', lambda *words, **options: (words, options))
    setting = Setting('torch/python', '1,2')
    assert setting.ours('training', {'A': 'b'}, depth=8) == (
        (sys.executable, 'mxnet_subjects', 'training', {**rounds.THREADS, 'A': 'b'}),
        {'gpus': '1', 'depth': 8},
    )
    assert setting.torch('decoding') == (('torch/python', 'torch_subjects', 'decoding', rounds.THREADS), {'gpus': '1'})
    assert setting.on_cpu.torch('decoding') == (('torch/python', 'torch_subjects', 'decoding', rounds.THREADS), {})
