"""Several devices against shards that are computed apart, each with its own plain executor."""
import numpy as np
import pytest

import symbols
from common.mxnet import mx
from common.errors import UserError
from symbols.analysis.summary import parameter_shapes, statistics_shapes
from tests.training.test_optimiser import torch_nesterov
from training import devices
from training.evaluate import Tally, evaluate
from training.initialiser import initial_parameters, initial_statistics
from training.optimiser import NesterovSGD
from training.replicas import Replicas, mean_statistics, outputs
from distributed.collectives import Store, shares

SHAPE = (3, 8, 8)


def make(count, net='dfn-mr', kvstore='local'):
    symbol = symbols.get_symbol(net, 8)
    parameters = initial_parameters(parameter_shapes(symbol, SHAPE), 1)
    statistics = initial_statistics(statistics_shapes(symbol, SHAPE))
    replicas = Replicas(symbol, devices.contexts(cpus=count), SHAPE, parameters, statistics,
                        Store(kvstore, count))
    return symbol, parameters, replicas


def parts_of(data, labels, count):
    """A batch split over `count` devices."""
    return [(data[share], labels[share]) for share in shares(len(data), count)]


def shard(symbol, parameters, data, labels, statistics=None):
    """Gradients (summed over the shard) and running statistics of one shard after one pass."""
    executor = symbol.simple_bind(mx.cpu(), data=data.shape, softmax_label=labels.shape)
    for name, value in parameters.items():
        executor.arg_dict[name][:] = value
    for name, value in executor.aux_dict.items():
        value[:] = statistics[name] if statistics else float(name.endswith('_var'))
    executor.forward(is_train=True, data=mx.nd.array(data), softmax_label=mx.nd.array(labels))
    executor.backward()
    return ({name: executor.grad_dict[name].asnumpy() for name in parameters},
            {name: value.asnumpy() for name, value in executor.aux_dict.items()})


@pytest.mark.parametrize('count, images, kvstore', [(1, 8, 'local'), (2, 8, 'local'), (3, 12, 'local'),
                                                    (2, 8, 'device')])
def test_n_contexts_equal_n_shards_with_averaged_gradients(random, count, images, kvstore):
    symbol, parameters, replicas = make(count, kvstore=kvstore)
    optimiser = NesterovSGD(replicas, 0.9, 1e-4)
    data = random.randn(3, images, *SHAPE).astype(np.float32)
    labels = random.randint(0, 10, (3, images)).astype(np.float32)

    gradients, weights = [], parameters
    for x, y in zip(data, labels):
        parts = [shard(symbol, weights, a, b) for a, b in zip(np.split(x, count), np.split(y, count))]
        gradients.append({name: sum(part[0][name] for part in parts) for name in parameters})
        weights = {name: value.astype(np.float32) for name, value in torch_nesterov(
            parameters, gradients, [0.05] * len(gradients), 0.9, 1e-4, images).items()}
        outputs(replicas.gradients(parts_of(x, y, count)))
        optimiser.step(0.05, images)
        if len(gradients) == 1:  # the shards start from fresh statistics, so they compare after one step
            for device, (_, expected) in zip(replicas.statistics(), parts):
                for name in expected:
                    np.testing.assert_allclose(device[name], expected[name], rtol=1e-4, atol=1e-5)
    mx.nd.waitall()
    for replica in replicas.replicas:
        for name, value in replica.parameters.items():
            np.testing.assert_allclose(value.asnumpy(), weights[name], rtol=1e-3, atol=2e-5)


def test_statistics_of_the_devices_differ_until_they_are_merged(random):
    _, _, replicas = make(2)
    outputs(replicas.gradients(parts_of(random.randn(6, *SHAPE).astype(np.float32), np.zeros(6, np.float32), 2)))
    first, second = replicas.statistics()
    name = 'C_bn_moving_mean'
    assert np.abs(first[name] - second[name]).max() > 1e-4
    replicas.merge_statistics()
    for merged in replicas.statistics():
        np.testing.assert_allclose(merged[name], (first[name] + second[name]) / 2, rtol=1e-6)


