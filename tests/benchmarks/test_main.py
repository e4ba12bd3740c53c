"""How results are shown and written, and what becomes of a benchmark that this machine cannot run."""

import sys

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.remote import SubjectEnded
from benchmarks.rounds import Row

HEAD = 'processor,conditions,name,ours,peer,ratio,target,problem\n'


def test_results_are_written_as_csv_and_as_a_table(tmp_path):
    rows = [
        Row('fast / PyTorch', 1234.5, 1000.0, 1.2345, 1.0),
        Row('slow', 0.04567, None, 0.5, 0.97),
        Row('exponent', 0.987),
        Row('bfloat16', target=1.0, problem='it needs another CPU'),
    ]
    benchmarks.write(benchmarks.Block('a chip', 'today', rows), str(tmp_path / 'results'))
    assert (tmp_path / 'results.csv').read_text() == HEAD + (
        'a chip,today,fast / PyTorch,1234,1000,1.234,1,\na chip,today,slow,0.04567,,0.5,0.97,\n'
        'a chip,today,exponent,0.987,,,,\na chip,today,bfloat16,,,,1,it needs another CPU\n'
    )
    assert (tmp_path / 'results.md').read_text() == (
        '*a chip; today.*\n\n| ours / peer | ours | peer | ratio | target | |\n|---|---|---|---|---|---|\n'
        '| fast / PyTorch | 1,234 | 1,000 | 1.23 | 1.00 | met |\n'
        '| slow | 0.0457 | – | 0.50 | 0.97 | **missed** |\n'
        '| exponent | 0.987 | – | – | – |  |\n'
        '| bfloat16 | – | – | – | 1.00 | not measured: it needs another CPU |\n'
    )


def test_every_kind_of_processor_keeps_a_block_of_its_own(tmp_path):
    path = str(tmp_path / 'results')
    for chip, day, ours in (('b', 'monday', 1.0), ('a', 'tuesday', 2.0), ('b', 'friday', 3.0)):
        benchmarks.write(benchmarks.Block(chip, day, [Row('x', ours), Row('y', problem='none')]), path)
    assert (tmp_path / 'results.csv').read_text() == HEAD + (
        'a,tuesday,x,2,,,,\na,tuesday,y,,,,,none\nb,friday,x,3,,,,\nb,friday,y,,,,,none\n'
    )
    assert (tmp_path / 'results.md').read_text().count('| ours / peer |') == 2


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
