"""Beginning with another run's weights: what is taken, what is new, and what learns when the rest is frozen."""

import os
import shutil

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
import symbols
from tests.conftest import in_process, write_cifar
from tests.runs import checkpoints, end, only_run, read_bytes, read_json
from tests.training import noise
import train_cifar
from training import checkpoint
from training.initializer import initial_parameters
from training.replicas import Predictor
from training.transfer import fc_names, find, frozen_form, take

FC = {'fc_weight', 'fc_bias'}


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A run on noise, and a copy of it in which two classes have other names."""
    root = tmp_path_factory.mktemp('source')
    noise.fit(root, '--batch-size', 8)
    return only_run(root)


def model(run, place=-1):
    """{name: array} of parameters and of statistics in a checkpoint of a run."""
    _, parameters, statistics = checkpoint.load_model(os.path.join(run, checkpoints(run)[place]))
    return [{name: value.asnumpy() for name, value in arrays.items()} for arrays in (parameters, statistics)]


class Other(noise.Noise):
    """The same images with other classes."""

    classes = tuple('abcdefghij')


def begin(source, log_dir, *words, data=noise.Noise):
    """The weights before the first step of a run that begins with another, and its run directory."""
    seen = []

    def before(epoch, step):
        seen.append(None)
        raise noise.Killed

    noise.fit(log_dir, '--init-from', source, *words, noise=data(before))
    assert seen
    return only_run(log_dir)


def first_weights(monkeypatch):
    """A list that gets the Replicas of each Trainer."""
    import training.loop

    made, original = [], training.loop.initial_replicas
    monkeypatch.setattr(training.loop, 'initial_replicas', lambda *args: made.append(original(*args)) or made[-1])
    return made


def test_weights_and_statistics_are_the_sources_and_fc_is_new_where_classes_differ(source, tmp_path, monkeypatch):
    made = first_weights(monkeypatch)
    same, other = begin(source, tmp_path / 'a'), begin(source, tmp_path / 'b', data=Other)
    parameters, statistics = model(source)
    fresh = initial_parameters({name: parameters[name].shape for name in FC}, 1)
    for replicas, run, anew in zip(made, (same, other), (set(), FC)):
        own = replicas.replicas[0]
        for name, value in own.parameters.items():
            np.testing.assert_array_equal(value.asnumpy(), fresh[name] if name in anew else parameters[name])
        for name, value in own.statistics.items():
            np.testing.assert_array_equal(value.asnumpy(), statistics[name])
        described = read_json(run)['init_from']
        assert set(described['renewed']) == anew and described['checkpoint'] == 'checkpoint-0002'
        assert described['taken'] == len(parameters) + len(statistics) - len(anew)
    assert 'init_' in other and read_json(other)['options']['init_from'] == source
    assert (
        len(described['weights_sha256']) == 64
        and ' arrays are from checkpoint-0002 of ' in read_bytes(other, 'train.log').decode()
    )


def test_a_checkpoint_can_be_named_instead_of_the_newest(source):
    first = os.path.join(source, 'checkpoint-0001')
    assert find(source) == os.path.join(source, 'checkpoint-0002') and find(first) == first
    taken = take(first, symbols.get_symbol('plain', 8), noise.IMAGE_SHAPE, noise.Noise.classes)
    np.testing.assert_array_equal(taken.parameters['fc_weight'], model(source, 0)[0]['fc_weight'])


def test_another_number_of_classes_renews_fc_without_a_config(source, tmp_path):
    shutil.copytree(os.path.join(source, 'checkpoint-0002'), tmp_path / 'checkpoint-0002')
    place = str(tmp_path / 'checkpoint-0002')
    assert take(place, symbols.get_symbol('plain', 8), noise.IMAGE_SHAPE, 'ab').described['renewed'] == []
    taken = take(place, symbols.get_symbol('plain', 8, 3), noise.IMAGE_SHAPE, 'abc')
    assert set(taken.described['renewed']) == FC and not FC & set(taken.parameters)


@pytest.mark.parametrize('net, depth, widen', [('plain', 14, 1), ('plain', 8, 2), ('resnet', 8, 1), ('dfn-mr', 8, 1)])
def test_another_network_is_an_error(source, net, depth, widen):
    symbol = symbols.get_symbol(net, depth, widen=widen)
    with pytest.raises(UserError, match='this is another network: .* choose the same --net, --depth'):
        take(source, symbol, noise.IMAGE_SHAPE, noise.Noise.classes)


def test_what_cannot_be_begun_with_is_an_error_before_the_images_are_read(mistake, source, tmp_path):
    words = ['train_cifar.py', '--data-dir', tmp_path / 'none', '--log-dir', tmp_path / 'logs', '--init-from']
    line = mistake(train_cifar.main, *words, tmp_path)
    assert 'this is neither a run that has a checkpoint nor a checkpoint' in line
    assert 'this is another network' in mistake(train_cifar.main, *words, source, '--net', 'plain', '--depth', 14)
    assert not (tmp_path / 'logs').exists() and not (tmp_path / 'none').exists()


@pytest.mark.parametrize('net', ['dfn-mr', 'dfn-f3', 'ensemble'])
def test_a_frozen_network_computes_in_training_what_it_does_in_evaluation(net, random):
    """And BatchNorm's statistics stay, to the last bit."""
    symbol = symbols.get_symbol(net, 8)
    arguments, _, auxiliary = symbol.infer_shape(data=(4, 3, 8, 8))
    shapes = dict(zip(symbol.list_arguments(), arguments))
    parameters = initial_parameters({name: shapes[name] for name in shapes if name not in INPUTS}, 1)
    statistics = {
        name: (random.uniform(0.5, 1, shape) * (1 if name.endswith('_var') else 0.2)).astype(np.float32)
        for name, shape in zip(symbol.list_auxiliary_states(), auxiliary)
    }
    data = random.randn(4, 3, 8, 8).astype(np.float32)
    expected = Predictor(symbol, [mx.cpu()], (3, 8, 8), parameters, statistics).predict(data)
    assert fc_names(symbol) == ['fc_weight', 'fc_bias']
    given = {name: mx.nd.array(value) for name, value in {**parameters, 'data': data}.items()}
    aux = {name: mx.nd.array(value) for name, value in statistics.items()}
    gradients = {name: mx.nd.zeros(shapes[name]) for name in FC}
    executor = frozen_form(symbol).bind(
        mx.cpu(),
        {**given, 'softmax_label': mx.nd.zeros(4)},
        gradients,
        {name: 'write' if name in FC else 'null' for name in symbol.list_arguments()},
        aux,
    )
    for found, output in zip(executor.forward(is_train=True), expected):
        np.testing.assert_allclose(found.asnumpy(), output, atol=1e-5)
    executor.backward()
    assert all(np.abs(gradient.asnumpy()).max() > 0 for gradient in gradients.values())
    for name, value in aux.items():
        np.testing.assert_array_equal(value.asnumpy(), statistics[name])


