"""eval.py and plot.py on finished runs: of the tests' own making, and the committed one on real images."""
import csv
import json
import os
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

import eval as evaluation
import plot
import symbols
from common.mxnet import mx
from data import digits
from paper.figures.network import items
from tests.conftest import ROOT, official_folder
from tests.test_train_cifar import read_csv

LOGS = os.path.join(ROOT, 'logs', 'cifar10')


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """(directory of two finished seeds of a small run on the digits, data directory)."""
    folder = tmp_path_factory.mktemp('runs')
    for seed in (1, 2):
        subprocess.check_call([sys.executable, 'train_cifar.py', '--net', 'plain', '--depth', '8', '--dataset',
                               'digits', '--data-dir', str(folder / 'data'),
                               '--log-dir', str(folder / 'logs'), '--epochs', '3',
                               '--seed', str(seed)], cwd=ROOT, stdout=subprocess.DEVNULL)
    return str(folder / 'logs' / 'digits' / 'plain-8'), str(folder / 'data')


def results(out):
    """[(test error, loss)] of eval.py's lines."""
    return [tuple(map(float, found)) for found in re.findall(r'test error ([\d.]+) %, loss ([\d.]+), 360 images', out)]


def probabilities(run, epoch):
    """{output: (360, 10)} of a checkpoint on the digits' test images, with MXNet's own loader."""
    symbol, arguments, statistics = mx.model.load_checkpoint(
        os.path.join(run, 'checkpoint-%04d' % epoch, 'model'), epoch)
    images, _ = digits.read()[0]['test']
    data = (images.transpose(0, 3, 1, 2) - 79.626) / 90.804
    executor = symbol.bind(mx.cpu(), {**arguments, 'data': mx.nd.array(data), 'softmax_label': mx.nd.zeros(360)},
                           aux_states=statistics)
    outputs = executor.forward(is_train=False)
    return {name.replace('_output', ''): output.asnumpy() for name, output in zip(symbol.list_outputs(), outputs)}


def by_hand(run, epoch):
    """Test error and loss of a checkpoint, computed with MXNet's own loader and plain numpy."""
    p, labels = probabilities(run, epoch)['softmax'], digits.read()[0]['test'][1]
    return 100 * (p.argmax(axis=1) != labels).mean(), -np.log(p[np.arange(360), labels]).mean()


@pytest.mark.parametrize('options', [
    [], ['--batch-size', 7], ['--batch-size', 1], ['--cpus', 3, '--batch-size', 7], ['--batch-size', 1000]])
def test_evaluation_is_exact_for_any_batch_and_devices(command, runs, options):
    run = os.path.join(runs[0], 'epochs3-seed1')
    _, out, _ = command('eval.py', run, *options, check=0)
    error, loss = by_hand(run, 3)
    assert 5 < error < 85  # neither perfect nor by chance, so a wrong count shows
    assert results(out) == [(pytest.approx(error, abs=0.005), pytest.approx(loss, abs=1e-4))]
    assert float(read_csv(run)[-1]['test_error']) == pytest.approx(error)
    assert 'epoch 3 of 3' in out


def test_a_directory_of_seeds_gives_mean_and_population_deviation(command, runs):
    _, out, _ = command('eval.py', runs[0], check=0)
    errors = [by_hand(os.path.join(runs[0], 'epochs3-seed%d' % seed), 3)[0] for seed in (1, 2)]
    assert abs(errors[0] - errors[1]) > 0.2
    assert 'test error %.2f ± %.2f %% (2 runs; population' % (np.mean(errors), abs(errors[0] - errors[1]) / 2) in out


