"""Which experiment makes which cell and figure."""

import pytest

import paper
from paper import experiments, results
from paper.experiments import PARAMETERS, TOGETHER, Experiment, Measurement, of_cell, of_figure
import symbols
from symbols.analysis.summary import summarize


def test_every_number_of_the_papers_own_has_an_experiment_and_no_other_has():
    for number in paper.TABLES:
        for cell in paper.cells(number):
            found = of_cell(number, cell.row, cell.column)
            if number == 5 and cell.row in experiments.GLUONCVS:
                continue
            elsewhere = '[8]' in cell.column and cell.row != '#parameters' or number == 5 and 'ours' not in cell.row
            assert bool(found) == ((cell.value is not None or cell.fail) and not elsewhere), cell
            assert all(one.seeds == (5 if number == 4 else 1) for one in found if one.measure != PARAMETERS)


def test_rows_of_others_that_gluoncv_has_have_its_network_for_each_error():
    table = {(cell.row, cell.column): cell for cell in paper.cells(5)}
    for row, net in experiments.GLUONCVS.items():
        assert (row, 'C10') in table and not of_cell(5, row, 'Params') and not of_cell(5, row, 'Depth')
        for column, dataset in (('C10', 'cifar10'), ('C100', 'cifar100'), ('SVHN', 'svhn')):
            assert of_cell(5, row, column) == [Measurement('test_error', Experiment(dataset, net, None))]
        printed = float(table[row, 'Params'].printed.removesuffix('M'))
        assert round(summarize(symbols.get_symbol(net, None)).parameters / 1e6, 1) == printed


@pytest.mark.parametrize(
    'number, row, column, measure',
    [
        (3, '50', 'W/O LLL', 'test_error_without_LLL'),
        (2, '50 W/', 'RRL', 'test_error_RRL'),
        (2, '50 W/O', 'Overall', TOGETHER),
        (7, 'Top-5 training error', 'DFN1', 'train_top5_error'),
    ],
)
def test_measures_of_some_cells(number, row, column, measure):
    (found,) = of_cell(number, row, column)
    assert found.measure == measure


def test_the_paper_used_2_4_or_8_devices():
    assert of_cell(4, '26/14', 'CIFAR-10 DFN-MR')[0].experiment.devices == 2
    assert of_cell(6, 'Top-1 validation error', 'DFN-MR')[0].experiment.devices == 8
    assert of_cell(7, 'Top-1 validation error', 'DFN1')[0].experiment.devices == 4


def test_figures_have_the_depths_and_networks_that_their_captions_and_section_3_name():
    assert {one.experiment.depth for one in of_figure(2)} == {14, 20, 26, 38, 50, 56, 62, 74, 98, 110}
    assert {one.experiment.net for one in of_figure(4)} == {'dfn-f3', 'dfn-f6', 'resnet'}
    assert {(one.experiment.options, one.measure) for one in of_figure(5)} == {
        ((), 'test_error'),
        ((('components', '7'),), 'test_error'),
        ((), 'test_error_without_RRR'),
    }
    assert {(one.experiment.net, one.experiment.depth) for one in of_figure(8)} == {('resnet', 101), ('dfn-mr', 44)}


@pytest.mark.parametrize('dataset', ['cifar10', 'cifar100', 'svhn'])
def test_pairs_of_figure_12_have_the_same_layers_and_parameters(dataset):
    """ "the same number of layers/parameters"."""
    pairs = [pair for title, pair in experiments.CURVES[12].panels if pair[0].dataset == dataset]
    assert len(pairs) == 8
    for resnet, mr in pairs:
        assert resnet.depth == 2 * mr.depth - 2 and (resnet.net, mr.net) == ('resnet', 'dfn-mr')
        parameters = [
            results.computed(Measurement(PARAMETERS, one._replace(dataset='cifar10')))  # the same networks
            for one in (resnet, mr)
        ]
        assert parameters[0] == pytest.approx(parameters[1], rel=0.06)
