"""What is timed in MXNet: subjects for `Remote` (see remote.py)."""

import functools
import os

import numpy as np

from benchmarks.inputs import CIFAR_IMAGES
from benchmarks.remote import mean_seconds, peak_memory, serve
from common.mxnet import mx
import data
import symbols
from symbols.analysis.summary import parameter_shapes
import symbols.imagenet
from symbols.layers import Layers
from training import checkpoint, devices
from training.initializer import initial_parameters, initial_replicas
from training.replicas import JointPredictor, forward_all, outputs
from training.synthetic import SyntheticSteps

LOSS_SCALE = 4  # in float16
NAG = {'learning_rate': 0.01, 'momentum': 0.9, 'wd': 1e-4}


class OurNetwork:
    """One of our networks at its initial weights.

    Args:
        net, depth: its name and depth.
        batch: images of a step, over all devices.
        imagenet: whether it is for images of 224×224.
        gpus, cpus, dtype, mirror: as in the training scripts.
        arguments: more for get_symbol.
    """

    def __init__(
        self,
        net: str,
        depth: int,
        batch: int = 64,
        imagenet: bool = False,
        gpus: str | None = None,
        cpus: int = 1,
        dtype: str = 'float32',
        mirror: bool = False,
        **arguments,
    ):
        networks = symbols.imagenet if imagenet else symbols
        self.batch, self.image_shape = batch, networks.IMAGE_SHAPE
        self.loss_scale = LOSS_SCALE if dtype == 'float16' else 1
        self.replicas = initial_replicas(
            functools.partial(networks.get_symbol, net, depth, **arguments),
            devices.contexts(gpus, cpus),
            self.image_shape,
            dtype=dtype,
            loss_scale=self.loss_scale,
            mirror=mirror,
        )

    def save(self, path: str) -> None:
        """Write weights, images of noise, and the probabilities of a pass in training to an .npz file."""
        images = np.random.RandomState(1).randn(self.batch, *self.image_shape).astype(np.float32)
        replica = self.replicas.replicas[0]
        weights = {name: value.asnumpy() for name, value in replica.parameters.items()}
        (probabilities,) = outputs(forward_all([replica], [(images, np.zeros(self.batch, np.float32))]))
        np.savez(path, data=images, probabilities=probabilities, **weights)

    def peak_memory(self) -> float:
        """The most memory of the process so far, in gigabytes."""
        return peak_memory()


