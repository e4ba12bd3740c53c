"""Several devices against shards that are computed apart, each with its own plain executor."""

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
from common.sharding import split_evenly
from distributed.collectives import Collectives
import symbols
from symbols.analysis.graph import nodes
from symbols.analysis.summary import parameter_shapes, statistics_shapes
from symbols.fused import fuse
from tests.reference import predict, torch_nesterov, train_pass
from training import devices
from training.evaluation import evaluate
from training.initializer import initial_parameters, initial_statistics
from training.optimizer import NesterovSGD
from training.replicas import JointPredictor, Replicas, mean_statistics, outputs

SHAPE = (3, 8, 8)


def make(count, net='dfn-mr', kvstore='local', evaluated=None):
    """(symbol, initial weights, replicas)."""
    symbol = symbols.get_symbol(net, 8)
    parameters = initial_parameters(parameter_shapes(symbol, SHAPE), 1)
    statistics = initial_statistics(statistics_shapes(symbol, SHAPE))
    replicas = Replicas(
        symbol, devices.contexts(cpus=count), SHAPE, parameters, statistics, Collectives(kvstore, count), evaluated
    )
    return symbol, parameters, replicas


def parts_of(data, labels, count):
    """A batch split over `count` devices."""
    return [(data[share], labels[share]) for share in split_evenly(len(data), count)]


@pytest.mark.parametrize(
    'count, images, kvstore', [(1, 8, 'local'), (2, 8, 'local'), (3, 12, 'local'), (2, 8, 'device')]
)
def test_n_contexts_equal_n_shards_with_averaged_gradients(random, count, images, kvstore):
    symbol, parameters, replicas = make(count, kvstore=kvstore)
    optimizer = NesterovSGD(replicas, 0.9, 1e-4)
    data = random.randn(3, images, *SHAPE).astype(np.float32)
    labels = random.randint(0, 10, (3, images)).astype(np.float32)

    gradients, weights = [], parameters
    for x, y in zip(data, labels):
        shards = [train_pass(symbol, weights, a, b) for a, b in zip(np.split(x, count), np.split(y, count))]
        gradients.append({name: sum(shard.gradients[name] for shard in shards) for name in parameters})
        weights = {
            name: value.astype(np.float32)
            for name, value in torch_nesterov(parameters, gradients, [0.05] * len(gradients), 0.9, 1e-4, images).items()
        }
        (probabilities,) = outputs(replicas.gradients(parts_of(x, y, count)))
        optimizer.step(0.05, images)
        if len(gradients) == 1:  # the shards start from fresh statistics, so they compare after one step
            np.testing.assert_allclose(probabilities, np.concatenate([shard.outputs[0] for shard in shards]), rtol=1e-4)
            for device, shard in zip(replicas.statistics(), shards):
                for name, expected in shard.statistics.items():
                    np.testing.assert_allclose(device[name], expected, rtol=1e-4, atol=1e-5)
    mx.nd.waitall()
    for replica in replicas.replicas:
        for name, value in replica.parameters.items():
            np.testing.assert_allclose(value.asnumpy(), weights[name], rtol=1e-3, atol=2e-5)


def test_statistics_of_the_devices_differ_until_they_are_merged(random):
    _, _, replicas = make(2)
    outputs(replicas.gradients(parts_of(random.randn(6, *SHAPE).astype(np.float32), np.zeros(6, np.float32), 2)))
    before = first, second = replicas.statistics()
    name = 'C_bn_moving_mean'
    assert np.abs(first[name] - second[name]).max() > 1e-4
    replicas.merge_statistics()
    for merged in replicas.statistics():
        np.testing.assert_allclose(merged[name], (first[name] + second[name]) / 2, rtol=1e-6)
    replicas.restore_statistics(before)
    for found, expected in zip(replicas.statistics(), before):
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])


def test_the_mean_of_equal_statistics_is_exactly_these(random):
    one = {'moving_mean': random.randn(50).astype(np.float32)}
    np.testing.assert_array_equal(mean_statistics([one] * 3)['moving_mean'], one['moving_mean'])


