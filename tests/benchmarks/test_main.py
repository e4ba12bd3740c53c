"""How results are shown and written, and what becomes of a benchmark that this machine cannot run."""

import sys

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.remote import SubjectEnded
from benchmarks.rounds import Row


def test_results_are_written_as_csv_and_as_a_table(tmp_path):
    benchmarks.write(
        [
            Row('fast / PyTorch', 1234.5, 1000.0, 1.2345, 1.0),
            Row('slow', 0.04567, None, 0.5, 0.97),
            Row('exponent', 0.987),
            Row('bfloat16', target=1.0, problem='it needs another CPU'),
        ],
        'a machine',
        str(tmp_path / 'results'),
    )
    assert (tmp_path / 'results.csv').read_text() == (
        'name,ours,peer,ratio,target\nfast / PyTorch,1234,1000,1.234,1\nslow,0.04567,,0.5,0.97\nexponent,0.987,,,\n'
        'bfloat16,,,,1\n'
    )
    assert (tmp_path / 'results.md').read_text() == (
        '*a machine.*\n\n| ours / peer | ours | peer | ratio | target | |\n|---|---|---|---|---|---|\n'
        '| fast / PyTorch | 1,234 | 1,000 | 1.23 | 1.00 | met |\n'
        '| slow | 0.0457 | – | 0.50 | 0.97 | **missed** |\n'
        '| exponent | 0.987 | – | – | – |  |\n'
        '| bfloat16 | – | – | – | 1.00 | not measured: it needs another CPU |\n'
    )


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
    assert (tmp_path / 'results.csv').read_text() == (
        'name,ours,peer,ratio,target\nbefore,1,1,1,1\nfirst,,,,\nafter,2,1,2,1\n'
    )


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
