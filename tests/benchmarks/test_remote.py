"""Subjects in processes of their own."""

import subprocess
import sys

import pytest

from benchmarks.remote import Remote, SubjectEnded, mean_seconds, peak_memory
from tests.conftest import ROOT

LOUD = """
from benchmarks.remote import serve
class Loud:
    def __init__(self, word):
        print('made')
        self.word = word
    def repeat(self, times):
        print('asked')
        return [self.word] * times
serve({'loud': Loud})
"""


def test_a_subject_in_a_process_of_its_own():
    with Remote(
        sys.executable, 'mxnet_subjects', 'training', {'OMP_NUM_THREADS': '1'}, net='plain', depth=8, batch=2
    ) as subject:
        assert 0 < subject.seconds(2) < 60
        assert 0.05 < subject.peak_memory() < 5


def test_a_subject_that_ends_is_named(capfd):
    with Remote(sys.executable, 'torch_subjects', 'no such subject', depth=8) as subject:
        with pytest.raises(SubjectEnded, match='torch_subjects no such subject .*8.* ended with status 1'):
            subject.seconds(1)
        with pytest.raises(SubjectEnded):  # nobody reads the question
            subject.seconds(1)
    assert 'Traceback' in capfd.readouterr().err


def test_what_a_subject_prints_does_not_get_into_the_answers():
    done = subprocess.run(
        [sys.executable, '-c', LOUD, 'loud', '{"word": "a"}'],
        cwd=ROOT,
        text=True,
        input='["repeat", [2]]\n["repeat", [0]]\n',
        capture_output=True,
    )
    assert done.stdout == '["a", "a"]\n[]\n'
    assert done.stderr.split() == ['made', 'asked', 'asked']


def test_mean_seconds_waits_for_what_was_queued_before_and_after():
    calls = []
    assert mean_seconds(lambda: calls.append('step'), 3, lambda: calls.append('wait')) < 1
    assert calls == ['wait', 'step', 'step', 'step', 'wait']


def test_peak_memory_is_in_gigabytes():
    assert 0.05 < peak_memory() < 20
