"""paper/: the tables against what the paper says about them in its text, and the runs of every cell."""
import re

import pytest

import paper
from paper import results
from paper import experiments as runs
from symbols.ensemble import COMPONENTS


def table(number):
    """{(row, column): Cell}."""
    cells = paper.cells(number)
    found = {(cell.row, cell.column): cell for cell in cells}
    assert len(found) == len(cells)
    return found


@pytest.mark.parametrize('number, rows, columns', [
    (1, 10, 11), (2, 14, 9), (3, 7, 9), (4, 8, 11), (5, 27, 5), (6, 5, 3), (7, 4, 4)])
def test_a_table_has_all_its_cells_and_their_numbers(number, rows, columns):
    cells = table(number)
    assert (len({row for row, _ in cells}), len({column for _, column in cells})) == (rows, columns)
    assert len(cells) == rows * columns
    for cell in cells.values():
        assert cell.source == 'arXiv:1611.07718v1, Table %d' % number
        numbers = re.findall(r'\d+(?:\.\d+)?', cell.printed)
        assert numbers == ['%.*f' % (len(text.partition('.')[2]), value) for text, value in zip(
            numbers, [value for value in (cell.value, cell.std) if value is not None])]
        assert cell.fail == (cell.printed == 'fail') and cell.printed.endswith(cell.arrow)


def test_the_tables_say_what_the_text_says_of_them():
    one, two, three, four, six = map(table, (1, 2, 3, 4, 6))
    # section 3.1: the ensemble is better than the DFN "for the depth being over 20"; at 20 too, by the table
    assert {row for row, _ in one if one[row, 'c. ensemble'].value < one[row, 'DFN (t. ensemble)'].value} == {
        row for row, _ in one} - {'14'}
    # Table 2's caption: sharing the weights hurts the shallow four and the whole, and helps the deep four
    for (row, column), cell in two.items():
        if row.endswith('W/'):
            without = two[row + 'O', column]
            hurt = column in ('LLL', 'RLL', 'LRL', 'LLR', 'Overall')
            assert cell.arrow in ('↓' if hurt else '↑', '')
            assert (cell.value > (100 if without.fail else without.value)) is hurt
    assert [key for key, cell in two.items() if key[0].endswith('W/') and not cell.arrow] == [('38 W/', 'RLR')]
    # the same ensembles are in three tables; Table 1 has another number for one of them, which is noted
    for depth in {row for row, _ in three}:
        overall = three[depth, 'Overall'].value
        assert overall == two[depth + ' W/', 'Overall'].value
        assert one[depth, 'c. ensemble'].value == (10.1 if depth == '110' else overall)
    assert '9.61' in one['110', 'c. ensemble'].note
    # Table 3's caption: leaving out LLR, RLR or LRR does the most harm, except at depth 26; RRR less than that
    for depth in {row for row, _ in three} - {'26', '62', '74'}:
        worst = max(COMPONENTS, key=lambda path: three[depth, 'W/O ' + path].value)
        assert worst in ('LLR', 'RLR', 'LRR')
    # section 6.3: DFN-MR is best everywhere but on SVHN at 26/14
    for row in {row for row, _ in four}:
        for dataset in ('CIFAR-10', 'CIFAR-100', 'SVHN'):
            errors = [four[row, '%s %s' % (dataset, net)].value for net in ('ResNet', 'DFN-IL', 'DFN-MR')]
            if (row, dataset) != ('26/14', 'SVHN'):
                assert min(errors) == errors[2]
    # section 6.5: "1.7 gain, compared with … our implementation, and 0.3 gain compared with … [8]"
    top5 = {column: cell.value for (row, column), cell in six.items() if row == 'Top-5 validation error'}
    assert round(top5['ResNet-101'] - top5['DFN-MR'], 1) == 1.7
    assert round(top5['ResNet-101 [8]'] - top5['DFN-MR'], 1) == 0.3


def test_every_number_of_the_papers_own_has_a_run_or_a_network_and_no_other_has():
    for number in paper.TABLES:
        for cell in paper.cells(number):
            makes = runs.of_cell(number, cell.row, cell.column)
            elsewhere = '[8]' in cell.column and cell.row != '#parameters' or number == 5 and 'ours' not in cell.row
            assert bool(makes) == ((cell.value is not None or cell.fail) and not elsewhere), cell
            assert all(one.seeds == (5 if number == 4 else 1) for one in makes if one.measure != runs.PARAMETERS)


