"""What is timed in MXNet computes what it should."""

import numpy as np
import pytest

from benchmarks import mxnet_subjects as subjects
from common.mxnet import mx
import symbols
from symbols.layers import Layers


@pytest.mark.parametrize('name', ['training', 'evaluation', 'defaults'])
def test_a_step_takes_time(name):
    assert 0 < subjects.SUBJECTS[name](net='plain', depth=8, batch=2).seconds(1) < 60


def test_save_writes_what_another_library_needs_to_repeat_the_pass(tmp_path):
    subjects.Training('dfn-mr', 8, batch=4).save(tmp_path / 'ours.npz')
    arrays = dict(np.load(tmp_path / 'ours.npz'))
    found = arrays.pop('probabilities')
    symbol = symbols.get_symbol('dfn-mr', 8)
    executor = symbol.simple_bind(mx.cpu(), data=(4, 3, 32, 32))
    for array_name, value in arrays.items():
        executor.arg_dict[array_name][:] = value
    expected = executor.forward(is_train=True)[0].asnumpy()
    assert set(executor.arg_dict) == {*arrays, 'softmax_label'}
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_pooling_has_the_scores_of_the_mean(random):
    x = mx.nd.array(random.randn(2, 64, 8, 8))
    weight, bias = mx.nd.array(random.randn(10, 64)), mx.nd.array(random.randn(10))
    scores = [
        layers.scores(mx.sym.var('x')).eval(x=x, fc_weight=weight, fc_bias=bias)[0].asnumpy()
        for layers in (Layers(), subjects.PoolingLayers())
    ]
    np.testing.assert_allclose(*scores, rtol=1e-4, atol=1e-5)


def test_exhaust_goes_through_an_epoch():
    class Batches:
        def epoch(self, number):
            yield from range(3)
            seen.append(number)

    seen = []
    subjects.exhaust(Batches())
    assert seen == [1]
