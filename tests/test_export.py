"""export.py as a user calls it."""

import filecmp
import json
import os
import re
import shutil
import textwrap

import numpy as np
from PIL import Image
import pytest

from common.errors import UserError
from common.mxnet import mx
from data import augmentation
import eval
import export
from interop import check
from paper import cards, results
from paper.experiments import Experiment, Measurement
from symbols import imagenet
from tests.conftest import in_process, official_folder
from tests.data.small_folders import write_folders
from tests.interop.networks import untrained
from tests.runs import only_run, read_json
import train_images
from training import checkpoint, options, run_directory

RUNS = {
    name: f'logs/cifar10/{name}/epochs8-seed1'
    for name in ('dfn-mr-14', 'resnet-26', 'plain-26', 'dfn-il-14', 'dfn-f3-14', 'ensemble-14')
}
RUNS['component-14'] = 'logs/cifar10/component-14/pathRLR-epochs8-seed1'
RUN = RUNS['dfn-mr-14']


def needs(*packages):
    """Skip a test where packages of `make extras` are missing."""
    for package in packages:
        pytest.importorskip(package)


@pytest.fixture
def few_images(monkeypatch, tmp_path):
    """A folder with the first 200 official test images, and a few for training."""
    source, target = official_folder('cifar-10-batches-bin'), tmp_path / 'data' / 'cifar-10-batches-bin'
    target.mkdir(parents=True)
    for name in [f'data_batch_{i}.bin' for i in range(1, 6)] + ['test_batch.bin']:
        with open(os.path.join(source, name), 'rb') as file:
            (target / name).write_bytes(file.read(200 * 3073 if name == 'test_batch.bin' else 3073))
    return tmp_path / 'data'


@pytest.fixture
def few_of_imagenet(tmp_path):
    """A folder with the validation images of four classes of the sample of ImageNet."""
    source, target = official_folder('imagenet'), tmp_path / 'imagenet' / 'val'
    target.mkdir(parents=True)
    for wnid in sorted(os.listdir(os.path.join(source, 'val')))[::250]:
        shutil.copytree(os.path.join(source, 'val', wnid), target / wnid)
    return target.parent


def lines_of_check(out):
    """(file, equal, of, difference) of each line that --check prints."""
    found = []
    for line in out.splitlines():
        if ': ' in line:
            path, text = line.split(': ')
            words = text.replace(',', '').split()
            found.append((path, int(words[0]), int(words[2]), float(words[-1])))
    return found


def check_all(run, folder, tmp_path, *words):
    """Export a run in all formats with --check, and assert that all images are predicted alike."""
    needs('onnx', 'onnxruntime', 'torch', 'safetensors')
    targets = ['--to', 'onnx', tmp_path / 'a.onnx', '--to', 'torch', tmp_path / 'a.st', '--to', 'gluon', tmp_path / 'a']
    _, out, _ = in_process(export.main, 'export.py', run, *targets, '--check', '--data-dir', folder, *words, check=0)
    found = lines_of_check(out)
    assert [path for path, *_ in found] == [str(tmp_path / name) for name in ('a.onnx', 'a.st', 'a')]
    for _, equal, images, difference in found:
        assert equal == images and 0 < difference < 1e-5
    return found


@pytest.mark.parametrize('name', ['dfn-mr-14', 'ensemble-14'])
def test_all_formats_predict_as_the_run_does(name, few_images, tmp_path):
    found = check_all(RUNS[name], few_images, tmp_path, '--no-verify', '--with-preprocessing')
    assert found[0][2] == 200


@pytest.mark.slow
@pytest.mark.parametrize('name', RUNS)
def test_all_formats_predict_all_test_images_as_the_run_does(name, tmp_path):
    official_folder('cifar-10-batches-bin')
    found = check_all(RUNS[name], os.environ['DFN_DATA'], tmp_path, '--with-preprocessing')
    assert found[0][2] == 10000


@pytest.mark.slow
@pytest.mark.parametrize('net, depth', imagenet.NETWORKS)
def test_networks_for_imagenet_predict_real_images_alike(net, depth, few_of_imagenet, tmp_path):
    needs('safetensors')
    from interop import safetensors_files

    network = untrained(net, depth, num_classes=1000, is_imagenet=True)
    network.facts.update(dataset='imagenet', mean=augmentation.MEAN, std=augmentation.STD)
    safetensors_files.write(network, str(tmp_path / 'b.safetensors'))
    in_process(export.main, 'export.py', tmp_path / 'b.safetensors', '--to', 'run', tmp_path / 'run', check=0)
    found = check_all(tmp_path / 'run', few_of_imagenet, tmp_path, '--no-verify', '--with-preprocessing')
    assert found[0][2] == 4


