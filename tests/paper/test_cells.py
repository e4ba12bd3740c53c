"""The tables as CSV: every cell is there, and they say what the paper's text says about them."""

import re

import pytest

import paper
from symbols.ensemble import COMPONENTS


def table(number):
    """{(row, column): Cell}."""
    cells = paper.cells(number)
    found = {(cell.row, cell.column): cell for cell in cells}
    assert len(found) == len(cells)
    return found


@pytest.mark.parametrize(
    'number, rows, columns', [(1, 10, 11), (2, 14, 9), (3, 7, 9), (4, 8, 11), (5, 27, 5), (6, 5, 3), (7, 4, 4)]
)
def test_a_table_has_all_its_cells_and_their_numbers(number, rows, columns):
    cells = table(number)
    assert (len({row for row, _ in cells}), len({column for _, column in cells})) == (rows, columns)
    assert len(cells) == rows * columns
    for cell in cells.values():
        assert cell.source == f'arXiv:1611.07718v1, Table {number}'
        printed = re.findall(r'\d+(?:\.\d+)?', cell.printed)
        values = [value for value in (cell.value, cell.std) if value is not None]
        assert printed == [
            f'{value:.{len(text.partition(".")[2])}f}' for text, value in zip(printed, values, strict=True)
        ]
        assert cell.fail == (cell.printed == 'fail') and cell.printed.endswith(cell.arrow)


def test_table_1_is_as_section_3_1_describes_it():
    """The ensemble is better than the DFN "for the depth being over 20"; by the table, at 20 too."""
    one = table(1)
    depths = {row for row, _ in one}
    better = {row for row in depths if one[row, 'c. ensemble'].value < one[row, 'DFN (t. ensemble)'].value}
    assert better == depths - {'14'}


def test_table_2_is_as_its_caption_describes_it():
    """Sharing the weights hurts the shallow four and the whole, and helps the deep four."""
    two = table(2)
    for (row, column), cell in two.items():
        if row.endswith('W/'):
            without = two[f'{row}O', column]
            hurt = column in ('LLL', 'RLL', 'LRL', 'LLR', 'Overall')
            assert cell.arrow in ('↓' if hurt else '↑', '')
            assert (cell.value > (100 if without.fail else without.value)) is hurt
    assert [key for key, cell in two.items() if key[0].endswith('W/') and not cell.arrow] == [('38 W/', 'RLR')]


def test_table_3_is_as_its_caption_describes_it():
    """Leaving out LLR, RLR or LRR does the most harm, except at depth 26; leaving out RRR does less."""
    three = table(3)
    for depth in {row for row, _ in three} - {'26', '62', '74'}:
        worst = max(COMPONENTS, key=lambda path, depth=depth: three[depth, f'W/O {path}'].value)
        assert worst in ('LLR', 'RLR', 'LRR')


def test_the_same_ensembles_are_in_three_tables():
    """Table 1 has another number for one of them, which is noted."""
    one, two, three = map(table, (1, 2, 3))
    for depth in {row for row, _ in three}:
        overall = three[depth, 'Overall'].value
        assert overall == two[f'{depth} W/', 'Overall'].value
        assert one[depth, 'c. ensemble'].value == (10.1 if depth == '110' else overall)
    assert '9.61' in one['110', 'c. ensemble'].note


def test_table_4_is_as_section_6_3_describes_it():
    """DFN-MR is best everywhere but on SVHN at 26/14."""
    four = table(4)
    for row in {row for row, _ in four}:
        for dataset in ('CIFAR-10', 'CIFAR-100', 'SVHN'):
            errors = [four[row, f'{dataset} {net}'].value for net in ('ResNet', 'DFN-IL', 'DFN-MR')]
            if (row, dataset) != ('26/14', 'SVHN'):
                assert min(errors) == errors[2]


def test_table_6_is_as_section_6_5_describes_it():
    """ "1.7 gain, compared with … our implementation, and 0.3 gain compared with … [8]"."""
    top5 = {column: cell.value for (row, column), cell in table(6).items() if row == 'Top-5 validation error'}
    assert round(top5['ResNet-101'] - top5['DFN-MR'], 1) == 1.7
    assert round(top5['ResNet-101 [8]'] - top5['DFN-MR'], 1) == 0.3