def test_every_run_is_a_command_line_of_its_script():
    everything = [one for number in paper.TABLES for one in runs.of_table(number, paper.cells(number))]
    everything += [one for number in runs.FIGURES for one in runs.of_figure(number)]
    places = {}
    for makes in everything:
        run = makes.run
        if makes.measure == runs.TOGETHER:
            continue
        words = results.arguments(run)
        args = results.script(run).parser().parse_args(words)
        assert (args.dataset, args.net, args.depth, getattr(args, 'widen', 1)) == run[:4]
        assert args.epochs == run.epochs and args.seed == 1
        assert places.setdefault(results.directory(run, words), run) == run  # one directory, one run
    # CIFAR-10: N_f3's components, itself and its ensembles with 8 and 7, N_f6, plain, ResNet, DFN-IL, DFN-MR and its
    # wide ones; the other two data sets; ImageNet
    assert len(places) == (10 * 8 + 10 + 10 + 7 + 9 + 11 + 10 + 8 + 10) + 2 * (3 * 8 + 2) + 5


@pytest.mark.parametrize('number, row, column, words', [
    (1, '110', 'c. ensemble', '--net ensemble --depth 110'),
    (2, '26 W/O', 'RLR', '--net component --depth 26 --path RLR'),
    (3, '50', 'W/O LLL', '--net ensemble --depth 50'),
    (4, '110/56', 'CIFAR-10 Plain', '--net plain --depth 110'),
    (4, '110/56', 'CIFAR-100 DFN-IL', '--dataset cifar100 --net dfn-il --depth 56'),
    (4, '194/98', 'SVHN DFN-MR', '--net dfn-mr --depth 98'),
    (5, 'DFN-MR3 (ours), 50', 'C100', '--dataset cifar100 --net dfn-mr --depth 50 --widen 4'),
    (6, 'Top-1 training error', 'ResNet-101', '--net resnet --depth 101'),
    (7, 'Top-5 validation error', 'DFN2', '--net dfn2 --depth 50 --schedule appendix')])
def test_some_commands_as_a_reader_of_the_paper_would_write_them(number, row, column, words):
    makes, = runs.of_cell(number, row, column)
    assert ' '.join(results.arguments(makes.run)) == words


def test_measures_of_some_cells():
    assert runs.of_cell(3, '50', 'W/O LLL')[0].measure == 'test_error_without_LLL'
    assert runs.of_cell(2, '50 W/', 'RRL')[0].measure == 'test_error_RRL'
    assert runs.of_cell(2, '50 W/O', 'Overall')[0].measure == runs.TOGETHER
    assert runs.of_cell(7, 'Top-5 training error', 'DFN1')[0].measure == 'train_top5_error'
    assert runs.of_cell(6, 'Top-1 validation error', 'DFN-MR')[0].run.devices == 8
    assert runs.of_cell(7, 'Top-1 validation error', 'DFN1')[0].run.devices == 4


def test_figures_have_the_depths_and_networks_that_their_captions_and_section_3_name():
    assert {one.run.depth for one in runs.of_figure(2)} == {14, 20, 26, 38, 50, 56, 62, 74, 98, 110}
    assert {one.run.net for one in runs.of_figure(4)} == {'dfn-f3', 'dfn-f6', 'resnet'}
    assert {(one.run.options, one.measure) for one in runs.of_figure(5)} == {
        ((), 'test_error'), ((('components', '7'),), 'test_error'), ((), 'test_error_without_RRR')}
    assert {(one.run.net, one.run.depth) for one in runs.of_figure(8)} == {('resnet', 101), ('dfn-mr', 44)}
    # Figure 12: "the same number of layers/parameters"
    for dataset in ('cifar10', 'cifar100', 'svhn'):
        panels = [pair for title, pair in runs.CURVES[12].panels if pair[0].dataset == dataset]
        assert len(panels) == 8
        for resnet, mr in panels:
            assert resnet.depth == 2 * mr.depth - 2 and (resnet.net, mr.net) == ('resnet', 'dfn-mr')
            assert results.computed(runs.Makes(runs.PARAMETERS, mr)) == pytest.approx(
                results.computed(runs.Makes(runs.PARAMETERS, resnet)), rel=0.06)
