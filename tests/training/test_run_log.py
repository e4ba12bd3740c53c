"""train.log and the terminal beside it."""

import os
import signal

from common.signals import StopRequest
from tests.training.configs import config, read
from training.run_writer import RunDirectory


def test_the_log_is_a_file_and_standard_output(path, capsys):
    directory = RunDirectory(path, config())
    directory.logger.info('an epoch')
    directory.logger.debug('a step')
    lines = read(path, 'train.log').splitlines()
    assert [line.partition(',')[2][4:] for line in lines] == ['an epoch', 'a step']  # behind date and time
    assert capsys.readouterr().out.splitlines() == lines


def test_a_message_is_one_line_of_the_log(path, capsys):
    RunDirectory(path, config()).logger.info('a name with\na line and \x1b[31mcolor')
    for text in (read(path, 'train.log'), capsys.readouterr().out):
        assert len(text.splitlines()) == 1 and text.endswith(r' a name with\na line and \x1b[31mcolor' + '\n')


def test_on_a_terminal_where_a_bar_shows_them_steps_are_in_the_file_alone(path, monkeypatch, capsys):
    monkeypatch.setattr('sys.stderr.isatty', lambda: True)
    directory = RunDirectory(path, config())
    directory.logger.info('an epoch')
    directory.logger.debug('a step')
    assert len(read(path, 'train.log').splitlines()) == 2 and capsys.readouterr().out.endswith('an epoch\n')


def test_the_reader_of_the_output_that_has_seen_enough_asks_for_the_end(path, monkeypatch):
    """As `| head -1` leaves it."""
    directory, (read_end, write_end) = RunDirectory(path, config()), os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, 'w') as closed, monkeypatch.context() as patched, StopRequest() as stop:
        patched.setattr('sys.stdout', closed)
        directory.logger.info('an epoch')
        directory.logger.info('another')
        assert stop.signal == signal.SIGTERM


def test_a_full_disk_on_standard_output_is_said_once_in_the_log(path, monkeypatch):
    directory = RunDirectory(path, config())
    with open('/dev/full', 'w') as full, monkeypatch.context() as patched, StopRequest() as stop:
        patched.setattr('sys.stdout', full)
        for epoch in range(3):
            directory.logger.info('epoch %d', epoch)
        assert stop.signal is None
    with open(os.path.join(path, 'train.log')) as file:
        lines = [line.split(' ', 2)[2].strip() for line in file]
    assert lines == [
        'epoch 0',
        'standard output is gone (No space left on device): train.log goes on',
        'epoch 1',
        'epoch 2',
    ]
