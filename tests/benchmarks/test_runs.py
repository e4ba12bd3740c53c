"""Whole runs."""

import os

from benchmarks import runs
from benchmarks.rounds import Setting


def test_a_run_to_its_first_step_ends_there(tmp_path):
    assert 0.5 < runs._seconds_to_first_step(Setting('no python'), str(tmp_path), 'digits') < 120
    assert 'digits-train.rec' in os.listdir(tmp_path)


def test_the_seconds_of_an_epoch_are_those_between_its_lines(tmp_path):
    (tmp_path / 'train.log').write_text(
        '2026-11-25 10:00:00,000 start\n'
        '2026-11-25 10:00:01,500 Epoch[0] Change learning rate to 0.1\n'
        '2026-11-25 10:00:30,000 Epoch[0] Train-accuracy=0.1\n'
        '2026-11-25 10:01:02,000 finished: test error 90.00 %\n'
    )
    assert runs._logged_seconds(tmp_path / 'train.log') == 60.5
