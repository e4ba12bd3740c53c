"""A table beside the logs: letters, marks, and computed numbers."""

import pytest

from paper.tables import MEANS_DIFFER, NOT_AS_PRINTED, ONE_FAILED, OUTSIDE_SPREAD, table
from tests.conftest import write_run
from tests.paper.conftest import write_dfn_mr
import train_imagenet


def dfn_mr_14(log_dir):
    """The cell of write_dfn_mr's runs; the paper's 6.48 ± 0.04."""
    return table(4, str(log_dir)).rows['26/14']['CIFAR-10 DFN-MR']


@pytest.mark.parametrize(
    'errors, reason',
    [
        ([6.40, 6.50, 6.60], ''),
        ([7.40, 7.50, 7.60], MEANS_DIFFER),
        ([6.62, 6.70], ''),  # p = 0.09, though more than twice the standard error away
        ([6.61], ''),
        ([6.62], OUTSIDE_SPREAD),
        ([60.0, 70.0], ONE_FAILED),
    ],
)
def test_what_chance_does_not_explain_is_marked(tmp_path, errors, reason):
    for seed, error in enumerate(errors, 1):
        write_dfn_mr(tmp_path, '--seed', seed, errors=[error])
    cell = dfn_mr_14(tmp_path)
    assert cell.reason == reason and cell.disagrees is bool(reason) and cell.last.startswith('≠ ') is bool(reason)
    assert ('fail (2)' in cell.last) == (reason == ONE_FAILED)


def test_runs_that_are_not_as_in_the_paper_are_not_tested(tmp_path):
    write_dfn_mr(tmp_path, '--epochs', 8, errors=[15.0])
    assert dfn_mr_14(tmp_path).last == '[15.00 (1) a]'


def test_a_run_that_diverged_is_counted_and_hides_no_other(tmp_path):
    for seed, status, error in ((1, 'finished', 6.4), (2, 'finished', 6.6), (3, 'not finite', 12.0)):
        write_dfn_mr(tmp_path, '--seed', seed, errors=[error], status=status)
    cell = dfn_mr_14(tmp_path)
    assert cell.last == '≠ 6.50 ± 0.10 (2), fail (1)' and cell.reason == ONE_FAILED


def test_a_fail_of_the_paper_is_one_here(tmp_path):
    for seed, status, error in ((1, 'finished', 90.0), (2, 'not finite', 12.0)):
        write_run(tmp_path, ['--net', 'plain', '--depth', 98, '--seed', seed], errors=[error], status=status)
    cell = table(4, str(tmp_path)).rows['98/50']['CIFAR-10 Plain']
    assert cell.paper.fail and cell.last == 'fail (2)' and not cell.disagrees


def test_parameters_and_depths_are_computed_and_marked_where_they_are_not_as_printed(tmp_path):
    """The counts are the released definitions'; Table 4's rounded column differs from them in five rows."""
    params = {row: cells['Params.'] for row, cells in table(4, str(tmp_path)).rows.items()}
    assert params['26/14'].computed == '0.35M to 0.37M' and params['194/98'].computed == '3.07M to 3.09M'
    marked = [row for row, cell in params.items() if cell.reason == NOT_AS_PRINTED]
    assert marked == ['26/14', '38/20', '50/26', '62/32', '74/38']
    wide = table(5, str(tmp_path)).rows
    assert wide['DFN-MR3 (ours), 50']['Params'].last == '≠ 24.15M'
    assert wide['DFN-MR2 (ours), 32']['Params'].last == '14.85M'
    assert [wide[row]['Depth'].last for row in wide if 'ours' in row] == ['56', '32', '50']
    assert not any(cell.disagrees for cell in table(1, str(tmp_path)).cells)


def test_imagenets_tables_read_top_1_and_top_5_of_both_sets(tmp_path):
    write_run(
        tmp_path,
        ['--net', 'dfn1', '--schedule', 'appendix', '--depth', 50],
        errors=[60, 25.5],
        devices=4,
        script=train_imagenet,
        train_error=[70, 18.5],
        test_top5_error=[30, 8.5],
        train_top5_error=[40, 5.5],
    )
    # of another cell
    write_run(tmp_path, ['--net', 'dfn1', '--depth', 50], errors=[1, 1], devices=8, script=train_imagenet)
    rows = table(7, str(tmp_path)).rows
    assert [cells['DFN1'].last for cells in rows.values()] == ['25.50 (1)', '8.50 (1)', '18.50 (1)', '5.50 (1)']