def test_the_two_files_of_mxnet_are_enough(command, runs, tmp_path):
    logs, data_dir = runs
    checkpoint = os.path.join(logs, 'epochs3-seed2', 'checkpoint-0003')
    for name in ('model-symbol.json', 'model-0003.params'):
        shutil.copy(os.path.join(checkpoint, name), str(tmp_path))
    _, out, _ = command('eval.py', '--symbol', tmp_path / 'model-symbol.json',
                        '--params', tmp_path / 'model-0003.params',
                        '--dataset', 'digits', '--data-dir', data_dir, check=0)
    logged = float(read_csv(os.path.dirname(checkpoint))[-1]['test_error'])
    assert results(out)[0][0] == pytest.approx(logged, abs=0.005)


def test_best_takes_the_checkpoint_of_the_smallest_test_error(command, mistake, runs, tmp_path):
    run = str(tmp_path / 'epochs3-seed1')
    shutil.copytree(os.path.join(runs[0], 'epochs3-seed1'), run)
    with open(os.path.join(run, 'metrics.csv')) as file:
        lines = file.read().split('\n')
    cells = lines[2].split(',')  # make the second epoch the best
    lines[2] = ','.join(cells[:5] + ['0.1'] + cells[6:])
    with open(os.path.join(run, 'metrics.csv'), 'w') as file:
        file.write('\n'.join(lines))
    _, out, _ = command('eval.py', run, '--best', '--data-dir', runs[1], check=0)
    assert 'epoch 2 of 3' in out and results(out)[0][0] == pytest.approx(by_hand(run, 2)[0], abs=0.005)
    shutil.rmtree(os.path.join(run, 'checkpoint-0002'))
    assert 'does not keep the checkpoint of its best epoch, 2' in mistake(evaluation.main, 'eval.py', run, '--best')


def test_per_class_prints_the_confusion_table(command, runs):
    _, out, _ = command('eval.py', os.path.join(runs[0], 'epochs3-seed1'), '--per-class', check=0)
    rows = re.findall(r'^ *(\d) +((?:\d+ +){10})([\d.]+)$', out, re.M)
    table = np.array([[int(count) for count in counts.split()] for _, counts, _ in rows])
    assert table.sum(axis=1).tolist() == np.bincount(digits.read()[0]['test'][1]).tolist()  # every image once
    assert results(out)[0][0] == pytest.approx(100 * (1 - np.trace(table) / 360), abs=0.005)
    for label, (_, _, error) in enumerate(rows):
        assert float(error) == pytest.approx(100 * (1 - table[label, label] / table[label].sum()), abs=0.005)


def test_other_test_images_than_the_runs_are_noted(command, runs, small_cifar, tmp_path):
    run = str(tmp_path / 'epochs3-seed1')
    shutil.copytree(os.path.join(runs[0], 'epochs3-seed1'), run)
    path = os.path.join(run, 'config.json')
    with open(path) as file:
        config = json.load(file)
    config['options']['dataset'] = 'cifar10'
    with open(path, 'w') as file:
        json.dump(config, file)
    _, _, err = command('eval.py', run, '--data-dir', small_cifar, '--no-verify', check=0)
    assert err.startswith('note: these are not the test images of')


