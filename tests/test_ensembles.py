"""Component networks and ensembles through the commands: training, eval.py, and the figures made of them."""
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import eval as evaluation
from training import job
import plot
from paper import results
import train_cifar
from data import digits
from common.errors import UserError
from paper import experiments as paper_runs
from paper.figures import bars
from paper.figures.network import items
import symbols
from symbols.ensemble import COMPONENTS
from tests.conftest import ROOT, write_run
from tests.test_eval_and_plot import probabilities
from tests.test_train_cifar import read_csv, read_json

ENSEMBLE, COMPONENT, FUSED = 'ensemble-8/epochs2-seed1', 'component-8/path%s-epochs2-seed1', 'dfn-f3-8/epochs2-seed1'


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """(directory of the runs, data directory): an ensemble, two component networks and N_f3 on the digits."""
    folder = tmp_path_factory.mktemp('ensembles')
    for words in (['ensemble'], ['component', '--path', 'RRR'], ['component', '--path', 'LRL'], ['dfn-f3']):
        subprocess.check_call([sys.executable, 'train_cifar.py', '--depth', '8', '--dataset', 'digits', '--epochs',
                               '2', '--data-dir', str(folder / 'data'), '--log-dir', str(folder / 'logs'),
                               '--net'] + words, cwd=ROOT, stdout=subprocess.DEVNULL)
    return str(folder / 'logs' / 'digits'), str(folder / 'data')


def error(members):
    labels = digits.read()[0]['test'][1]
    return 100 * (np.mean(members, axis=0).argmax(axis=1) != labels).mean()


def rows(out):
    """{member: its numbers} of eval.py's table."""
    return {name: [float(number) for number in numbers.split()]
            for name, numbers in re.findall(r'^([LR]{3}|overall) +([\d. ]+)$', out, re.M)}


def close(ours, expected):
    """To a printed percentage, and an image of 360 whose two largest probabilities are equal but for rounding."""
    return ours == pytest.approx(expected, abs=0.3)


def test_an_ensembles_metrics_have_every_component_and_all_without_it(runs):
    run = os.path.join(runs[0], ENSEMBLE)
    members, last = probabilities(run, 2), read_csv(run)[-1]
    assert list(members) == list(COMPONENTS)
    assert len({round(error([p]), 1) for p in members.values()}) > 3  # they differ, so a mix-up shows
    assert close(float(last['test_error']), error(list(members.values())))
    for path in COMPONENTS:
        assert close(float(last['test_error_' + path]), error([members[path]]))
        others = [p for name, p in members.items() if name != path]
        assert close(float(last['test_error_without_' + path]), error(others))
    labels = digits.read()[0]['test'][1]
    losses = [-np.log(p[np.arange(360), labels]).mean() for p in members.values()]
    assert float(last['test_loss']) == pytest.approx(np.mean(losses), rel=1e-3)
    with open(os.path.join(run, 'train.log')) as file:
        assert 'Validation errors (%%): LLL %.2f, RLL' % float(last['test_error_LLL']) in file.read()


def test_training_loss_of_an_ensemble_is_the_mean_over_components(runs):
    """In the first epoch every component is near log 10, eight of them together near 8 log 10."""
    assert 1.5 < float(read_csv(os.path.join(runs[0], ENSEMBLE))[0]['train_loss']) < 3.5


def test_eval_prints_tables_2_and_3_and_an_ensemble_without_some(command, runs):
    run = os.path.join(runs[0], ENSEMBLE)
    _, out, _ = command('eval.py', run, '--drop-one', '--without', 'RRR', '--without', 'LLL,RRR', '--batch-size', 77,
                        check=0)
    members, printed = probabilities(run, 2), rows(out)
    assert list(printed) == list(COMPONENTS) + ['overall']
    for path in COMPONENTS:
        others = [p for name, p in members.items() if name != path]
        assert close(printed[path], [error([members[path]]), error(others)])
    assert close(printed['overall'], [error(list(members.values()))])
    without = dict(re.findall(r'^without (\S+): test error ([\d.]+) %$', out, re.M))
    assert float(without['RRR']) == printed['RRR'][1]
    assert close(float(without['LLL,RRR']), error([p for name, p in members.items() if name not in ('LLL', 'RRR')]))
    _, out, _ = command('eval.py', run, check=0)
    assert all(len(numbers) == 1 for numbers in rows(out).values()) and len(rows(out)) == 9


