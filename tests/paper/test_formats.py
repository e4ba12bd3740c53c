"""A table as text, Markdown, CSV and HTML."""

import csv
import io
import re

import numpy as np
import pytest

from paper.formats import as_csv, as_html, as_markdown, as_text
from paper.tables import MEANS_DIFFER, OUTSIDE_SPREAD, table
from tests.paper.conftest import Cells, write_dfn_mr, write_logs


@pytest.fixture(scope='module')
def ours(tmp_path_factory):
    """Table 4 with the runs of write_logs."""
    return table(4, write_logs(tmp_path_factory.mktemp('logs')))


def test_a_mean_has_the_runs_of_the_paper_alone(ours):
    text = as_text(ours)
    for errors in ([6.4, 6.6, 6.5], [6.0, 6.6, 6.1]):  # of the last epoch, and of the best
        assert f'{np.mean(errors):.2f} ± {np.std(errors):.2f} (3)' in text


@pytest.mark.parametrize(
    'shown, note',
    [
        ('15.00 (1)', '8 of 400 epochs, 1 device instead of 2'),
        ('30.50 ± 0.50 (2)', 'stopped after 2 of 400 epochs'),
        ('5.00 (1)', '--pad-value mean'),
    ],
)
def test_other_runs_have_the_letter_of_a_note(ours, shown, note):
    text = as_text(ours)
    letter = re.search(rf'{re.escape("[" + shown)} (\w)\]', text).group(1)
    assert re.search(rf'^\[{letter}\] {re.escape(note)};', text, re.M), text


def test_csv_has_a_line_for_each_group_of_runs(ours):
    rows = list(csv.DictReader(io.StringIO(as_csv(ours))))
    own = [row for row in rows if (row['row'], row['column']) == ('26/14', 'CIFAR-10 DFN-MR')]
    assert len(own) == 10 and {row['printed'] for row in own} == {'6.48 ± 0.04'}
    assert float(own[0]['here']) == pytest.approx(6.5) and own[0]['n'] == '3' and own[0]['differences'] == ''
    assert len(rows) == 8 * 11 + 9


def test_markdown_and_html_have_the_same_numbers(ours):
    markdown = as_markdown(ours).splitlines()
    assert len({line.count('|') for line in markdown if line.startswith('|')}) == 1
    assert '6.48 ± 0.04<br>**6.50 ± 0.08 (3); [' in '\n'.join(markdown)
    rows = Cells(as_html(ours)).rows
    assert [len(row) for row in rows] == [1 + 2 * 11] * 9 and '6.50 ± 0.08 (3)' in rows[1][10]


def test_a_divergence_is_no_number(tmp_path):
    for seed, status, error in ((1, 'finished', 6.4), (2, 'finished', 6.6), (3, 'not finite', 12.0)):
        write_dfn_mr(tmp_path, '--seed', seed, errors=[error], status=status)
    ours = table(4, str(tmp_path))
    assert 'data-value="6.5"' in as_html(ours) and 'inf' not in as_csv(ours)


@pytest.mark.parametrize('errors, reason', [([7.4, 7.5, 7.6], MEANS_DIFFER), ([7.5], OUTSIDE_SPREAD)])
def test_a_note_says_by_which_test_a_cell_is_marked(tmp_path, errors, reason):
    for seed, error in enumerate(errors, 1):
        write_dfn_mr(tmp_path, '--seed', seed, errors=[error])
    text = ' '.join(as_text(table(4, str(tmp_path))).split())
    assert f'≠ {reason}' in text and '≠ 7.50' in text


def test_a_table_without_runs_says_how_to_make_them(tmp_path):
    assert 'no run of it yet: python reproduce.py table1' in as_text(table(1, str(tmp_path)))
