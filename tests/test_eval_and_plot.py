"""eval.py and plot.py on finished runs: of the tests' own making, and the committed one on real images."""
import csv
import json
import os
import re
import shutil

import cv2
import numpy as np
import pytest

import symbols
from compat import mx
from plotting.network import items
from tests.conftest import ROOT, official_folder
from tests.test_train_cifar import one_line, only_run, read_csv, words

REFERENCE = os.path.join(ROOT, 'logs', 'cifar10', 'dfn-mr-14', 'epochs8-seed1')


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """(log directory, data directory) with two finished seeds of a small run."""
    import subprocess
    import sys

    from tests.conftest import write_cifar

    folder = tmp_path_factory.mktemp('runs')
    data_dir = write_cifar(folder / 'data', np.random.RandomState(0))
    for seed in (1, 2):
        subprocess.check_call([sys.executable] + words(data_dir, folder / 'logs', '--epochs', 3, '--seed', seed),
                              cwd=ROOT, stdout=subprocess.DEVNULL)
    return str(folder / 'logs' / 'cifar10' / 'plain-8'), data_dir


def results(out):
    """[(test error, loss)] of eval.py's lines."""
    return [tuple(map(float, found)) for found in re.findall(r'test error ([\d.]+) %, loss ([\d.]+), 20 images', out)]


def by_hand(prefix, epoch, data_dir):
    """Test error and loss of a checkpoint, computed with MXNet's own loader and plain numpy."""
    symbol, arguments, statistics = mx.model.load_checkpoint(prefix, epoch)
    records = np.fromfile(os.path.join(data_dir, 'cifar-10-batches-bin', 'test_batch.bin'), np.uint8).reshape(-1, 3073)
    mean, std = np.array([125.307, 122.950, 113.865]), np.array([62.993, 62.089, 66.705])
    images = (records[:, 1:].reshape(-1, 3, 32, 32) - mean[:, None, None]) / std[:, None, None]
    executor = symbol.bind(mx.cpu(), {**arguments, 'data': mx.nd.array(images), 'softmax_label': mx.nd.zeros(20)},
                           aux_states=statistics)
    p, labels = executor.forward(is_train=False)[0].asnumpy(), records[:, 0]
    return 100 * (p.argmax(axis=1) != labels).mean(), -np.log(p[np.arange(20), labels]).mean()


@pytest.mark.parametrize('options', [[], ['--batch-size', 7], ['--batch-size', 1], ['--cpus', 3, '--batch-size', 7]])
def test_evaluation_is_exact_for_any_batch_and_devices(command, runs, options):
    logs, data_dir = runs
    run = os.path.join(logs, 'batch8-epochs3-seed1')
    _, out, _ = command('eval.py', run, '--no-verify', *options, check=0)
    error, loss = by_hand(os.path.join(run, 'checkpoint-0003', 'model'), 3, data_dir)
    assert results(out) == [(pytest.approx(error), pytest.approx(loss, abs=1e-4))]
    assert float(read_csv(run)[-1]['test_error']) == pytest.approx(error)
    assert 'epoch 3 of 3' in out


def test_a_directory_of_seeds_gives_mean_and_population_deviation(command, runs):
    _, out, _ = command('eval.py', runs[0], '--no-verify', check=0)
    errors = [error for error, _ in results(out)]
    assert len(errors) == 2
    assert 'test error %.2f ± %.2f %% (2 runs)' % (np.mean(errors), np.std(errors)) in out


def test_the_two_files_of_mxnet_are_enough(command, runs, tmp_path):
    logs, data_dir = runs
    checkpoint = os.path.join(logs, 'batch8-epochs3-seed2', 'checkpoint-0003')
    for name in ('model-symbol.json', 'model-0003.params'):
        shutil.copy(os.path.join(checkpoint, name), str(tmp_path))
    _, out, _ = command('eval.py', '--symbol', tmp_path / 'model-symbol.json', '--params', tmp_path / 'model-0003.params',
                        '--dataset', 'cifar10', '--data-dir', data_dir, '--no-verify', check=0)
    assert results(out)[0][0] == pytest.approx(float(read_csv(os.path.dirname(checkpoint))[-1]['test_error']))


def test_best_takes_the_smallest_test_error(command, runs):
    run = os.path.join(runs[0], 'batch8-epochs3-seed1')
    _, out, _ = command('eval.py', run, '--best', '--no-verify', check=0)
    assert results(out)[0][0] == pytest.approx(min(float(row['test_error']) for row in read_csv(run)))


def test_per_class_prints_the_confusion_table(command, runs):
    _, out, _ = command('eval.py', os.path.join(runs[0], 'batch8-epochs3-seed1'), '--per-class', '--no-verify', check=0)
    rows = re.findall(r'^ *(airplane|automobile|bird|cat|deer|dog|frog|horse|ship|truck) +((?:\d+ +){10})([\d.]+)$', out, re.M)
    table = np.array([[int(count) for count in counts.split()] for _, counts, _ in rows])
    assert table.shape == (10, 10) and (table.sum(axis=1) == 2).all()  # every image once
    assert results(out)[0][0] == pytest.approx(100 * (1 - np.trace(table) / 20))