def test_separately_trained_components_are_one_ensemble(command, runs):
    members = [os.path.join(runs[0], COMPONENT % path) for path in ('LRL', 'RRR')]
    _, out, _ = command('eval.py', '--ensemble', *reversed(members), '--drop-one', check=0)
    outputs = [probabilities(run, 2)['softmax'] for run in members]
    both, (first, second) = error(outputs), [error([output]) for output in outputs]
    assert abs(first - second) > 1
    printed = rows(out)
    assert list(printed) == ['LRL', 'RRR', 'overall']  # the tables' order
    assert close(printed['LRL'], [first, second]) and close(printed['RRR'], [second, first])
    assert close(printed['overall'], [both]) and 'ensemble of 2 runs' in out
    # any networks of one depth; their names are then the directories
    _, out, _ = command('eval.py', '--ensemble', members[0], os.path.join(runs[0], FUSED), check=0)
    mixed = error([outputs[0], probabilities(os.path.join(runs[0], FUSED), 2)['softmax']])
    assert close(float(re.search(r'test error ([\d.]+) %', out).group(1)), mixed)
    assert re.search(r'^%s +[\d.]+$' % re.escape(members[0]), out, re.M)


def test_eight_components_evaluated_together_are_kept_for_the_tables(command, mistake, runs, tmp_path):
    """Two trained networks stand in for the eight: four components each."""
    members = []
    for path in COMPONENTS:
        trained = 'LRL' if path[2] == 'L' else 'RRR'
        members.append(str(tmp_path / 'digits' / (COMPONENT % path)))
        shutil.copytree(os.path.join(runs[0], COMPONENT % trained), members[-1])
        config = read_json(members[-1])
        config['options']['path'] = path
        with open(os.path.join(members[-1], 'config.json'), 'w') as file:
            json.dump(config, file)
    _, out, _ = command('eval.py', '--ensemble', '--save', *members, check=0)
    path = out.splitlines()[-1]
    assert path == str(tmp_path / 'digits' / 'component-8' / 'together-epochs2-seed1.json')
    both = error([probabilities(os.path.join(runs[0], COMPONENT % trained), 2)['softmax']
                  for trained in ('LRL', 'RRR')])
    makes = paper_runs.Makes(paper_runs.TOGETHER, paper_runs.Run('digits', 'component', 8))
    found, = results.find(makes, str(tmp_path), epochs=2)
    assert found.runs == [path] and found.only_devices_differ and close(found.last, [both])

    def line(*words):
        return mistake(evaluation.main, 'eval.py', *words)
    assert 'for the eight component networks' in line('--ensemble', '--save', *members[:7])
    assert '--save is for --ensemble' in line('--save', members[0])
    assert 'leave out --best and --split' in line('--ensemble', '--save', '--best', *members)
    with open(os.path.join(members[0], 'config.json'), 'w') as file:
        json.dump(dict(config, options=dict(config['options'], path=COMPONENTS[0]), outcome=None), file)
    assert 'is not finished: --save is for finished runs' in line('--ensemble', '--save', *members)


def test_a_member_that_is_not_finished_is_marked(command, runs, tmp_path):
    members = [str(tmp_path / path) for path in ('LRL', 'RRR')]
    for member, path in zip(members, ('LRL', 'RRR')):
        shutil.copytree(os.path.join(runs[0], COMPONENT % path), member)
    with open(os.path.join(members[1], 'config.json'), 'w') as file:
        json.dump(dict(read_json(os.path.join(runs[0], COMPONENT % 'RRR')), outcome={'status': 'not finite'}), file)
    _, out, _ = command('eval.py', '--ensemble', *members, check=0)
    assert out.splitlines()[:2] == [members[0] + ', epoch 2 of 2', members[1] + ', epoch 2 of 2 (not finished)']


