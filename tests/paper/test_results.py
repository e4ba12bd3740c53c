"""Runs in the logs: which belong to an experiment, how they are grouped, and the commands that make them."""

import importlib
import json
import os
import re

import pytest

import paper
from paper import experiments, recipes, report, results
from paper.experiments import TOGETHER, Experiment, Measurement
from tests.conftest import ROOT
from tests.paper.conftest import write_dfn_mr
from training import options
from training.run_directory import read_config, read_metrics

DFN_MR = Measurement('test_error', Experiment('cifar10', 'dfn-mr', 14), seeds=5)


def script(experiment):
    """The training script of an experiment, as a module."""
    return importlib.import_module(recipes.script(experiment.dataset).removesuffix('.py'))


def test_runs_are_grouped_by_what_differs_from_the_paper(logs):
    found = {group.differences: (len(group.runs), group.last) for group in results.find(DFN_MR, logs)}
    assert found == {
        (): (3, [6.4, 6.6, 6.5]),
        ('stopped after 2 of 400 epochs',): (2, [30.0, 31.0]),
        ('1 device instead of 2',): (1, [7.0]),
        ('files that are not the official ones',): (1, [8.0]),
        ('8 of 400 epochs', '1 device instead of 2'): (1, [15.0]),
        ('--pad-value mean',): (1, [5.0]),
        ('seed 1 once more',): (1, [9.0]),
        ('stopped after 1 of 400 epochs',): (1, [5.0]),
        ('--dtype float16', '--loss-scale 8.0'): (1, [4.0]),
        ('--dtype float16', '--loss-scale 64.0'): (1, [4.0]),
    }
    assert next(iter(found)) == ()


def test_a_group_has_each_seed_once(tmp_path):
    """Earlier versions took a --loss-scale without effect, and named another directory by it."""
    for number, scale in enumerate((4, 8, 16, 32)):
        write_dfn_mr(tmp_path, '--loss-scale', scale, errors=[6.0 + number])
    found = [(group.differences, group.last) for group in results.find(DFN_MR, str(tmp_path))]
    assert found == [((), [6.0])] + [
        (('seed 1 once more' + more,), [7.0 + i]) for i, more in enumerate(['', ' (2)', ' (3)'])
    ]


def test_links_are_followed_where_they_lead_somewhere(logs, tmp_path):
    place = tmp_path / 'linked' / 'cifar10'
    place.mkdir(parents=True)
    os.symlink(os.path.join(logs, 'cifar10', 'dfn-mr-14'), place / 'dfn-mr-14')
    os.symlink('nowhere', os.path.join(logs, 'cifar10', 'dfn-mr-14', 'seed3000'))
    (first, *_) = results.find(DFN_MR, str(tmp_path / 'linked'))
    assert first.last == [6.4, 6.6, 6.5]
    assert 'beside 0 runs' not in report.page(str(tmp_path / 'linked'))


def test_another_schedule_can_be_asked_for(logs):
    found = results.find(DFN_MR, logs, epochs=8)
    assert [group.last for group in found if group.only_devices_differ] == [[15.0]]


def test_eight_components_evaluated_together_are_found(committed):
    """In the committed logs: the number that eval.py printed."""
    together = Measurement(TOGETHER, Experiment('cifar10', 'component', 14))
    (found,) = results.find(together, str(committed / 'logs'))
    assert found.last == [17.71] and found.differences == ('8 of 400 epochs', '1 device instead of 2')


def test_eight_components_of_another_schedule_are_not_the_papers(tmp_path, committed):
    place = tmp_path / 'cifar10' / 'component-14'
    place.mkdir(parents=True)
    config = read_config(str(committed / 'logs/cifar10/component-14/together-epochs8-seed1.json'))
    config['options']['schedule'] = 'main'
    (place / 'together-schedulemain-epochs8-seed1.json').write_text(json.dumps(config))
    assert results.find(Measurement(TOGETHER, Experiment('cifar10', 'component', 14)), str(tmp_path)) == []