@pytest.mark.parametrize('batch', [1, 2, 7, 23, 50])
def test_evaluation_counts_every_image_once_for_any_batch_and_devices(random, batch):
    symbol, parameters, replicas = make(3)
    data, labels = random.randn(23, *SHAPE).astype(np.float32), random.randint(0, 10, 23)
    (expected,) = predict(symbol, parameters, mean_statistics(replicas.statistics()), data)
    found = evaluate(replicas.predictor(), ((data[i : i + batch], labels[i : i + batch]) for i in range(0, 23, batch)))
    assert found.tally.seen == found.confusion.sum() == 23
    assert found.tally.error == pytest.approx(100 * (expected.argmax(1) != labels).mean())
    assert found.tally.mean_loss == pytest.approx(-np.log(expected[np.arange(23), labels]).mean(), rel=1e-5)
    assert (found.confusion.sum(axis=1) == np.bincount(labels, minlength=10)).all()


def test_evaluation_while_steps_are_queued_sees_the_weights_after_them_and_leaves_them_alone(random):
    """MXNet's inference rewrites the weights it reads behind the queue; see replicas.py."""
    x, y = random.randn(16, *SHAPE).astype(np.float32), random.randint(0, 10, 16).astype(np.float32)

    def train(evaluations):
        _, _, replicas = make(1)
        optimizer = NesterovSGD(replicas, 0.9, 1e-4)
        losses = []
        for step in range(120):
            replicas.gradients([(x, y)])
            optimizer.step(0.01, 16)
            if step % 40 == 39 and evaluations:
                losses.append(evaluate(replicas.predictor(), [(x, y)]).tally.mean_loss)
        mx.nd.waitall()
        return losses, {name: value.asnumpy() for name, value in replicas.replicas[0].parameters.items()}

    losses, weights = train(evaluations=True)
    _, undisturbed = train(evaluations=False)
    assert losses[0] > losses[1] > losses[2]  # each evaluation sees newer weights
    for name in weights:
        np.testing.assert_array_equal(weights[name], undisturbed[name])


def test_what_is_evaluated_may_have_another_form_than_what_is_trained(random):
    drawn = symbols.get_symbol('dfn-mr', 8)
    parameters = initial_parameters(parameter_shapes(drawn, SHAPE), 1)
    statistics = initial_statistics(statistics_shapes(drawn, SHAPE))
    replicas = Replicas(fuse(drawn), [mx.cpu()], SHAPE, parameters, statistics, evaluated=drawn)
    operators = [
        {node['op'] for node in nodes(replica.symbol)}
        for replica in (replicas.replicas[0], replicas.predictor().replicas[0])
    ]
    assert ['_contrib_BatchNormWithReLU' in found for found in operators] == [True, False]
    data = random.randn(5, *SHAPE).astype(np.float32)
    np.testing.assert_allclose(
        replicas.predictor().predict(data), predict(drawn, parameters, statistics, data), rtol=1e-4
    )


def test_several_networks_are_predicted_side_by_side(random):
    data, models, expected = random.randn(5, *SHAPE).astype(np.float32), [], []
    for net in ('plain', 'resnet', 'ensemble'):
        symbol = symbols.get_symbol(net, 8)
        parameters = initial_parameters(parameter_shapes(symbol, SHAPE), 1)
        statistics = initial_statistics(statistics_shapes(symbol, SHAPE))
        models.append(
            (
                symbol,
                *(
                    {name: mx.nd.array(value) for name, value in of_kind.items()}
                    for of_kind in (parameters, statistics)
                ),
            )
        )
        expected += predict(symbol, parameters, statistics, data)
    found = JointPredictor(models, devices.contexts(cpus=2), SHAPE).predict(data)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert len(found) == 1 + 1 + 8


@pytest.mark.parametrize('images, batch, fits', [(100, 2, False), (100, 64, True), (65, 64, False), (64, 64, True)])
def test_a_batch_smaller_than_the_devices_is_refused(images, batch, fits):
    _, _, replicas = make(3, net='plain')
    if fits:
        replicas.check_batches(images, batch)
    else:
        with pytest.raises(UserError, match='cannot be split over 3 devices'):
            replicas.check_batches(images, batch)