def test_evaluation_counts_every_image_once_for_any_batch_and_devices(random):
    symbol, parameters, replicas = make(3)
    data = random.randn(23, *SHAPE).astype(np.float32)
    labels = random.randint(0, 10, 23)
    executor = symbol.bind(mx.cpu(), {**{k: mx.nd.array(v) for k, v in parameters.items()},
                                      'data': mx.nd.array(data), 'softmax_label': mx.nd.zeros(23)},
                           aux_states={k: mx.nd.array(v) for k, v in mean_statistics(replicas.statistics()).items()})
    expected = executor.forward(is_train=False)[0].asnumpy().astype(np.float64)
    loss = -np.log(expected[np.arange(23), labels]).mean()
    error = 100 * (expected.argmax(1) != labels).mean()
    for batch in (1, 2, 7, 23, 50):
        found = evaluate(replicas.predictor(), ((data[i:i + batch], labels[i:i + batch])
                                                for i in range(0, 23, batch)))
        tally, confusion = found.tally, found.confusion
        assert not found.each and not found.without
        assert tally.seen == confusion.sum() == 23
        assert tally.error == pytest.approx(error)
        assert tally.mean_loss == pytest.approx(loss, rel=1e-5)
        assert (confusion.sum(axis=1) == np.bincount(labels, minlength=10)).all()


def test_evaluation_while_steps_are_queued_sees_the_weights_after_them_and_leaves_them_alone(random):
    """MXNet's inference rewrites the weights it reads behind the queue; see replicas.py."""
    x, y = random.randn(16, *SHAPE).astype(np.float32), random.randint(0, 10, 16).astype(np.float32)

    def train(evaluations):
        _, _, replicas = make(1)
        optimiser = NesterovSGD(replicas, 0.9, 1e-4)
        losses = []
        for step in range(120):
            replicas.gradients([(x, y)])
            optimiser.step(0.01, 16)
            if step % 40 == 39 and evaluations:
                losses.append(evaluate(replicas.predictor(), [(x, y)]).tally.mean_loss)
        mx.nd.waitall()
        return losses, {name: value.asnumpy() for name, value in replicas.replicas[0].parameters.items()}

    losses, weights = train(evaluations=True)
    _, undisturbed = train(evaluations=False)
    assert losses[0] > losses[1] > losses[2]  # each evaluation sees newer weights
    for name in weights:
        np.testing.assert_array_equal(weights[name], undisturbed[name])


def test_a_probability_that_underflows_has_a_finite_loss_and_nan_stays_nan():
    tally = Tally()
    tally.add([np.array([[0.0, 1.0]], np.float32)], np.array([0]))
    assert tally.mean_loss == pytest.approx(87.3, abs=0.1) and tally.error == 100
    tally.add([np.array([[np.nan, np.nan]], np.float32)], np.array([0]))
    assert np.isnan(tally.mean_loss)
    tally.add([np.full((3, 10), np.nan, np.float32)], np.array([0, 1, 2]))
    assert (tally.seen, tally.wrong5) == (5, 3)


def test_an_evaluation_that_did_not_see_every_image_is_no_result(random):
    class Predictor:
        def predict(self, data):
            return [data]
    batches = [(random.rand(4, 3).astype(np.float32), np.zeros(4))]
    assert evaluate(Predictor(), batches, images=4).tally.seen == 4
    with pytest.raises(RuntimeError, match='4 images were evaluated instead of 5'):
        evaluate(Predictor(), batches, images=5)


@pytest.mark.parametrize('images, batch, fits', [(100, 2, False), (100, 64, True), (65, 64, False), (64, 64, True)])
def test_a_batch_smaller_than_the_devices_is_refused(images, batch, fits):
    _, _, replicas = make(3, net='plain')
    if fits:
        replicas.check_batches(images, batch)
    else:
        with pytest.raises(UserError, match='cannot be split over 3 devices'):
            replicas.check_batches(images, batch)


def test_an_ensemble_is_tallied_together_each_by_itself_without_each_and_in_parts(random):
    members = random.dirichlet(np.ones(4), (3, 50)).astype(np.float32)
    labels = random.randint(0, 4, 50)

    class Predictor:
        def predict(self, data):
            return [p[data] for p in members]

    def error(*chosen):
        return 100 * (members[list(chosen)].mean(axis=0).argmax(axis=1) != labels).mean()

    batches = [(np.arange(i, min(i + 7, 50)), labels[i:i + 7]) for i in range(0, 50, 7)]
    found = evaluate(Predictor(), batches, subsets=[[2], [0, 1]])
    assert found.tally.error == pytest.approx(error(0, 1, 2))
    assert [tally.error for tally in found.each] == pytest.approx([error(0), error(1), error(2)])
    assert [tally.error for tally in found.without] == pytest.approx([error(1, 2), error(0, 2), error(0, 1)])
    assert [tally.error for tally in found.subsets] == pytest.approx([error(2), error(0, 1)])
    losses = -np.log(members[:, np.arange(50), labels]).mean(axis=1)
    assert [tally.mean_loss for tally in found.each] == pytest.approx(losses, rel=1e-5)
    assert found.tally.mean_loss == pytest.approx(losses.mean(), rel=1e-5)
