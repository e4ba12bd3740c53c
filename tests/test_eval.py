"""eval.py on small runs of the tests' own making, and on committed ones with the real test images."""

import os
import re
import shutil

from matplotlib import pyplot as plt
import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
import data
from data import records
import eval as evaluation
from paper import experiments, results
import symbols
from symbols.ensemble import COMPONENTS
from tests.conftest import ROOT, in_process, official_folder, write_run
from tests.runs import read_csv, read_json, rewrite
import train_cifar

LOGS = os.path.join(ROOT, 'logs', 'cifar10')
ENSEMBLE, COMPONENT, FUSED = 'ensemble-8/epochs2-seed1', 'component-8/path{}-epochs2-seed1', 'dfn-f3-8/epochs2-seed1'
PLAIN = 'plain-8/epochs3-seed{}'


class Runs:
    """Runs on scikit-learn's digits in their own 8×8 pixels and a black border, packed as RecordIO.

    Attributes:
        data: the folder of the data set.
        logs: the folder above the networks.
        images, labels: of the test set; (360, 3, 12, 12) uint8.
    """

    def __init__(self, folder):
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.pad(digits.images * (255 / 16), ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
        images = np.repeat(images[..., None], 3, axis=3)
        self.data, self.logs = str(folder / 'data'), str(folder / 'logs' / 'digits')
        for split, part in (('train', slice(360, None)), ('test', slice(360))):
            records.write(os.path.join(self.data, f'digits-{split}'), images[part], digits.target[part], verified=True)
        self.images, self.labels = images[:360].transpose(0, 3, 1, 2), digits.target[:360]
        self._folder = folder

    def train(self, *words):
        in_process(
            train_cifar.main,
            'train_cifar.py',
            '--depth',
            8,
            '--dataset',
            'digits',
            '--data-dir',
            self.data,
            '--log-dir',
            self._folder / 'logs',
            '--net',
            *words,
            check=0,
        )

    def path(self, name):
        return os.path.join(self.logs, name)

    def probabilities(self, name, epoch):
        """{output: (360, 10)} of a checkpoint on the test images, with MXNet's own loader."""
        symbol, arguments, statistics = mx.model.load_checkpoint(
            os.path.join(self.path(name), f'checkpoint-{epoch:04}', 'model'), epoch
        )
        inputs = {'data': mx.nd.array((self.images - 79.626) / 90.804), 'softmax_label': mx.nd.zeros(360)}
        executor = symbol.bind(mx.cpu(), {**arguments, **inputs}, aux_states=statistics)
        outputs = executor.forward(is_train=False)
        return {name.replace('_output', ''): output.asnumpy() for name, output in zip(symbol.list_outputs(), outputs)}

    def error(self, members):
        """The test error in percent of the mean of (360, 10) arrays."""
        return 100 * (np.mean(members, axis=0).argmax(axis=1) != self.labels).mean()

    def loss(self, probabilities):
        """The cross-entropy of an (360, 10) array."""
        return -np.log(probabilities[np.arange(360), self.labels]).mean()


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Two seeds of a plain network, an ensemble, two component networks and N_f3."""
    runs = Runs(tmp_path_factory.mktemp('runs'))
    for words in (['plain', '--seed', 1], ['plain', '--seed', 2]):
        runs.train(*words, '--epochs', 3)
    for words in (['ensemble'], ['component', '--path', 'RRR'], ['component', '--path', 'LRL'], ['dfn-f3']):
        runs.train(*words, '--epochs', 2)
    return runs


def call(*words, check=0):
    """(standard output, standard error) of eval.py."""
    return in_process(evaluation.main, 'eval.py', *words, check=check)[1:]


def found(out):
    """[(test error, loss)] of eval.py's lines."""
    return [tuple(map(float, pair)) for pair in re.findall(r'test error ([\d.]+) %, loss ([\d.]+), 360 images', out)]


def rows(out):
    """{member: its numbers} of eval.py's table."""
    return {
        name: [float(number) for number in numbers.split()]
        for name, numbers in re.findall(r'^([LR]{3}|overall) +([\d. ]+)$', out, re.M)
    }


def close(ours, expected):
    """To a printed percentage, and an image of 360 whose two largest probabilities are equal but for rounding."""
    return ours == pytest.approx(expected, abs=0.3)


def change_config(run, outcome=None, **options):
    """Write other options, and another outcome, into a run's config.json; returns what it held."""
    config = read_json(run)
    changed = {**config, 'options': {**config['options'], **options}}
    if outcome is not None:
        changed['outcome'] = outcome or None
    rewrite(run, 'config.json', changed)
    return config


# One network


@pytest.mark.parametrize(
    'options', [[], ['--batch-size', 7], ['--batch-size', 1], ['--cpus', 3, '--batch-size', 7], ['--batch-size', 1000]]
)
def test_evaluation_is_exact_for_any_batch_and_devices(runs, options):
    run = PLAIN.format(1)
    out, _ = call(runs.path(run), *options)
    probabilities = runs.probabilities(run, 3)['softmax']
    error = runs.error([probabilities])
    assert 5 < error < 85  # neither perfect nor by chance, so a wrong count shows
    assert found(out) == [(pytest.approx(error, abs=0.005), pytest.approx(runs.loss(probabilities), abs=1e-4))]
    assert float(read_csv(runs.path(run))[-1]['test_error']) == pytest.approx(error)
    assert 'epoch 3 of 3' in out


def test_a_directory_of_seeds_gives_mean_and_population_deviation(runs):
    out, _ = call(runs.path('plain-8'))
    errors = [runs.error(list(runs.probabilities(PLAIN.format(seed), 3).values())) for seed in (1, 2)]
    assert abs(errors[0] - errors[1]) > 0.2
    assert f'mean error {np.mean(errors):.2f} ± {abs(errors[0] - errors[1]) / 2:.2f} % (2 runs; population' in out


def test_a_runs_own_normalization_counts(runs, tmp_path):
    """As for a network that came from PyTorch with other means."""
    run = shutil.copytree(runs.path(PLAIN.format(1)), tmp_path / 'epochs3-seed1')
    config = read_json(run)
    config['dataset'] |= {'mean': [0.0] * 3, 'std': [255.0] * 3}
    rewrite(run, 'config.json', config)
    symbol, arguments, statistics = mx.model.load_checkpoint(str(run / 'checkpoint-0003' / 'model'), 3)
    inputs = {'data': mx.nd.array(runs.images / 255), 'softmax_label': mx.nd.zeros(360)}
    executor = symbol.bind(mx.cpu(), {**arguments, **inputs}, aux_states=statistics)
    expected = runs.error([executor.forward(is_train=False)[0].asnumpy()])
    out, _ = call(run, runs.path(PLAIN.format(1)))
    ours, before = (error for error, _ in found(out))
    assert close(ours, expected) and abs(ours - before) > 1


def test_the_two_files_of_mxnet_are_enough(runs, tmp_path):
    checkpoint = os.path.join(runs.path(PLAIN.format(2)), 'checkpoint-0003')
    for name in ('model-symbol.json', 'model-0003.params'):
        shutil.copy(os.path.join(checkpoint, name), tmp_path)
    out, _ = call(
        '--symbol',
        tmp_path / 'model-symbol.json',
        '--params',
        tmp_path / 'model-0003.params',
        '--dataset',
        'digits',
        '--data-dir',
        runs.data,
    )
    logged = float(read_csv(os.path.dirname(checkpoint))[-1]['test_error'])
    assert found(out)[0][0] == pytest.approx(logged, abs=0.005)


def test_best_takes_the_checkpoint_of_the_smallest_test_error(mistake, runs, tmp_path):
    run = str(tmp_path / 'epochs3-seed1')
    shutil.copytree(runs.path(PLAIN.format(1)), run)
    with open(os.path.join(run, 'metrics.csv')) as file:
        lines = file.read().split('\n')
    cells = lines[2].split(',')  # make the second epoch the best
    lines[2] = ','.join([*cells[:5], '0.1', *cells[6:]])
    rewrite(run, 'metrics.csv', '\n'.join(lines))
    out, _ = call(run, '--best', '--data-dir', runs.data)
    expected = runs.error(list(runs.probabilities(PLAIN.format(1), 2).values()))
    assert 'epoch 2 of 3' in out and found(out)[0][0] == pytest.approx(expected, abs=0.005)
    shutil.rmtree(os.path.join(run, 'checkpoint-0002'))
    assert 'does not keep the checkpoint of its best epoch, 2' in mistake(evaluation.main, 'eval.py', run, '--best')
    begun = write_run(tmp_path / 'begun', ['--net', 'plain', '--depth', 8], [], status=None)
    with pytest.raises(UserError, match='has no error of an epoch: leave out --best'):
        evaluation.best_of(begun, [])


def test_a_checkpoint_can_be_named_and_two_of_one_run_are_an_ensemble(mistake, runs):
    run = PLAIN.format(1)
    second, third = (os.path.join(runs.path(run), f'checkpoint-000{epoch}') for epoch in (2, 3))
    of_second, of_third = (runs.probabilities(run, epoch)['softmax'] for epoch in (2, 3))
    out, _ = call(second + '/', runs.path(run), '--data-dir', runs.data)
    assert [error for error, _ in found(out)] == [
        pytest.approx(runs.error([one]), abs=0.005) for one in (of_second, of_third)
    ]
    assert f'{second}, epoch 2 of 3' in out and 'mean' not in out
    out, _ = call('--ensemble', second, third, os.path.relpath(second))  # once
    assert close(found(out)[0][0], runs.error([of_second, of_third]))

    assert 'is a checkpoint: leave out --best' in mistake(evaluation.main, 'eval.py', '--best', second)
    assert 'name runs' in mistake(evaluation.main, 'eval.py', '--ensemble', '--save', second, third)
    assert 'there is no run in' in mistake(evaluation.main, 'eval.py', second[:-1] + '9')


def test_per_class_prints_the_confusion_table(runs):
    out, _ = call(runs.path(PLAIN.format(1)), '--per-class')
    lines = re.findall(r'^ *(\d) +((?:\d+ +){10})([\d.]+)$', out, re.M)
    table = np.array([[int(count) for count in counts.split()] for _, counts, _ in lines])
    assert table.sum(axis=1).tolist() == np.bincount(runs.labels).tolist()  # every image once
    assert found(out)[0][0] == pytest.approx(100 * (1 - np.trace(table) / 360), abs=0.005)
    for label, (_, _, error) in enumerate(lines):
        assert float(error) == pytest.approx(100 * (1 - table[label, label] / table[label].sum()), abs=0.005)


def test_with_many_classes_the_table_has_a_line_for_each_with_what_it_is_taken_for_most_often():
    confusion = np.zeros((30, 30), int)
    confusion[0, [0, 1, 2, 3, 4, 5]] = 40, 5, 30, 20, 3, 2
    lines = evaluation.confusion_table(confusion, [f'c{number:02}' for number in range(30)])
    assert len(lines) == 31 and lines[1] == 'c00    60.00  c02 30, c03 20, c01 5'
    assert lines[2].split() == ['c01', '–']  # it has no image


def test_other_test_images_than_the_runs_are_noted(runs, small_cifar, tmp_path):
    run = str(tmp_path / 'epochs3-seed1')
    shutil.copytree(runs.path(PLAIN.format(1)), run)
    change_config(run, dataset='cifar10')
    _, err = call(run, '--data-dir', small_cifar, '--no-verify')
    assert err.startswith('note: these are not the test images of')


def test_runs_that_are_not_finished_have_no_mean(runs, tmp_path):
    logs = tmp_path / 'plain-8'
    shutil.copytree(runs.path('plain-8'), logs)
    change_config(logs / 'epochs3-seed1', outcome=False)
    out, _ = call(logs, '--data-dir', runs.data)
    assert 'no mean: 1 of these 2 runs are finished and have weights' in out and '±' not in out
    for epoch in (2, 3):
        shutil.rmtree(logs / 'epochs3-seed1' / f'checkpoint-000{epoch}')
    out, _ = call(logs, '--data-dir', runs.data)
    assert 'epochs3-seed1 has no weights: it has saved none yet, or they were not kept' in out and len(found(out)) == 1


@pytest.mark.parametrize(
    'arguments, expected',
    [
        ([], 'name either run directories, or --symbol, --params and --dataset'),
        (['logs', '--dataset', 'digits'], 'name either run directories'),
        (['nowhere'], 'there is no run in nowhere'),
        (['--symbol', 'x.json'], 'name either run directories, or --symbol, --params and --dataset, all three'),
        (['--symbol', 'x.json', '--params', 'y.params', '--dataset', 'digits'], 'there is no file x.json'),
        (['--symbol', 'README.md', '--params', 'LICENSE', '--dataset', 'digits'], 'cannot be read: truncated'),
    ],
)
def test_mistakes_are_one_line(mistake, monkeypatch, arguments, expected):
    monkeypatch.chdir(ROOT)
    assert expected in mistake(evaluation.main, 'eval.py', *arguments)


def test_a_run_without_a_checkpoint_is_nothing_to_evaluate(mistake, runs, tmp_path):
    run = str(tmp_path / 'epochs2-seed1')
    shutil.copytree(runs.path(FUSED), run, ignore=shutil.ignore_patterns('checkpoint-*'))
    assert 'there is nothing to evaluate: no run has weights' in mistake_after_output(evaluation.main, run)


def mistake_after_output(main, *words):
    """The one line of a mistake that comes after other output."""
    status, _, err = in_process(main, 'eval.py', *words)
    assert status == 2 and err.count('\n') == 1, err
    return err


def test_weights_of_another_network_are_refused(mistake, runs, tmp_path):
    symbol = str(tmp_path / 'other-symbol.json')
    params = os.path.join(runs.path(PLAIN.format(1)), 'checkpoint-0003', 'model-0003.params')

    def line():
        return mistake(
            evaluation.main,
            'eval.py',
            '--symbol',
            symbol,
            '--params',
            params,
            '--dataset',
            'digits',
            '--data-dir',
            runs.data,
        )

    symbols.get_symbol('resnet', 8).save(symbol)
    assert 'the weights do not belong to the network: it needs ' in line()
    symbols.get_symbol('plain', 8, num_classes=100).save(symbol)
    assert 'has to end in a softmax over 10 classes' in line()
    symbols.get_symbol('plain', 8).get_internals()['fc_output'].save(symbol)  # scores without a softmax
    assert 'has to end in a softmax over 10 classes; it has fc_output' in line()
    params = str(tmp_path / 'list.params')
    mx.nd.save(params, [mx.nd.ones(3)])
    assert 'is not a checkpoint of a symbol' in line()


@pytest.fixture(scope='module')
def official(tmp_path_factory):
    """(a folder with CIFAR-10's test set packed, the SHA-256 of its images); the training images are not needed."""
    folder, (splits, _) = tmp_path_factory.mktemp('official'), data.SOURCES['cifar10'].read(official_folder(''), True)
    for split, count in (('train', 10), ('test', None)):
        about = records.write(str(folder / f'cifar10-{split}'), *(part[:count] for part in splits[split]), True)
    return folder, about['content_sha256']


@pytest.mark.parametrize('name, members', [('dfn-mr-14', 0), ('ensemble-14', 9)])
def test_a_committed_run_has_its_errors_on_the_real_test_images(official, name, members):
    """From the official files to the README's numbers, with weights and statistics alone."""
    run, (folder, sha256) = os.path.join(LOGS, name, 'epochs8-seed1'), official
    assert read_json(run)['dataset']['splits']['test']['content_sha256'] == sha256
    last = read_csv(run)[-1]
    out, err = call(run, '--data-dir', folder)
    assert err == ''  # no note that the images are others
    error, loss = re.search(r'test error ([\d.]+) %, loss ([\d.]+), 10,000 images', out).groups()
    # a handful of images may change sides on a processor that rounds differently
    assert float(error) == pytest.approx(float(last['test_error']), abs=0.05)
    assert float(loss) == pytest.approx(float(last['test_loss']), rel=1e-3)
    printed = rows(out)
    assert len(printed) == members
    for path in set(printed) - {'overall'}:
        assert printed[path][0] == pytest.approx(float(last[f'test_error_{path}']), abs=0.05)


# Ensembles


def test_tables_2_and_3_and_an_ensemble_without_some(runs):
    run = runs.path(ENSEMBLE)
    out, _ = call(run, '--drop-one', '--without', 'RRR', '--without', 'LLL,RRR', '--batch-size', 77)
    members, printed = runs.probabilities(ENSEMBLE, 2), rows(out)
    assert list(printed) == [*COMPONENTS, 'overall'] and list(members) == list(COMPONENTS)
    assert len({round(runs.error([p]), 1) for p in members.values()}) > 3  # they differ, so a mix-up shows
    for path in COMPONENTS:
        others = [p for name, p in members.items() if name != path]
        assert close(printed[path], [runs.error([members[path]]), runs.error(others)])
    assert close(printed['overall'], [runs.error(list(members.values()))])
    without = dict(re.findall(r'^without (\S+): error ([\d.]+) %$', out, re.M))
    assert float(without['RRR']) == printed['RRR'][1]
    assert close(
        float(without['LLL,RRR']), runs.error([p for name, p in members.items() if name not in ('LLL', 'RRR')])
    )
    out, _ = call(run)
    assert all(len(numbers) == 1 for numbers in rows(out).values()) and len(rows(out)) == 9


def test_separately_trained_components_are_one_ensemble(runs):
    names = [COMPONENT.format(path) for path in ('LRL', 'RRR')]
    members = [runs.path(name) for name in names]
    out, _ = call('--ensemble', *reversed(members), '--drop-one')
    outputs = [runs.probabilities(name, 2)['softmax'] for name in names]
    both, (first, second) = runs.error(outputs), [runs.error([output]) for output in outputs]
    assert abs(first - second) > 1
    printed = rows(out)
    assert list(printed) == ['LRL', 'RRR', 'overall']  # the tables' order
    assert close(printed['LRL'], [first, second]) and close(printed['RRR'], [second, first])
    assert close(printed['overall'], [both]) and 'ensemble of 2 runs' in out
    # any networks of one depth; their names are then the directories
    out, _ = call('--ensemble', members[0], runs.path(FUSED))
    mixed = runs.error([outputs[0], runs.probabilities(FUSED, 2)['softmax']])
    assert close(found(out)[0][0], mixed)
    assert re.search(rf'^{re.escape(members[0])} +[\d.]+$', out, re.M)


def test_eight_components_evaluated_together_are_kept_for_the_tables(mistake, runs, small_cifar, tmp_path):
    """Two trained networks stand in for the eight: four components each."""
    members = [str(tmp_path / 'digits' / COMPONENT.format(path)) for path in COMPONENTS]
    for path, member in zip(COMPONENTS, members):
        shutil.copytree(runs.path(COMPONENT.format('LRL' if path[2] == 'L' else 'RRR')), member)
        change_config(member, path=path)
    out, _ = call('--ensemble', '--save', *members)
    path = out.splitlines()[-1]
    assert path == str(tmp_path / 'digits' / 'component-8' / 'together-epochs2-seed1.json')
    both = runs.error([runs.probabilities(COMPONENT.format(trained), 2)['softmax'] for trained in ('LRL', 'RRR')])
    together = experiments.Measurement(experiments.TOGETHER, experiments.Experiment('digits', 'component', 8))
    (group,) = results.find(together, str(tmp_path), epochs=2)
    assert group.runs == [path] and group.only_devices_differ and close(group.last, [both])

    def line(*words):
        return mistake(evaluation.main, 'eval.py', *words)

    assert 'for the eight component networks' in line('--ensemble', '--save', *members[:7])
    assert '--save is for --ensemble' in line('--save', members[0])
    assert 'leave out --best and --split' in line('--ensemble', '--save', '--best', *members)
    os.remove(path)
    for member in members:
        change_config(member, dataset='cifar10')
    others = ['--data-dir', small_cifar, '--no-verify']
    assert 'these are not the test images of' in line('--ensemble', '--save', *members, *others)
    assert not os.path.exists(path)
    for member in members:
        change_config(member, dataset='digits')
    change_config(members[COMPONENTS.index('LRL')], outcome=False)
    assert 'is not finished: --save is for finished runs' in line('--ensemble', '--save', *members)


def test_a_member_that_is_not_finished_is_marked(runs, tmp_path):
    members = [str(tmp_path / path) for path in ('LRL', 'RRR')]
    for member, path in zip(members, ('LRL', 'RRR')):
        shutil.copytree(runs.path(COMPONENT.format(path)), member)
    change_config(members[1], outcome={'status': 'not finite'})
    out, _ = call('--ensemble', *members)
    assert out.splitlines()[:2] == [f'{members[0]}, epoch 2 of 2', f'{members[1]}, epoch 2 of 2 (not finished)']


def test_seeds_of_an_ensemble_have_a_mean_for_every_member(runs, tmp_path):
    """The run after its first epoch stands in for a second seed."""
    last = read_csv(runs.path(ENSEMBLE))
    for seed in (1, 2):
        shutil.copytree(runs.path(ENSEMBLE), tmp_path / f'epochs2-seed{seed}')
    shutil.rmtree(tmp_path / 'epochs2-seed2' / 'checkpoint-0002')
    out, _ = call(tmp_path, '--data-dir', runs.data, '--drop-one')
    table = out[out.index('(2 runs; population') :]
    for name, column in (('RLR', 'test_error_RLR'), ('overall', 'test_error')):
        one, two = (float(row[column]) for row in last)
        assert abs(one - two) > 1
        (cell,) = re.findall(rf'^{name} +([\d.]+) ± ([\d.]+)', table, re.M)
        assert close([float(number) for number in cell], [(one + two) / 2, abs(one - two) / 2])


@pytest.mark.parametrize(
    'arguments, expected',
    [
        (['{ensemble}', '--without', 'RRX'], 'there is no member RRX; there are LLL, RLL'),
        (['{ensemble}', '--without', ','.join(COMPONENTS)], 'leaves no member'),
        (['{fused}', '--drop-one'], 'has one output: --drop-one and --without are for ensembles'),
        (['{fused}', '--without', 'RRR'], 'has one output'),
        (['--ensemble', '{fused}', '{ensemble}'], 'is an ensemble itself'),
        (['--ensemble', '{fused}', '{deeper}'], 'has depth 14, {fused} has 8: they cannot be one ensemble'),
        (['--ensemble', '{fused}', '{elsewhere}'], 'has dataset cifar10, {fused} has digits'),
        (['--ensemble', '{fused}', '{other}'], 'were tested on different images'),
        (['--ensemble', '{fused}', '{brighter}'], 'normalize their images differently'),
        (['--ensemble', '{fused}', '{reordered}'], 'have their classes in another order'),
        (['{moved}'], 'the images of the run were in nowhere, which is not here: name it with --data-dir'),
        (['--ensemble', '{fused}'], 'alone is no ensemble'),
        (['--ensemble', '{fused}', '{empty}'], 'has no weights'),
        (['--ensemble'], 'name either run directories'),
    ],
)
def test_what_cannot_be_evaluated_together_is_one_line(mistake, runs, tmp_path, arguments, expected):
    where = {'ensemble': runs.path(ENSEMBLE), 'fused': runs.path(FUSED)}
    for name, change in (
        ('deeper', {'depth': 14}),
        ('elsewhere', {'dataset': 'cifar10'}),
        ('empty', {}),
        ('other', {}),
        ('brighter', {}),
        ('reordered', {}),
        ('moved', {'data_dir': 'nowhere'}),
    ):
        where[name] = str(tmp_path / name)
        shutil.copytree(where['fused'], where[name])
        change_config(where[name], **change)
        config = read_json(where[name])
        if name == 'other':
            config['dataset']['splits']['test']['content_sha256'] = '0' * 64
        if name == 'brighter':
            config['dataset']['mean'] = [100.0] * 3
        if name == 'reordered':
            config['dataset']['classes'].reverse()
        rewrite(where[name], 'config.json', config)
    for checkpoint in ('checkpoint-0001', 'checkpoint-0002'):
        shutil.rmtree(os.path.join(where['empty'], checkpoint))
    assert expected.format(**where) in mistake(
        evaluation.main, 'eval.py', *(word.format(**where) for word in arguments)
    )


def test_files_to_look_at(mistake, runs, tmp_path):
    paths = {name: str(tmp_path / name) for name in ('predictions.npz', 'wrong.png', 'confusion.png')}
    words = [word for name, path in paths.items() for word in (f'--{name.split(".")[0]}', path)]
    _, out, _ = in_process(evaluation.main, 'eval.py', runs.path(ENSEMBLE), *words, check=0)
    with np.load(paths['predictions.npz']) as file:
        assert sorted(file['labels']) == sorted(runs.labels)
        wrong = file['probabilities'].argmax(axis=1) != file['labels']
        assert f'test error {100 * wrong.mean():.2f} %' in out
        split = np.ptp(file['members'].argmax(axis=2), axis=0) > 0
    assert f'members disagree on {100 * split.mean():.2f} % of the images' in out
    assert min(plt.imread(paths[name]).std() for name in ('wrong.png', 'confusion.png')) > 0.05
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(paths)
    plain = runs.path(PLAIN.format(1)), runs.path(PLAIN.format(2))
    assert 'is for one run, or for one ensemble' in mistake(evaluation.main, 'eval.py', *plain, *words)
    nowhere = ['--wrong', str(tmp_path / 'no' / 'wrong.png')]
    assert 'there is no folder' in mistake(evaluation.main, 'eval.py', plain[0], *nowhere)
    twice = ['--wrong', str(tmp_path / 'a.png'), '--confusion', str(tmp_path / 'a.png')]
    assert 'would be written twice' in mistake(evaluation.main, 'eval.py', plain[0], *twice)


@pytest.mark.slow
def test_the_demo_keeps_its_promise(command, tmp_path):
    """The commands of `make demo`: test error under 3 %."""
    command(
        'train_cifar.py',
        '--dataset',
        'digits',
        '--net',
        'dfn-mr',
        '--depth',
        14,
        '--epochs',
        15,
        '--log-dir',
        tmp_path,
        check=0,
    )
    _, out, _ = command('eval.py', tmp_path, check=0)
    assert found(out)[0][0] < 3