def test_seeds_of_an_ensemble_have_a_mean_for_every_member(command, runs, tmp_path):
    """The run after its first epoch stands in for a second seed."""
    last = read_csv(os.path.join(runs[0], ENSEMBLE))
    for seed in (1, 2):
        shutil.copytree(os.path.join(runs[0], ENSEMBLE), str(tmp_path / ('epochs2-seed%d' % seed)))
    shutil.rmtree(str(tmp_path / 'epochs2-seed2' / 'checkpoint-0002'))
    _, out, _ = command('eval.py', tmp_path, '--data-dir', runs[1], '--drop-one', check=0)
    table = out[out.index('(2 runs; population'):]
    for name, column in (('RLR', 'test_error_RLR'), ('overall', 'test_error')):
        one, two = (float(row[column]) for row in last)
        assert abs(one - two) > 1
        cell, = re.findall(r'^%s +([\d.]+) ± ([\d.]+)' % name, table, re.M)
        assert close([float(number) for number in cell], [(one + two) / 2, abs(one - two) / 2])


@pytest.mark.parametrize('arguments, expected', [
    (['{ensemble}', '--without', 'RRX'], 'there is no member RRX; there are LLL, RLL'),
    (['{ensemble}', '--without', ','.join(COMPONENTS)], 'leaves no member'),
    (['{fused}', '--drop-one'], 'has one output: --drop-one and --without are for ensembles'),
    (['{fused}', '--without', 'RRR'], 'has one output'),
    (['--ensemble', '{fused}', '{ensemble}'], 'is an ensemble itself'),
    (['--ensemble', '{fused}', '{deeper}'], 'has depth 14, {fused} has 8: they cannot be one ensemble'),
    (['--ensemble', '{fused}', '{elsewhere}'], 'has dataset cifar10, {fused} has digits'),
    (['--ensemble', '{fused}', '{other}'], 'were tested on different images'),
    (['--ensemble', '{fused}'], 'alone is no ensemble'),
    (['--ensemble', '{fused}', '{empty}'], 'has no checkpoint yet'),
    (['--ensemble'], 'name either run directories')])
def test_what_cannot_be_evaluated_together_is_one_line(mistake, runs, tmp_path, arguments, expected):
    where = {'ensemble': os.path.join(runs[0], ENSEMBLE), 'fused': os.path.join(runs[0], FUSED)}
    for name, change in (('deeper', {'depth': 14}), ('elsewhere', {'dataset': 'cifar10'}), ('empty', {}),
                         ('other', {})):
        where[name] = str(tmp_path / name)
        shutil.copytree(where['fused'], where[name])
        config = read_json(where[name])
        config['options'].update(change)
        if name == 'other':
            config['dataset']['splits']['test']['content_sha256'] = '0' * 64
        with open(os.path.join(where[name], 'config.json'), 'w') as file:
            json.dump(config, file)
    for checkpoint in ('checkpoint-0001', 'checkpoint-0002'):
        shutil.rmtree(os.path.join(where['empty'], checkpoint))
    assert expected.format(**where) in mistake(
        evaluation.main, 'eval.py', *(word.format(**where) for word in arguments))


def test_an_ensemble_resumes_with_the_errors_of_its_components(command, runs, tmp_path):
    whole, again = os.path.join(runs[0], ENSEMBLE), tmp_path / 'digits' / ENSEMBLE
    shutil.copytree(whole, str(again))
    shutil.rmtree(str(again / 'checkpoint-0002'))
    config = dict(read_json(str(again)), outcome=None)
    with open(str(again / 'config.json'), 'w') as file:
        json.dump(config, file)
    command('train_cifar.py', '--net', 'ensemble', '--depth', 8, '--dataset', 'digits', '--epochs', 2,
            '--data-dir', runs[1], '--log-dir', tmp_path, check=0)
    timed = {'images_per_second', 'seconds'}
    assert [{name: cell for name, cell in row.items() if name not in timed} for row in read_csv(str(again))] == [
        {name: cell for name, cell in row.items() if name not in timed} for row in read_csv(whole)]