@pytest.mark.parametrize('equal, difference, passes', [(9, 2e-6, False), (10, 2e-6, True), (10, 0.33, False)])
def test_equal_predictions_with_other_probabilities_are_no_success(equal, difference, passes):
    assert check.Comparison(10, equal, difference).passes == passes


def test_the_check_sees_a_difference(few_images, tmp_path, monkeypatch):
    monkeypatch.setattr(check, 'block', lambda path, facts: lambda data: np.eye(10, dtype=np.float32)[[0] * len(data)])
    words = ['--to', 'gluon', tmp_path / 'a', '--check', '--data-dir', few_images, '--no-verify']
    status, out, _ = in_process(export.main, 'export.py', RUN, *words)
    ((_, equal, images, difference),) = lines_of_check(out)
    assert status == 1 and 0 < equal < images / 2 and difference > 0.5


@pytest.mark.parametrize('name', ['dfn-mr-14', 'ensemble-14', 'component-14'])
def test_weights_come_back_from_pytorch_bit_for_bit(name, tmp_path):
    needs('torch', 'safetensors')
    from interop import torch_networks

    file, run = tmp_path / 'a.safetensors', tmp_path / 'pytorch-seed1'
    in_process(export.main, 'export.py', RUNS[name], '--to', 'torch', file, check=0)
    torch_networks.save(torch_networks.load(file), tmp_path / 'b.safetensors')
    in_process(export.main, 'export.py', tmp_path / 'b.safetensors', '--to', 'run', run, check=0)
    symbol, *ours = checkpoint.load_model(f'{RUNS[name]}/checkpoint-0008')
    again, *theirs = checkpoint.load_model(str(run / 'checkpoint-0008'))
    for one, other in zip(ours, theirs):
        assert set(one) == set(other)
        for array in one:
            assert one[array].asnumpy().tobytes() == other[array].asnumpy().tobytes(), array
    assert symbol.list_arguments() == again.list_arguments() and symbol.list_outputs() == again.list_outputs()
    config = run_directory.read_config(str(run))
    assert config['options']['framework'] == 'pytorch' and config['imported']['file'] == 'b.safetensors'


def test_what_is_known_of_a_run_comes_back_and_nothing_is_invented(tmp_path):
    needs('torch', 'safetensors')
    from interop import torch_networks

    file, untouched, changed = tmp_path / 'a.safetensors', tmp_path / 'a-seed2', tmp_path / 'b'
    source = 'logs/cifar10/dfn-mr-14/epochs8-seed2'
    in_process(export.main, 'export.py', source, '--to', 'torch', file, check=0)
    _, _, err = in_process(export.main, 'export.py', file, '--to', 'run', untouched, check=0)
    assert not err
    before, after = (run_directory.read_config(str(run))['options'] for run in (source, untouched))
    assert options.fixed(before).items() <= options.fixed(after).items()
    card = cards.card(str(untouched))
    assert 'CIFAR-10, seed 2' in card and 'batches of 64 over mxnet(0), learning rate 0.1 by' in card
    assert '| made with | MXNet, imported from a.safetensors' in card
    torch_networks.save(torch_networks.load(file), file, epochs=20, lr=0.01)  # trained further
    _, _, err = in_process(export.main, 'export.py', file, '--to', 'run', changed, check=0)
    assert 'compare.py shows runs whose name ends in seed1' in err
    card = cards.card(str(changed))
    assert '14 on CIFAR-10\n' in card and '| 20 epochs, lr 0.01, the rest is not recorded |' in card
    assert '| made with | PyTorch, imported' in card


def test_a_network_of_ones_own_is_not_written_for_pytorch_before_it_is_there(tmp_path):
    needs('safetensors')
    from interop import safetensors_files

    network = untrained('resnet', 8)
    network.facts['net'] = 'resnet-sum'
    with pytest.raises(UserError, match='torch_networks.py has no resnet-sum: add it there'):
        safetensors_files.write(network, str(tmp_path / 'a'))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    'wrong, line',
    [
        (dict(classes=['cat', 'dog']), '2 classes do not fit num_classes 10'),
        (dict(mean=[0.49, 0.48, 0.45], std=[0.25, 0.24, 0.26]), 'not in 0–1'),
        (dict(std=[0, 60, 60]), 'three numbers each'),
        (dict(mean=['a', 'b', 'c']), 'three numbers each'),
    ],
)
def test_facts_that_no_command_could_use_are_refused(wrong, line, tmp_path, mistake):
    needs('torch', 'safetensors')
    from interop import torch_networks

    facts = dict(dataset='cifar10', epochs=4, mean=[120, 120, 120], std=[60, 60, 60])
    torch_networks.save(torch_networks.build('dfn-mr', 8), tmp_path / 'a', **{**facts, **wrong})
    assert line in mistake(export.main, 'export.py', tmp_path / 'a', '--to', 'run', tmp_path / 'run')