INPUTS = ('data', 'softmax_label')


@pytest.mark.parametrize('devices', [1, 2])
def test_frozen_fc_alone_learns_as_softmax_regression_does(source, tmp_path, devices):
    """An epoch by hand, in numpy, on the features that the source's network gives."""
    noise.fit(tmp_path, '--init-from', source, '--freeze', '--cpus', devices, '--epochs', 1, '--lr', 0.5)
    run = only_run(tmp_path)
    parameters, statistics = model(source)
    trained, kept = model(run)
    for name in parameters:
        assert (trained[name] == parameters[name]).all() == (name not in FC), name
    for name in statistics:
        np.testing.assert_array_equal(kept[name], statistics[name])

    data, labels = noise.Noise().train
    features = features_of(source, data)
    weight, bias = parameters['fc_weight'].astype(float), parameters['fc_bias'].astype(float)
    order, velocities = noise.order_of(1, 1), [0, 0]
    for start in range(0, noise.TRAIN, 8):
        own = order[start : start + 8]
        scores = features[own] @ weight.T + bias
        errors = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True) - np.eye(10)[labels[own]]
        for i, (value, gradient) in enumerate(((weight, errors.T @ features[own]), (bias, errors.sum(axis=0)))):
            gradient = gradient / len(own) + 1e-4 * value
            velocities[i] = 0.9 * velocities[i] + gradient
            value -= 0.5 * (gradient + 0.9 * velocities[i])
    np.testing.assert_allclose(trained['fc_weight'], weight, atol=2e-5)
    np.testing.assert_allclose(trained['fc_bias'], bias, atol=2e-5)


def features_of(run, data):
    """What FC gets in evaluation."""
    symbol, parameters, statistics = checkpoint.load_model(os.path.join(run, checkpoints(run)[-1]))
    inner = symbol.get_internals()
    before = inner[inner.list_outputs().index('fc_output')].get_children()[0]
    names = before.list_arguments()
    executor = before.bind(
        mx.cpu(),
        {**{name: parameters[name] for name in names if name != 'data'}, 'data': mx.nd.array(data)},
        aux_states=statistics,
    )
    return executor.forward(is_train=False)[0].asnumpy().astype(float)


@pytest.mark.parametrize('freeze', [[], ['--freeze']])
def test_a_killed_run_goes_on_to_the_same_bits_without_its_source(source, tmp_path, freeze):
    copy = str(tmp_path / 'a' / 'copy')
    shutil.copytree(source, copy)
    words = ['--init-from', copy, *freeze, '--checkpoint-minutes', '1e-9']
    noise.fit(tmp_path / 'whole', *words)
    noise.fit(tmp_path / 'killed', *words, noise=noise.Noise(noise.at(2, 1, do=noise.kill)))
    shutil.rmtree(copy)
    words[1] = os.path.relpath(copy)  # the same folder
    noise.fit(tmp_path / 'killed', *words)
    assert end(only_run(tmp_path / 'killed')) == end(only_run(tmp_path / 'whole'))


def test_a_source_that_has_other_weights_now_is_another_run(source, tmp_path):
    copy = str(tmp_path / 'copy')
    shutil.copytree(source, copy)
    begin(copy, tmp_path / 'logs')
    shutil.rmtree(os.path.join(copy, 'checkpoint-0002'))
    with pytest.raises(UserError, match=r'another configuration \(init [0-9a-f]{12} instead of [0-9a-f]{12}\)'):
        begin(copy, tmp_path / 'logs')


def test_every_script_has_it(source, tmp_path, random):
    """CIFAR-10's classes are not the noise's, though there are ten of each; images of another size are no matter."""
    folder = write_cifar(tmp_path / 'small', random, 10, 5)
    words = ['--net', 'plain', '--depth', 8, '--epochs', 1, '--batch-size', 5, '--data-dir', folder, '--no-verify']
    _, out, _ = in_process(
        train_cifar.main, 'train_cifar.py', *words, '--log-dir', tmp_path / 'logs', '--init-from', source, check=0
    )
    assert 'fc_weight, fc_bias begin anew' in out