@pytest.mark.parametrize('options, folder', [
    (['--net', 'ensemble', '--components', '7'], 'ensemble-8/components7-epochs2-seed1'),
    (['--net', 'ensemble', '--components', ','.join(COMPONENTS)], ENSEMBLE),
    (['--net', 'ensemble', '--components', 'RLR,LLL,RLR'], 'ensemble-8/componentsLLL+RLR-epochs2-seed1'),
    (['--net', 'component', '--path', 'RLR'], COMPONENT % 'RLR')])
def test_run_directories_name_the_components(options, folder):
    parser = train_cifar.parser()
    args = parser.parse_args(options + ['--depth', '8', '--epochs', '2'])
    named = {**train_cifar.NAMED, **job.NAMED}
    assert job.run_directory(args, vars(parser.parse_args([])), named) == os.path.join('logs', 'cifar10', folder)


@pytest.mark.parametrize('options, expected', [
    (['--net', 'component'], 'which component network? Give its path'),
    (['--net', 'component', '--path', 'RXR'], "invalid choice: 'RXR'"),
    (['--net', 'ensemble', '--components', 'LLL,XYZ'], 'unknown component network XYZ: choose from LLL, RLL'),
    (['--net', 'ensemble', '--components', ','], 'no component network is named'),
    (['--net', 'ensemble', '--components', ''], 'no component network is named'),
    (['--net', 'ensemble', '--path', 'RLR'], 'ensemble has no --path'),
    (['--net', 'resnet', '--components', '7'], 'resnet has no --components'),
    (['--net', 'ensemble', '--depth', '15'], 'depth 15 is not 6n + 2')])
def test_a_wrong_choice_is_one_line(mistake, tmp_path, options, expected):
    assert expected in mistake(train_cifar.main, 'train_cifar.py', '--depth', '8', *options,
                               '--log-dir', tmp_path / 'logs')
    assert not (tmp_path / 'logs').exists()


def test_a_bar_is_the_mean_of_the_finished_runs_of_its_own_configuration(tmp_path):
    def write(depth, *words, **options):
        write_run(tmp_path, ['--net', 'ensemble', '--depth', depth, *words], **options)

    for seed, error_ in ((1, 7.0), (2, 9.0)):
        write(26, '--seed', seed, errors=[99, error_], test_error_without_RRR=[99, error_ + 1])
    write(26, '--seed', 3, errors=[50], status=None, test_error_without_RRR=[50])
    write(26, '--components', '7', errors=[6.5])
    write(26, '--epochs', 8, errors=[20], devices=1, test_error_without_RRR=[21])
    write(26, '--lr', 0.2, errors=[30], test_error_without_RRR=[31])
    write(38, errors=[60], test_error_without_RRR=[12])
    figure, missing, caption = bars.draw(5, str(tmp_path), depths=[26, 38])
    axis = figure.axes[0]
    texts = [text.get_text() for text in axis.texts]
    assert texts == ['8.00', 'fail', '6.50', 'no run', '9.00', '12.00']
    assert missing == ['Ensemble-7 38']
    heights = sorted(bar.get_height() for bar in axis.patches if bar.get_height())
    assert heights == [6.5, 8.0, 9.0, 12.0]
    assert 'the last of 400 epochs on cifar10;' in caption and 'ensemble-26/seed1,seed2' in caption
    assert 'lr0.2' not in caption and 'seed3' not in caption
    figure, _, caption = bars.draw(5, str(tmp_path), 8, [26])
    assert [text.get_text() for text in figure.axes[0].texts] == ['20.00', 'no run', '21.00']
    assert 'the last of 8 epochs on cifar10 (the paper: 400)' in caption and '(1 device instead of 2)' in caption
    write(50, errors=[7], status='not finite', test_error_without_RRR=[7])
    texts = [text.get_text() for text in bars.draw(5, str(tmp_path), depths=[50])[0].axes[0].texts]
    assert texts == ['fail', 'no run', 'fail']
    write(62, errors=[7])
    with pytest.raises(UserError, match='metrics.csv has no column test_error_without_RRR'):
        bars.draw(5, str(tmp_path), depths=[62])