@pytest.mark.parametrize('arguments, expected', [
    ([], 'name run directories, or --symbol and --params'),
    (['nowhere'], 'there is no run in nowhere'),
    (['--symbol', 'x.json'], '--symbol, --params and --dataset go together'),
    (['--symbol', 'x.json', '--params', 'y.params', '--dataset', 'digits'], 'there is no file x.json'),
    (['--symbol', 'README.md', '--params', 'LICENSE', '--dataset', 'digits'], 'cannot be read: truncated'),
])
def test_mistakes_are_one_line(command, arguments, expected):
    assert expected in one_line(command('eval.py', *arguments))


def test_weights_of_another_network_are_refused(command, runs, tmp_path):
    symbols.get_symbol('resnet', 8).save(str(tmp_path / 'other-symbol.json'))
    params = os.path.join(runs[0], 'batch8-epochs3-seed1', 'checkpoint-0003', 'model-0003.params')
    line = one_line(command('eval.py', '--symbol', tmp_path / 'other-symbol.json', '--params', params, '--dataset',
                            'cifar10', '--data-dir', runs[1], '--no-verify'))
    assert 'the weights are not those of the network' in line


def test_curves_are_drawn_for_runs_and_directories_of_seeds(command, runs, tmp_path):
    _, out, _ = command('plot.py', 'curves', runs[0], '--out', tmp_path / 'new' / 'curves', check=0)
    png, svg = out.split()
    assert cv2.imread(png).std() > 10
    with open(svg) as file:
        text = file.read()
    assert all(words in text for words in ('training loss', 'test error (%)', 'Plain 8 on cifar10, batch8-epochs3 (2 runs)'))


def test_a_curve_is_the_mean_of_its_seeds(runs):
    from plotting.curves import draw, group

    groups = group([runs[0]])
    assert [len(rows) for rows in groups.values()] == [2]
    loss, error = draw(groups).axes
    logs = [read_csv(os.path.join(runs[0], 'batch8-epochs3-seed%d' % seed)) for seed in (1, 2)]
    for axis, column in ((loss, 'train_loss'), (error, 'test_error')):
        line, = axis.get_lines()
        np.testing.assert_allclose(line.get_xdata(), [1, 2, 3])
        np.testing.assert_allclose(line.get_ydata(), np.mean([[float(row[column]) for row in rows] for rows in logs], 0))


def test_networks_are_drawn_side_by_side(command, tmp_path):
    _, out, _ = command('plot.py', 'network', '--net', 'resnet', 'dfn-mr', '--depth', 26, 14, '--out', tmp_path / 'n', check=0)
    assert all(os.path.getsize(path) > 10000 for path in out.split())
    assert 'give one --depth' in one_line(command('plot.py', 'network', '--net', 'resnet', 'dfn-mr', '--depth', 8, 14, 20))


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


def test_the_committed_run_has_its_error_on_the_real_test_images(command, tmp_path):
    """From the official files to the README's number, with weights and statistics alone."""
    os.symlink(official_folder('cifar-10-batches-bin'), str(tmp_path / 'cifar-10-batches-bin'))
    with open(os.path.join(REFERENCE, 'metrics.csv'), newline='') as file:
        last = list(csv.DictReader(file))[-1]
    _, out, _ = command('eval.py', REFERENCE, '--data-dir', tmp_path, check=0)
    error, loss = re.search(r'test error ([\d.]+) %, loss ([\d.]+), 10,000 images', out).groups()
    # a handful of images may change sides on a processor that rounds differently
    assert float(error) == pytest.approx(float(last['test_error']), abs=0.05)
    assert float(loss) == pytest.approx(float(last['test_loss']), rel=1e-3)
    with open(os.path.join(REFERENCE, 'config.json')) as file:
        expected = json.load(file)['dataset']['splits']['test']['content_sha256']
    with open(str(tmp_path / 'cifar10-test.json')) as file:
        assert json.load(file)['content_sha256'] == expected


def test_runs_that_are_not_finished_have_no_mean_and_those_without_an_epoch_no_curve(command, runs, tmp_path):
    logs = tmp_path / 'plain-8'
    shutil.copytree(runs[0], str(logs))
    path = str(logs / 'batch8-epochs3-seed2' / 'config.json')
    with open(path) as file:
        config = json.load(file)
    with open(path, 'w') as file:
        json.dump(dict(config, outcome=None), file)
    _, out, _ = command('eval.py', logs, '--no-verify', check=0)
    assert 'no mean: not all of these 2 runs are finished' in out and '±' not in out
    os.remove(str(logs / 'batch8-epochs3-seed2' / 'metrics.csv'))
    _, out, _ = command('plot.py', 'curves', logs, '--out', tmp_path / 'c', check=0)
    os.remove(str(logs / 'batch8-epochs3-seed1' / 'metrics.csv'))
    assert 'has finished an epoch yet' in one_line(command('plot.py', 'curves', logs, '--out', tmp_path / 'c'))