def test_docs_results_has_the_losses_of_the_logs_at_each_depth():
    with open(os.path.join(ROOT, 'docs', 'results.md'), encoding='utf-8') as file:
        rows = re.findall(r'^\| (\d+) / (\d+) \| (.*) \|$', file.read(), re.MULTILINE)
    assert rows
    for resnet, dfn_mr, seen in rows:
        metrics = [
            read_metrics(os.path.join(ROOT, 'logs', 'cifar10', f'{net}-{depth}', 'epochs8-seed1'))
            for net, depth in (('resnet', resnet), ('dfn-mr', dfn_mr))
        ]
        losses = [[run[epoch - 1]['train_loss'] for epoch in (1, 4, 8)] for run in metrics]
        losses.append([ours - theirs for ours, theirs in zip(*losses, strict=True)])
        errors = [f'{run[-1]["test_error"]:.2f}' for run in metrics]
        assert seen.split(' | ') == [', '.join(f'{loss:.3f}' for loss in three) for three in losses] + errors


def test_every_experiment_is_a_command_line_of_its_script():
    everything = [one for number in paper.TABLES for one in experiments.of_table(number, paper.cells(number))]
    everything += [one for number in experiments.FIGURES for one in experiments.of_figure(number)]
    wanted = {one.experiment for one in everything if one.measure != TOGETHER}
    parsers = {dataset: script(Experiment(dataset, '', 0)).parser() for dataset in {one.dataset for one in wanted}}
    directories = set()
    for experiment in wanted:
        parser = parsers[experiment.dataset]
        args = options.read(parser, results.arguments(experiment))
        assert (args.dataset, args.net, args.depth, getattr(args, 'widen', 1)) == experiment[:4]
        assert args.epochs == experiment.epochs and args.seed == 1
        place = options.directory_of(vars(args), vars(parser.parse_args([])))
        assert results.directory(experiment) == place
        directories.add(place)
    # CIFAR-10: N_f3's components, itself and its ensembles with 8 and 7, N_f6, plain, ResNet, DFN-IL, DFN-MR and its
    # wide ones; the other two data sets; ImageNet; two networks of GluonCV's on three data sets
    assert len(wanted) == len(directories) == (10 * 8 + 10 + 10 + 7 + 9 + 11 + 10 + 8 + 10) + 2 * (3 * 8 + 2) + 5 + 6


@pytest.mark.parametrize(
    'number, row, column, words',
    [
        (1, '110', 'c. ensemble', '--net ensemble --depth 110'),
        (2, '26 W/O', 'RLR', '--net component --depth 26 --path RLR'),
        (3, '50', 'W/O LLL', '--net ensemble --depth 50'),
        (4, '110/56', 'CIFAR-10 Plain', '--net plain --depth 110'),
        (4, '110/56', 'CIFAR-100 DFN-IL', '--dataset cifar100 --net dfn-il --depth 56'),
        (4, '194/98', 'SVHN DFN-MR', '--net dfn-mr --depth 98'),
        (5, 'DFN-MR3 (ours), 50', 'C100', '--dataset cifar100 --net dfn-mr --depth 50 --widen 4'),
        (6, 'Top-1 training error', 'ResNet-101', '--net resnet --depth 101'),
        (7, 'Top-5 validation error', 'DFN2', '--net dfn2 --depth 50 --schedule appendix'),
    ],
)
def test_some_commands_as_a_reader_of_the_paper_would_write_them(number, row, column, words):
    (measurement,) = experiments.of_cell(number, row, column)
    assert ' '.join(results.arguments(measurement.experiment)) == words


def test_errors_are_a_mean_a_deviation_and_a_number():
    assert results.text([6.4, 6.6]) == '6.50 ± 0.10 (2)' and results.text([6.4]) == '6.40 (1)'
    assert results.text([6.4, 60.0, float('inf')]) == '6.40 (1), fail (2)' and results.text([60.0]) == 'fail (1)'
    assert re.fullmatch(r'50\.00 \(1\)', results.text([50.0]))  # a "fail" is over 50 %
