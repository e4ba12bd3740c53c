"""compare.py as a user runs it."""

import csv
import io
import os
from pathlib import Path
import re
import sys

import numpy as np
import pytest

import compare
from paper import report
from tests.conftest import ROOT, write_run
from tests.paper.conftest import last_row
from training.run_directory import read_config


@pytest.fixture
def printed(monkeypatch, capsys, committed):
    """Run compare.py beside the committed logs: what it prints."""

    def run(*words):
        monkeypatch.chdir(committed)
        monkeypatch.setattr(sys, 'argv', ['compare.py', *map(str, words)])
        compare.main()
        return capsys.readouterr().out

    return run


def difference(run_dir):
    """From the paper's 400 epochs over two devices, of a run that had 8 over one, or began as the paper's."""
    done, devices = int(last_row(run_dir)['epoch']), len(read_config(run_dir)['environment']['devices'])
    if devices == 1:
        return f'{done} of 400 epochs; 1 device instead of 2'
    return f'stopped after {done} of 400 epochs' if done < 400 else ''


def test_the_committed_runs_are_in_table_4(printed):
    rows = [row for row in csv.DictReader(io.StringIO(printed(4, '--format', 'csv'))) if row['runs']]
    assert {row['column'] for row in rows} >= {'CIFAR-10 DFN-MR'}
    for row in rows:
        runs = [os.path.join(ROOT, run) for run in row['runs'].split('; ')]
        errors = [float(last_row(run)['test_error']) for run in runs]
        learned = [error for error in errors if error <= 50]  # the paper prints the others as "fail"
        assert int(row['n']) == len(learned) and int(row['failed']) == len(errors) - len(learned)
        assert not learned or float(row['here']) == pytest.approx(np.mean(learned), abs=1e-4)
        assert {row['differences']} == {difference(run) for run in runs}


def test_the_readme_has_the_numbers_of_table_4(printed):
    """Its table has lines of network, parameters, the paper's error and ours; the first is of Table 2."""
    page = Path(ROOT, 'README.md').read_text(encoding='utf-8')
    text = printed(4)
    rows = re.findall(
        r'^\| \S+ \d+.* \| ([\d.]+M) \| \**([\d.]+ ± [\d.]+)\** \(5\) \| ([\d.]+(?: ± [\d.]+)? \(\d\)) \|', page, re.M
    )
    assert len(rows) >= 3
    for row in rows:
        assert all(number in text for number in row), row
    (lll,) = re.findall(r'^\| Component LLL.* \| ([\d.]+) \| ([\d.]+ \(1\)) \|', page, re.M)
    assert all(number in printed(2) for number in lll)


def test_the_results_show_what_compare_prints(printed, monkeypatch):
    """docs/results.md: its first table as text, whose long note is cut short there."""
    monkeypatch.setenv('COLUMNS', '160')
    lines = printed(4).splitlines()
    page = Path(ROOT, 'docs', 'results.md').read_text(encoding='utf-8').partition('    python compare.py 4\n')[2]
    shown = [line for line in page.split('```\n')[1].splitlines() if line]
    assert len(shown) >= 6 and '15.41 ± 0.29 (2)' in '\n'.join(shown)
    for line in shown:
        cut = line.endswith('…') and any(other.startswith(line[:-1]) for other in lines)
        assert line in lines or cut, line


def test_the_report_is_written_where_out_says(printed, monkeypatch, tmp_path):
    monkeypatch.setattr(report, 'page', lambda log_dir: f'the page of {log_dir}')
    path = tmp_path / 'new' / 'report.html'
    assert printed('report', '--log-dir', tmp_path, '--out', path).strip() == str(path)
    assert path.read_text() == f'the page of {tmp_path}'


@pytest.mark.parametrize(
    'words, expected',
    [
        ([8], "invalid choice: '8'"),
        ([4, '--log-dir', 'nowhere'], 'there is no such folder'),
        (['report', '--log-dir', 'nowhere'], 'there is no such folder'),
        (['report', '--format', 'csv'], '--format is for tables'),
        ([4, '--out', 'x.html'], '--out is for the report'),
    ],
)
def test_mistakes_are_one_line(mistake, words, expected):
    assert expected in mistake(compare.main, 'compare.py', *words)


@pytest.mark.parametrize(
    'name, damaged',
    [
        ('metrics.csv', 'epoch,test_error\n1,x\n'),
        ('metrics.csv', 'epoch,test_error\n1,2,3\n'),
        ('config.json', '{'),
        ('config.json', '{"options": [], "environment": {}, "outcome": null}'),
        ('config.json', '{"options": {"epochs": 1}, "environment": {}, "outcome": null}'),
    ],
)
def test_a_damaged_run_is_named_in_one_line(mistake, logs, name, damaged):
    Path(logs, 'cifar10', 'dfn-mr-14', 'seed1', name).write_text(damaged)
    assert 'is damaged' in mistake(compare.main, 'compare.py', 4, '--log-dir', logs)


def test_a_run_of_gluoncvs_network_is_in_its_row_of_table_5_and_marked(printed, tmp_path, monkeypatch):
    monkeypatch.setenv('COLUMNS', '160')
    write_run(tmp_path, ['--net', 'gluoncv:cifar_wideresnet28_10', '--dataset', 'cifar100'], [20.25])
    text = printed(5, '--log-dir', tmp_path)
    line = next(line for line in text.splitlines() if '[20.25 (1) a]' in line)  # the line `best` is below
    assert "[a] GluonCV's cifar_wideresnet28_10, trained here" in text
    row = text.splitlines()[text.splitlines().index(line) - 1]
    assert row.split() == ['Wide', 'ResNet', '[38],', '28', 'paper', '28', '36.5M', '4.17', '20.50', '-']


def test_what_no_table_shows_cannot_fail_one(printed, tmp_path):
    """Another program's config.json, where the run of a data set of one's own would be."""
    place = tmp_path / 'wandb' / 'latest' / 'files'
    place.mkdir(parents=True)
    (place / 'config.json').write_text('{}')
    assert 'Table 7' in printed(7, '--log-dir', tmp_path)