def test_eval_judges_a_run_from_pytorch(few_images, tmp_path):
    needs('safetensors')
    file, run = tmp_path / 'a.safetensors', tmp_path / 'pytorch-seed1'
    in_process(export.main, 'export.py', RUN, '--to', 'torch', file, check=0)
    in_process(export.main, 'export.py', file, '--to', 'run', run, check=0)
    lines = [
        in_process(eval.main, 'eval.py', one, '--data-dir', few_images, '--no-verify', check=0) for one in (RUN, run)
    ]
    ours, theirs = (
        [line for line in out.splitlines() if 'test error' in line][0].split(': ')[1] for _, out, _ in lines
    )
    assert ours == theirs


def test_a_run_on_own_images_goes_out_and_comes_back(tmp_path, random):
    needs('onnx', 'onnxruntime', 'torch', 'safetensors')
    write_folders(tmp_path / 'pets', random)
    words = ['--data-dir', tmp_path / 'pets', '--net', 'resnet', '--depth', '8', '--epochs', '1', '--batch-size', '4']
    in_process(train_images.main, 'train_images.py', *words, '--log-dir', tmp_path / 'logs', check=0)
    found = check_all(only_run(tmp_path / 'logs'), tmp_path / 'pets', tmp_path, '--with-preprocessing')
    assert found[0][2] == 8
    in_process(export.main, 'export.py', tmp_path / 'a.st', '--to', 'run', tmp_path / 'run', check=0)
    _, out, _ = in_process(eval.main, 'eval.py', tmp_path / 'run', '--data-dir', tmp_path / 'pets', check=0)
    _, expected, _ = in_process(eval.main, 'eval.py', tmp_path / 'logs', check=0)
    assert 'val error' in out and out.split(': ')[1] == expected.split(': ')[1]
    shutil.rmtree(tmp_path / 'pets' / 'val')
    _, _, err = in_process(eval.main, 'eval.py', tmp_path / 'run', '--data-dir', tmp_path / 'pets', check=2)
    assert 'pets has neither val/<class>/* nor val.rec' in err


def test_tables_tell_a_run_from_pytorch_from_the_papers(tmp_path, mistake):
    needs('torch', 'safetensors')
    from interop import torch_networks

    file, run = tmp_path / 'a.safetensors', tmp_path / 'logs' / 'cifar10' / 'dfn-mr-14' / 'pytorch-seed1'
    net = torch_networks.build('dfn-mr', 14)
    rows = [{'epoch': epoch, 'train_loss': 1.5, 'test_error': 20 - epoch} for epoch in range(1, 5)]
    torch_networks.save(net, file, dataset='cifar10', epochs=4, metrics=rows, devices=2)
    in_process(export.main, 'export.py', file, '--to', 'run', run, check=0)
    measurement = Measurement('test_error', Experiment('cifar10', 'dfn-mr', 14))
    (found,) = results.find(measurement, str(tmp_path / 'logs'), epochs=4)
    assert found.last == [16] and found.differences == ('--framework pytorch',)
    card = cards.card(str(run))
    assert 'imported from a.safetensors' in card and '16.00 % after the last epoch' in card
    os.remove(run / 'metrics.csv')
    with pytest.raises(UserError, match='metrics.csv is missing'):
        cards.card(str(run))
    for wrong in (
        dict(metrics=[{'test_error': 9.0}]),
        dict(metrics=[{'epoch': 1, 'test_error': 'low'}]),
        dict(metrics='abc'),
        dict(lr='fast'),
        dict(devices='two'),
    ):
        torch_networks.save(net, file, dataset='cifar10', epochs=4, **wrong)
        assert 'a run made of its facts' in mistake(export.main, 'export.py', file, '--to', 'run', tmp_path / 'wrong')
        assert not list(tmp_path.glob('wrong*'))
    torch_networks.save(net, file, dataset='cifar10', epochs=4, devices=2)
    in_process(export.main, 'export.py', file, '--to', 'run', tmp_path / 'without', check=0)
    assert '| test error | not recorded |' in cards.card(str(tmp_path / 'without'))