class Training(OurNetwork):
    """Training steps as the training scripts make them."""

    def __init__(self, net: str, depth: int, **options):
        super().__init__(net, depth, **options)
        steps = SyntheticSteps(self.replicas, self.batch // len(self.replicas.replicas), self.loss_scale)
        self.seconds = steps.seconds


class Evaluation(OurNetwork):
    """Probabilities as eval.py computes them."""

    def __init__(self, net: str, depth: int, **options):
        super().__init__(net, depth, **options)
        self.predictor = self.replicas.predictor()
        self.data = np.random.RandomState(0).randn(self.batch, *self.image_shape).astype(np.float32)

    def seconds(self, steps: int) -> float:
        """The mean duration of a batch, in seconds."""
        return mean_seconds(lambda: self.predictor.predict(self.data), steps)


class CommittedRun:
    """Probabilities of a trained run, the mean of its outputs, as eval.py computes them."""

    def __init__(self, run_dir: str, batch: int):
        model = checkpoint.load_model(checkpoint.find(run_dir)[-1])
        self.predictor = JointPredictor([model], devices.contexts(), symbols.IMAGE_SHAPE)
        self.data = np.random.RandomState(0).randn(batch, *symbols.IMAGE_SHAPE).astype(np.float32)

    def save(self, path: str) -> None:
        """Write the images and their probabilities to an .npz file."""
        np.savez(path, data=self.data, probabilities=np.mean(self.predictor.predict(self.data), axis=0))

    def seconds(self, steps: int) -> float:
        """The mean duration of a batch, in seconds."""
        return mean_seconds(lambda: self.predictor.predict(self.data), steps)


class PoolingLayers(Layers):
    """Layers with MXNet's global average pooling, as in the authors' code."""

    def scores(self, x: mx.sym.Symbol) -> mx.sym.Symbol:
        """Global average pooling → FC."""
        x = mx.sym.Pooling(x, global_pool=True, pool_type='avg', kernel=(8, 8))
        return mx.sym.FullyConnected(
            x, self.variable('fc_weight'), self.variable('fc_bias'), num_hidden=self.num_classes, name='fc'
        )


class Defaults:
    """Training steps of the same network as MXNet's own scripts make them: Module, its optimizer, pooling."""

    def __init__(self, net: str, depth: int, batch: int = 64, gpus: str | None = None):
        symbol = symbols.find(net).build(PoolingLayers(), symbols.units_per_group(depth))
        shape = (batch, *symbols.IMAGE_SHAPE)
        self.module = mx.mod.Module(symbol, context=devices.contexts(gpus))
        self.module.bind([('data', shape)], [('softmax_label', shape[:1])])
        weights = initial_parameters(parameter_shapes(symbol), 1)
        self.module.init_params(arg_params={name: mx.nd.array(value) for name, value in weights.items()})
        self.module.init_optimizer(optimizer='nag', optimizer_params=NAG)
        self.batch = mx.io.DataBatch([mx.nd.random.normal(shape=shape)], [mx.nd.zeros(shape[:1])])

    def seconds(self, steps: int) -> float:
        """The mean duration of a step, in seconds."""
        return mean_seconds(self._step, steps, mx.nd.waitall)

    def _step(self):
        self.module.forward_backward(self.batch)
        self.module.update()
        self.module.get_outputs()[0].asnumpy()


class GluonCV:
    """Training steps of GluonCV's ResNet 20 for CIFAR-10, hybridized and static."""

    def __init__(self, batch: int = 64, gpus: str | None = None):
        from common.gluoncv import gluoncv  # takes seconds to import

        (context,) = devices.contexts(gpus)
        self.net = gluoncv.model_zoo.get_model('cifar_resnet20_v1', classes=10)
        self.net.initialize(mx.init.Xavier(), ctx=context)
        self.net.hybridize(static_alloc=True, static_shape=True)
        self.trainer = mx.gluon.Trainer(self.net.collect_params(), 'nag', NAG)
        self.loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        self.loss.hybridize(static_alloc=True, static_shape=True)
        self.data = mx.nd.random.normal(shape=(batch, *symbols.IMAGE_SHAPE), ctx=context)
        self.labels = mx.nd.zeros((batch,), ctx=context)

    def seconds(self, steps: int) -> float:
        """The mean duration of a step, in seconds."""
        return mean_seconds(self._step, steps, mx.nd.waitall)

    def _step(self):
        with mx.autograd.record():
            loss = self.loss(self.net(self.data), self.labels)
        loss.backward()
        self.trainer.step(len(self.labels))
        loss.asnumpy()


class CifarPipeline:
    """Epochs of noise of CIFAR-10's size on one core: normalized, padded, cropped, mirrored; a step is an epoch."""

    def __init__(self, batch: int):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        images = np.random.RandomState(0).randint(0, 256, (CIFAR_IMAGES, *symbols.IMAGE_SHAPE)).astype(np.uint8)
        split = images, np.zeros(len(images), np.int64)
        dataset = data.Dataset('cifar10', data.SOURCES['cifar10'], {'train': split}, about={})
        self.batches = dataset.train_batches(batch, seed=1)

    def seconds(self, epochs: int) -> float:
        """The mean duration of an epoch, in seconds."""
        return mean_seconds(lambda: exhaust(self.batches), epochs)


class ImageNetPipeline:
    """Epochs of a folder's ImageNet: decoded, cropped, scaled, mirrored, colored, normalized; a step is an epoch."""

    def __init__(self, folder: str, batch: int):
        self.batches = data.load_imagenet(folder, verify=False).train_batches(batch, seed=1)

    def seconds(self, epochs: int) -> float:
        """The mean duration of an epoch, in seconds."""
        return mean_seconds(lambda: exhaust(self.batches), epochs)


def exhaust(batches) -> None:
    """Go through an epoch; as in training, a batch is kept while the next is prepared."""
    for _ in batches.epoch(1):
        pass


SUBJECTS = {
    'training': Training,
    'evaluation': Evaluation,
    'run': CommittedRun,
    'defaults': Defaults,
    'gluoncv': GluonCV,
    'cifar': CifarPipeline,
    'imagenet': ImageNetPipeline,
}

if __name__ == '__main__':
    serve(SUBJECTS)
