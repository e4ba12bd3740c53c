"""ONNX's files pass onnx's own checker, and onnxruntime gives MXNet's probabilities."""

import json

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
from tests.interop.networks import LARGE, SMALL, untrained
from tests.reference import predict

onnx = pytest.importorskip('onnx')
runtime = pytest.importorskip('onnxruntime')
to_onnx = pytest.importorskip('interop.to_onnx')


def run(model, data):
    """The probabilities that onnxruntime gives."""
    session = runtime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    (wanted,) = session.get_inputs()
    return session.run(None, {wanted.name: data})


@pytest.mark.parametrize('arguments', [*SMALL, dict(net='gluoncv:cifar_resnet20_v2', depth=None)], ids=str)
def test_probabilities(arguments, random):
    trained = untrained(**arguments)
    data = random.normal(size=(3, 3, 32, 32)).astype(np.float32)
    members = predict(trained.symbol, trained.parameters, trained.statistics, data)
    model = to_onnx.build(trained)
    for rows in (3, 1):  # any number of images
        (found,) = run(model, data[:rows])
        np.testing.assert_allclose(found, np.mean(members, axis=0)[:rows], rtol=1e-4)


@pytest.mark.parametrize('arguments', LARGE[-1:], ids=str)  # the others: tests/test_export.py, slow
def test_probabilities_of_networks_for_imagenet(arguments, random):
    trained = untrained(**arguments, num_classes=7, is_imagenet=True)
    data = random.normal(size=(1, 3, 224, 224)).astype(np.float32)
    (expected,) = predict(trained.symbol, trained.parameters, trained.statistics, data)
    (found,) = run(to_onnx.build(trained), data)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_preprocessing_takes_pixels(random):
    trained = untrained('dfn-mr', 8)
    images = random.randint(0, 256, (3, 3, 32, 32)).astype(np.uint8)
    mean, std = (np.array(trained.facts[name]).reshape(-1, 1, 1) for name in ('mean', 'std'))
    model = to_onnx.build(trained, with_preprocessing=True)
    (found,) = run(model, images)
    (expected,) = predict(trained.symbol, trained.parameters, trained.statistics, (images - mean) / std)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_file_says_what_it_is(tmp_path):
    trained = untrained('ensemble', 8, components=['LLL', 'RRR'])
    to_onnx.write(trained, str(tmp_path / 'a.onnx'))
    assert [path.name for path in tmp_path.iterdir()] == ['a.onnx']
    model = onnx.load(tmp_path / 'a.onnx')
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts['net'] == 'ensemble' and json.loads(facts['components']) == ['LLL', 'RRR']
    assert model.opset_import[0].version >= 13
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == 'batch'


@pytest.mark.parametrize('name', ['cifar_resnet20_v1', 'cifar_resnet20_v2'])
def test_gluoncvs_networks_can_be_written_too(name, random):
    trained = untrained(f'gluoncv:{name}', None)
    del trained.facts['depth']
    data = random.normal(size=(3, 3, 32, 32)).astype(np.float32)
    (expected,) = predict(trained.symbol, trained.parameters, trained.statistics, data)
    (found,) = run(to_onnx.build(trained), data)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(
    'kind, convention, more',
    [
        ('avg', 'full', {'count_include_pad': False}),
        ('avg', 'valid', {'count_include_pad': False}),
        ('avg', 'valid', {}),
        ('max', 'full', {}),
        ('max', 'valid', {}),
    ],
)
def test_pooling_counts_as_mxnet_does(kind, convention, more, random):
    """GluonCV's networks average over windows that reach over the edge."""
    x = mx.sym.Pooling(
        mx.sym.var('data'),
        kernel=(3, 3),
        stride=(2, 2),
        pad=(1, 0),
        pool_type=kind,
        pooling_convention=convention,
        **more,
    )
    x = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=10), name='softmax')
    trained = untrained('plain', 8, symbol=x)
    data = random.normal(size=(2, 3, 32, 32)).astype(np.float32)
    (expected,) = predict(trained.symbol, trained.parameters, trained.statistics, data)
    (found,) = run(to_onnx.build(trained), data)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_an_operator_that_is_not_known():
    trained = untrained('plain', 8)
    with pytest.raises(UserError, match='LRN'):
        to_onnx.build(trained._replace(symbol=mx.sym.LRN(mx.sym.var('data'), nsize=3)))