def test_tables_do_without_what_pytorch_did_not_record(tmp_path):
    """The errors of an ensemble's members, and for another run even its own."""
    needs('torch', 'safetensors')
    from interop import torch_networks

    file, logs = tmp_path / 'a.safetensors', tmp_path / 'logs'
    for net, row in (('ensemble', {'test_error': 8.0}), ('dfn-mr', {'train_loss': 0.5})):
        rows = [{'epoch': epoch, **row} for epoch in (1, 2)]
        torch_networks.save(torch_networks.build(net, 26), file, dataset='cifar10', epochs=2, metrics=rows)
        in_process(export.main, 'export.py', file, '--to', 'run', logs / 'cifar10' / f'{net}-26/pytorch-seed1', check=0)
    found = [
        [group.last for group in results.find(Measurement(measure, Experiment('cifar10', net, 26)), str(logs), 2)]
        for net, measure in (('ensemble', 'test_error'), ('ensemble', 'test_error_RRR'), ('dfn-mr', 'test_error'))
    ]
    assert found == [[[8.0]], [], []]
    assert '| test error | not recorded |' in cards.card(str(logs / 'cifar10/dfn-mr-26/pytorch-seed1'))


WRONG = [
    (['nowhere', '--to', 'gluon', 'a'], 'not a run directory'),
    (['logs/samples/digits/dfn-mr-14/epochs15-seed1', '--to', 'gluon', 'a'], 'no weights'),
    ([RUN, '--to', 'caffe', 'a'], 'choose one of onnx, torch, gluon, run'),
    ([RUN, '--to', 'gluon', 'nowhere/a'], 'no folder nowhere'),
    ([RUN, '--to', 'gluon', 'there'], 'is there already'),
    ([RUN, '--to', 'gluon', 'a', '--with-preprocessing'], 'for --to onnx'),
    ([RUN, '--to', 'run', 'a', '--check'], 'stands alone'),
    ([RUN, '--to', 'gluon', 'a', '--to', 'gluon', 'a'], 'a-symbol.json would be written twice'),
    ([RUN], 'required: --to'),
]


@pytest.mark.parametrize('words, message', WRONG, ids=[message for _, message in WRONG])
def test_mistakes(words, message, mistake, tmp_path):
    (tmp_path / 'there-symbol.json').write_text('')
    words = [str(tmp_path / word) if word in ('a', 'there') else word for word in words]
    assert message in mistake(export.main, 'export.py', *words)
    assert [path.name for path in tmp_path.iterdir()] == ['there-symbol.json']


def test_one_format_does_not_take_the_file_of_another(mistake, tmp_path):
    needs('safetensors')
    words = ['--to', 'gluon', tmp_path / 'a', '--to', 'torch', tmp_path / 'a-symbol.json']
    assert 'a-symbol.json would be written twice' in mistake(export.main, 'export.py', RUN, *words)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_one_line(mistake, monkeypatch, tmp_path):
    monkeypatch.setattr(export.importlib.util, 'find_spec', lambda name: None)
    assert 'needs the package onnx: `make extras`' in mistake(
        export.main, 'export.py', RUN, '--to', 'onnx', tmp_path / 'a'
    )


def test_force_replaces_files_but_no_run(mistake, tmp_path):
    needs('safetensors')
    file = tmp_path / 'a.safetensors'
    file.write_text('old')
    in_process(export.main, 'export.py', RUN, '--to', 'torch', file, '--force', check=0)
    in_process(export.main, 'export.py', file, '--to', 'run', tmp_path / 'run', check=0)
    assert 'is there already' in mistake(export.main, 'export.py', file, '--to', 'run', tmp_path / 'run', '--force')


