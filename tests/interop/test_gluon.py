"""A Gluon block takes images alone, gives the run's predictions, and learns in a Gluon loop on real images."""

import os

import numpy as np
import pytest

from common.errors import UserError
from common.mxnet import mx
from interop import gluon, trained
from tests.conftest import official_folder
from tests.interop.networks import SMALL, untrained
from tests.reference import predict

transforms = mx.gluon.data.vision.transforms
RUN = 'logs/cifar10/dfn-mr-14/epochs8-seed1'


@pytest.fixture
def net(tmp_path):
    """DFN-MR 14 of the committed run."""
    gluon.write(trained.read(RUN), str(tmp_path / 'net'))
    return gluon.load(str(tmp_path / 'net'))


class UnpackedCIFAR10(mx.gluon.data.vision.CIFAR10):
    """The test images as Gluon reads them, from a folder where they are; Gluon itself would fetch them first."""

    def _get_data(self):
        data, self._label = self._read_batch(os.path.join(self._root, 'test_batch.bin'))
        self._data = mx.nd.array(data, dtype=data.dtype)


def as_the_run_sees(facts, *before):
    """Gluon's transforms from a uint8 image (height, width, 3) to what the network takes."""
    mean, std = (tuple(value / 255 for value in facts[name]) for name in ('mean', 'std'))
    return transforms.Compose([*before, transforms.ToTensor(), transforms.Normalize(mean, std)])


@pytest.mark.parametrize('arguments', SMALL, ids=str)
def test_scores_become_the_probabilities_of_the_symbol(arguments, tmp_path, random):
    network = untrained(**arguments)
    gluon.write(network, str(tmp_path / 'a'))
    block = gluon.load(str(tmp_path / 'a'))
    block.hybridize()
    data = random.normal(size=(2, 3, 32, 32)).astype(np.float32)
    scores = block(mx.nd.array(data))
    expected = predict(network.symbol, network.parameters, network.statistics, data)
    for own, members in zip(scores if isinstance(scores, list) else [scores], expected, strict=True):
        np.testing.assert_allclose(own.softmax().asnumpy(), members, rtol=1e-4)


def test_it_takes_images_alone(net):
    assert isinstance(net, mx.gluon.HybridBlock)
    assert [name for name in net.collect_params() if 'label' in name] == []
    assert net.facts['classes'][3] == 'cat'


def test_gluons_own_cifar10_is_predicted_as_the_run_does(net):
    """8 epochs leave an error of 15 %; with another normalization or order of channels it would be far more."""
    images = (
        UnpackedCIFAR10(official_folder('cifar-10-batches-bin')).transform_first(as_the_run_sees(net.facts)).take(300)
    )
    net.hybridize()
    right = [
        (net(data).argmax(1).asnumpy() == labels.asnumpy()).sum()
        for data, labels in mx.gluon.data.DataLoader(images, 100)
    ]
    assert 0.8 < sum(right) / 300 < 0.9


def test_it_learns_in_a_gluon_loop_on_images_that_gluoncv_reads(net):
    from common.gluoncv import gluoncv

    images = gluoncv.data.ImageNet(official_folder('imagenet'), train=False)
    few = mx.gluon.data.SimpleDataset([images[place] for place in range(0, len(images), len(images) // 32)][:32])
    resize = transforms.Resize(32, keep_ratio=True), transforms.CenterCrop(32)
    few = few.transform_first(as_the_run_sees(net.facts, *resize))
    (batch,) = mx.gluon.data.DataLoader(few, 32)
    data, labels = batch[0], batch[1] % 10
    net.hybridize(static_alloc=True)
    parameters = net.collect_params()
    statistics = {name: value for name, value in parameters.items() if 'moving' in name}
    net(data).wait_to_read()
    before = {name: value.data().asnumpy() for name, value in parameters.items()}

    trainer = mx.gluon.Trainer(parameters, 'nag', {'learning_rate': 0.05, 'momentum': 0.9, 'wd': 1e-4})
    loss_of, losses = mx.gluon.loss.SoftmaxCrossEntropyLoss(), []
    for _ in range(6):
        with mx.autograd.record():
            loss = loss_of(net(data), labels)
        loss.backward()
        trainer.step(len(data))
        losses.append(loss.mean().asscalar())
    assert losses[-1] < losses[0] / 2
    for name, value in parameters.items():
        assert (value.data().asnumpy() != before[name]).any(), name
    assert statistics and all(value.grad_req == 'null' for value in statistics.values())

    learned = {name: value.data().asnumpy() for name, value in statistics.items()}
    net(data).wait_to_read()  # outside of record() nothing moves
    assert all((value.data().asnumpy() == learned[name]).all() for name, value in statistics.items())


def test_a_missing_file_is_named(tmp_path):
    gluon.write(untrained('plain', 8), str(tmp_path / 'a'))
    os.remove(tmp_path / 'a-0000.params')
    with pytest.raises(UserError, match='a-0000.params'):
        gluon.load(str(tmp_path / 'a'))