def test_a_reader_that_stops_reading_is_no_error(runs):
    done = subprocess.run('%s eval.py %s --per-class | head -c 1' % (sys.executable, runs[0]), shell=True, cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert done.stderr == ''


@pytest.mark.parametrize('arguments, expected', [
    ([], 'name either run directories, or --symbol, --params and --dataset'),
    (['logs', '--dataset', 'digits'], 'name either run directories'),
    (['nowhere'], 'there is no run in nowhere'),
    (['--symbol', 'x.json'], 'name either run directories, or --symbol, --params and --dataset, all three'),
    (['--symbol', 'x.json', '--params', 'y.params', '--dataset', 'digits'], 'there is no file x.json'),
    (['--symbol', 'README.md', '--params', 'LICENSE', '--dataset', 'digits'], 'cannot be read: truncated'),
])
def test_mistakes_are_one_line(mistake, arguments, expected):
    assert expected in mistake(evaluation.main, 'eval.py', *arguments)


def test_weights_of_another_network_are_refused(mistake, runs, tmp_path):
    symbol, params = str(tmp_path / 'other-symbol.json'), os.path.join(
        runs[0], 'epochs3-seed1', 'checkpoint-0003', 'model-0003.params')

    def line():
        return mistake(evaluation.main, 'eval.py', '--symbol', symbol, '--params', params, '--dataset', 'digits',
                       '--data-dir', runs[1])

    symbols.get_symbol('resnet', 8).save(symbol)
    assert 'the weights are not those of the network' in line()
    symbols.get_symbol('plain', 8, num_classes=100).save(symbol)
    assert 'has to put out a softmax over 10 classes' in line()
    symbols.get_symbol('plain', 8).get_internals()['fc_output'].save(symbol)  # scores without a softmax
    assert 'has to put out a softmax over 10 classes; it has fc_output' in line()
    params = str(tmp_path / 'list.params')
    mx.nd.save(params, [mx.nd.ones(3)])
    assert 'is not a checkpoint of a symbol' in line()


def test_curves_are_drawn_for_runs_and_directories_of_seeds(command, runs, tmp_path):
    _, out, _ = command('plot.py', 'curves', runs[0], '--out', tmp_path / 'new' / 'curves', check=0)
    png, svg = out.split()
    assert cv2.imread(png).std() > 10
    with open(svg) as file:
        text = file.read()
    assert all(words in text for words in ('training loss', 'test error (%)', 'Plain 8 on digits (epochs3), 2 runs'))


def test_a_curve_is_the_mean_of_its_seeds_and_none_is_lost(runs, tmp_path):
    from paper.figures.curves import draw, group

    copy = tmp_path / 'plain-8'
    shutil.copytree(runs[0], str(copy))
    path = str(copy / 'epochs3-seed2' / 'metrics.csv')
    with open(path) as file:
        lines = file.readlines()
    with open(path, 'w') as file:
        file.writelines(lines[:3])  # a seed that is not finished

    groups = group([runs[0], str(copy)])  # the same titles twice
    assert [len(rows) for _, rows in groups] == [2, 2]
    logs = [read_csv(os.path.join(runs[0], 'epochs3-seed%d' % seed)) for seed in (1, 2)]
    for axis, column in zip(draw(groups).axes, ('train_loss', 'test_error')):
        mean, one, two = axis.get_lines()
        expected = np.array([[float(row[column]) for row in rows] for rows in logs])
        assert mean.get_xdata().tolist() == one.get_xdata().tolist() == [1, 2, 3] and two.get_xdata().tolist() == [1, 2]
        np.testing.assert_allclose(mean.get_ydata(), expected.mean(axis=0))
        np.testing.assert_allclose(one.get_ydata(), expected[0])
        np.testing.assert_allclose(two.get_ydata(), expected[1][:2])


def test_networks_are_drawn_side_by_side(command, mistake, tmp_path):
    _, out, _ = command('plot.py', 'network', '--net', 'resnet', 'dfn-mr', '--depth', 26, 14,
                        '--out', tmp_path / 'n', check=0)
    assert all(os.path.getsize(path) > 10000 for path in out.split())
    assert 'give one --depth' in mistake(
        plot.main, 'plot.py', 'network', '--net', 'resnet', 'dfn-mr', '--depth', 8, 14, 20)


@pytest.mark.parametrize('net, boxes, circles, trapezoids', [
    ('plain', 14, 0, 2), ('resnet', 14, 6, 2), ('dfn-il', 26, 6, 4), ('dfn-il-noid', 26, 6, 4),
    # one circle a unit merges the two streams; two more end it, and the last unit has one
    ('dfn-mr', 26, 6 + 2 * 5 + 1, 4), ('dfn-f3', 17, 3, 4), ('dfn-f6', 17, 6, 4)])
def test_a_picture_has_a_box_for_each_layer(net, boxes, circles, trapezoids):
    """Depth 14, n = 2: layers counted by hand from the definition; projections are lines."""
    graph = items(symbols.get_symbol(net, 14))
    assert sum(bool(item.label) for item in graph) == boxes
    assert sum(not item.label for item in graph) == circles
    assert sum(item.stride == 2 for item in graph) == trapezoids
    dashed = sum(projection for item in graph for _, projection in item.sources)
    assert dashed == {'resnet': 2, 'dfn-il': 2, 'dfn-mr': 4}.get(net, 0)


@pytest.mark.parametrize('run', ['dfn-mr-14', 'ensemble-14'])
def test_a_committed_run_has_its_error_on_the_real_test_images(command, tmp_path, run):
    """From the official files to the README's number, with weights and statistics alone."""
    run = os.path.join(LOGS, run, 'epochs8-seed1')
    os.symlink(official_folder('cifar-10-batches-bin'), str(tmp_path / 'cifar-10-batches-bin'))
    with open(os.path.join(run, 'metrics.csv'), newline='') as file:
        last = list(csv.DictReader(file))[-1]
    _, out, _ = command('eval.py', run, '--data-dir', tmp_path, check=0)
    error, loss = re.search(r'test error ([\d.]+) %, loss ([\d.]+), 10,000 images', out).groups()
    # a handful of images may change sides on a processor that rounds differently
    assert float(error) == pytest.approx(float(last['test_error']), abs=0.05)
    assert float(loss) == pytest.approx(float(last['test_loss']), rel=1e-3)
    for path, printed in re.findall(r'^([LR]{3}) +([\d.]+)$', out, re.M):
        assert float(printed) == pytest.approx(float(last['test_error_' + path]), abs=0.05)
    assert ('test_error_RRR' in last) == (' RRR ' in out.replace('\n', ' '))
    with open(os.path.join(run, 'config.json')) as file:
        expected = json.load(file)['dataset']['splits']['test']['content_sha256']
    with open(str(tmp_path / 'cifar10-test.json')) as file:
        assert json.load(file)['content_sha256'] == expected


def test_runs_that_are_not_finished_have_no_mean_and_those_without_an_epoch_no_curve(command, mistake, runs, tmp_path):
    logs = tmp_path / 'plain-8'
    shutil.copytree(runs[0], str(logs))
    path = str(logs / 'epochs3-seed1' / 'config.json')
    with open(path) as file:
        config = json.load(file)
    with open(path, 'w') as file:
        json.dump(dict(config, outcome=None), file)
    _, out, _ = command('eval.py', logs, '--data-dir', runs[1], check=0)
    assert 'no mean: 1 of these 2 runs are finished' in out and '±' not in out
    for name in ('checkpoint-0002', 'checkpoint-0003'):
        shutil.rmtree(str(logs / 'epochs3-seed1' / name))
    _, out, _ = command('eval.py', logs, '--data-dir', runs[1], check=0)
    assert 'epochs3-seed1: no checkpoint yet' in out and len(results(out)) == 1
    os.remove(str(logs / 'epochs3-seed2' / 'metrics.csv'))
    command('plot.py', 'curves', logs, '--out', tmp_path / 'c', check=0)
    os.remove(str(logs / 'epochs3-seed1' / 'metrics.csv'))
    assert 'has finished an epoch yet' in mistake(plot.main, 'plot.py', 'curves', logs, '--out', tmp_path / 'c')
    assert 'give a name without ending' in mistake(
        plot.main, 'plot.py', 'network', '--net', 'plain', '--depth', 8, '--out', 'x/')


@pytest.mark.slow
def test_the_demo_keeps_its_promise(command, tmp_path):
    """The commands of `make demo`: test error under 3 %."""
    command('train_cifar.py', '--dataset', 'digits', '--net', 'dfn-mr', '--depth', 14, '--epochs', 15,
            '--log-dir', tmp_path, check=0)
    _, out, _ = command('eval.py', tmp_path, check=0)
    assert results(out)[0][0] < 3