@pytest.mark.parametrize('number, bars_', [(2, 30), (4, 27), (5, 21)])
def test_figures_without_logs_are_empty_and_say_so(command, tmp_path, number, bars_):
    _, out, err = command('plot.py', 'figure', number, '--log-dir', tmp_path, '--out', tmp_path / 'f', check=0)
    assert all(os.path.getsize(path) > 5000 for path in out.split())
    with open(out.split()[1]) as file:
        svg = file.read()
    assert svg.count('>no run<') + svg.count('<!-- no run -->') == bars_ and 'No run yet.' in svg
    assert 'no run of the paper' in err and err.count(',') == bars_ - 1


def test_depths_are_drawn_in_figure_11s_form(command, mistake, tmp_path):
    _, out, _ = command('plot.py', 'depths', '--net', 'resnet', 'dfn1', 'dfn2', '--depth', 50, '--dataset', 'imagenet',
                        '--out', tmp_path / 'f', check=0)
    with open(out.split()[1]) as file:
        svg = file.read()
    assert all(text in svg for text in ('ResNet-50: 28.0 ± 5.6', 'DFN1: 34.0 ± 4.0', 'DFN2: 28.0 ± 7.5'))
    _, out, _ = command('plot.py', 'depths', '--net', 'dfn-mr', 'component', '--depth', 14, '--path', 'RLR', '--count',
                        'routes', '--out', tmp_path / 'g', check=0)
    with open(out.split()[1]) as file:
        svg = file.read()
    assert all(text in svg for text in ('DFN-MR 14: 8.0 ± 2.1', 'Component 14 (RLR): 11.0 ± 0.0', 'ways through the'))
    assert '--path is for --net component' in mistake(plot.main, 'plot.py', 'depths', '--net', 'plain', '--depth', 14,
                                                       '--path', 'RLR')
    assert 'the nearest are 14 and 20' in mistake(plot.main, 'plot.py', 'figure', 2, '--depth', 15)
    assert 'there is no such folder' in mistake(plot.main, 'plot.py', 'figure', 2, '--log-dir', tmp_path / 'none')
    assert 'there is no dfn1 101' in mistake(plot.main, 'plot.py', 'depths', '--net', 'dfn1', '--depth', 101,
                                              '--dataset', 'imagenet')


def test_a_curve_of_depths_is_the_share_of_the_components():
    from paper.figures.depths import draw

    line, = draw([('N_f3 14', [0] * 5 + [1, 0, 0, 3, 0, 0, 3, 0, 0, 1])], 'nominal').axes[0].get_lines()
    assert line.get_xdata().tolist() == [5, 8, 11, 14] and line.get_ydata().tolist() == [12.5, 37.5, 37.5, 12.5]
    assert line.get_label() == 'N_f3 14: 9.5 ± 2.6'


def test_figure_1_has_a_column_for_each_component(command, tmp_path):
    """Depth 14: layers counted by hand from the definition."""
    tandem, ensemble = (items(symbols.get_symbol(net, 14)) for net in ('tandem', 'ensemble'))
    assert sum(bool(item.label) for item in tandem) == 1 + 3 * (4 + 4 * 4) + 8
    assert [(len(item.sources), item.factor) for item in tandem if not item.label] == [(8, '¼')] * 3 + [(8, '⅛')]
    assert sum(bool(item.label) for item in ensemble) == 1 + (1 + 2 + 4) * (1 + 4) + 8
    for graph in (tandem, ensemble):
        places = [(item.column, item.row) for item in graph]
        assert len(set(places)) == len(places)  # nothing lies on anything else
        assert sorted(item.column for item in graph if item.label.endswith(': FC')) == [
            column - 3.5 for column in range(8)]
    command('plot.py', 'network', '--net', 'dfn-f3', 'tandem', 'ensemble', '--depth', 14, '--out', tmp_path / 'n',
            check=0)