def damaged(kind, path):
    """A file for --to run that is no network of the paper in a certain way."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(path, framework='numpy') as file:
        facts = json.loads(file.metadata()['facts'])
        arrays = {name: file.get_tensor(name) for name in file.keys()}
    if kind == 'truncated':
        path.write_bytes(path.read_bytes()[:-1])
        return
    if kind == 'a depth too large':
        facts['depth'] = 20
    elif kind == 'no facts':
        facts = {}
    elif kind == 'facts of another type':
        facts = {**facts, 'depth': 'fourteen'}
    elif kind == 'an epoch that is none':
        facts['epochs'] = -1
    elif kind == 'an unknown data set':
        facts['dataset'] = 'mnist'
    elif kind == 'an unknown name':
        arrays['head.weight'] = arrays.pop('fc.weight')
    elif kind == 'half precision':
        arrays['fc.weight'] = arrays['fc.weight'].astype(np.float16)
    elif kind == 'nan':
        arrays['fc.weight'][0, 0] = np.nan
    save_file(arrays, path, {'facts': json.dumps(facts)})


@pytest.mark.parametrize(
    'kind',
    [
        'truncated',
        'a depth too large',
        'no facts',
        'facts of another type',
        'an epoch that is none',
        'an unknown data set',
        'an unknown name',
        'half precision',
        'nan',
    ],
)
def test_files_that_are_no_network(kind, mistake, tmp_path):
    needs('safetensors')
    file = tmp_path / 'a.safetensors'
    in_process(export.main, 'export.py', RUN, '--to', 'torch', file, check=0)
    damaged(kind, file)
    mistake(export.main, 'export.py', file, '--to', 'run', tmp_path / 'run')
    assert [path.name for path in tmp_path.iterdir()] == ['a.safetensors']


@pytest.mark.parametrize('target', ['run', 'gluon'])
@pytest.mark.parametrize('missing', [1, 1000])  # bytes of the weights; MXNet notices neither
def test_no_truncated_weights_are_left_by_a_full_disk(target, missing, full_disk, mistake, tmp_path):
    needs('safetensors')
    file, weights = tmp_path / 'a.safetensors', os.path.join(RUN, 'checkpoint-0008', 'model-0008.params')
    in_process(export.main, 'export.py', RUN, '--to', 'torch', file, check=0)
    source, out = file if target == 'run' else RUN, tmp_path / 'out'
    out.mkdir()
    with full_disk(os.path.getsize(weights) - missing):
        assert 'is the disk full?' in mistake(export.main, 'export.py', source, '--to', target, out / 'it')
    assert os.listdir(out) == []


def test_what_an_imported_run_of_ones_own_images_has_to_say(mistake, tmp_path):
    needs('torch', 'safetensors')
    from interop import torch_networks

    file, net = str(tmp_path / 'a.safetensors'), torch_networks.build('plain', 8, num_classes=2)
    facts = dict(dataset='pets', size=32, epochs=1, metrics=[{'epoch': 1, 'test_error': 50.5}])
    torch_networks.save(net, file, **facts)
    assert 'has no classes, mean, std' in mistake(export.main, 'export.py', file, '--to', 'run', tmp_path / 'run')
    torch_networks.save(net, file, **facts, classes=['cat', 'dog'], mean=[120] * 3, std=[60] * 3)
    in_process(export.main, 'export.py', file, '--to', 'run', tmp_path / 'run', check=0)
    config = read_json(tmp_path / 'run')
    assert config['dataset']['tested_on'] == 'val' and config['outcome']['fail'] is True


def test_weights_that_do_not_belong_to_the_symbol(mistake, tmp_path):
    run = tmp_path / 'run'
    shutil.copytree(RUN, run)
    os.remove(run / 'SHA256SUMS')  # which would name the file as damaged
    file = str(run / 'checkpoint-0008' / 'model-0008.params')
    arrays = mx.nd.load(file)
    arrays['arg:fc_weight'] = arrays['arg:fc_weight'][:5]
    mx.nd.save(file, arrays)
    assert 'fc_weight' in mistake(export.main, 'export.py', run, '--to', 'gluon', tmp_path / 'a')


def test_the_code_on_the_page_runs(tmp_path, monkeypatch, random):
    needs('onnx', 'onnxruntime', 'torch', 'safetensors')
    with open('docs/export.md') as file:
        page = file.read()
    blocks = [textwrap.dedent(block) for block in re.findall(r'(?:^ {4}.+\n|^\n(?= {4}))+', page, re.MULTILINE)]
    code = [block for block in blocks if re.match('\\s*(import|from) ', block)]
    assert len(code) == 3
    run = os.path.abspath(RUN)
    monkeypatch.chdir(tmp_path)
    targets = ['--to', 'onnx', 'dfn-mr-14.onnx', '--to', 'torch', 'dfn-mr-14.safetensors', '--to', 'gluon', 'dfn-mr-14']
    in_process(export.main, 'export.py', run, *targets, '--with-preprocessing', check=0)
    Image.fromarray(random.randint(0, 256, (40, 50, 3)).astype(np.uint8)).save('image.png')
    for block in code:
        exec(block, {})


def test_what_is_written_is_the_same_each_time(tmp_path):
    needs('onnx', 'safetensors')
    for number in (1, 2):
        targets = [word for kind in ('onnx', 'torch') for word in ('--to', kind, tmp_path / f'{number}.{kind}')]
        in_process(export.main, 'export.py', RUN, *targets, check=0)
    for kind in ('onnx', 'torch'):
        assert filecmp.cmp(tmp_path / f'1.{kind}', tmp_path / f'2.{kind}', shallow=False)
