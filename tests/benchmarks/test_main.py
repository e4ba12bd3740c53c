"""What becomes of benchmarks that break off, and of the names on the command line."""

import sys

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.remote import SubjectEnded
from benchmarks.rounds import Row


@pytest.fixture
def measure(monkeypatch, tmp_path):
    """Run benchmarks that stand for the real ones: the exit status."""

    def run(*words, **functions):
        monkeypatch.setattr(benchmarks, 'BENCHMARKS', functions)
        monkeypatch.setattr(benchmarks, 'RESULTS', str(tmp_path / 'results'))
        monkeypatch.setattr(sys, 'argv', ['benchmarks', '--torch', sys.executable, *words])
        return benchmarks.main()

    return run


def breaks_off(setting):
    yield Row('before', 1.0, 1.0, 1.0, 1.0)
    raise SubjectEnded('training ended with status 1')


def works(setting):
    yield Row('after', 2.0, 1.0, 2.0, 1.0)


def test_the_rest_goes_on_after_a_benchmark_that_breaks_off(measure, capsys, tmp_path):
    assert measure(first=breaks_off, second=works) == 1
    out, err = capsys.readouterr()
    assert 'SubjectEnded: training ended with status 1\n' in err
    assert '| first | – | – | – | – | not measured: the benchmark broke off |\n' in out
    names = [line.split(',')[-6:] for line in (tmp_path / 'results.csv').read_text().splitlines()[1:]]
    assert names == [
        ['before', '1', '1', '1', '1', ''],
        ['first', '', '', '', '', 'the benchmark broke off'],
        ['after', '2', '1', '2', '1', ''],
    ]


def test_some_of_the_benchmarks_are_shown_and_not_written(measure, capsys, tmp_path):
    assert measure('second', first=breaks_off, second=works) == 0
    assert '| after | 2 | 1 | 2.00 | 1.00 | met |\n' in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_mistakes(mistake, tmp_path):
    assert 'there is no benchmark trainin: choose from training, gluoncv' in mistake(
        benchmarks.main, 'benchmarks', 'trainin'
    )
    assert 'run `make bench`' in mistake(benchmarks.main, 'benchmarks', 'training', '--torch', tmp_path / 'no')


def test_help_says_what_every_benchmark_measures():
    text = benchmarks.parser().format_help()
    for name, function in benchmarks.BENCHMARKS.items():
        assert f'\n  {name} ' in text and function.__doc__.splitlines()[0] in text
