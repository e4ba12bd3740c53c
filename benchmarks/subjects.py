"""What is timed in MXNet: python -m benchmarks.subjects WHAT … (see `python -m benchmarks`)."""
import argparse
import functools

import numpy as np

import symbols
from benchmarks import pipelines
from benchmarks.subject import mean_seconds, peak_memory, serve
from common.mxnet import mx
from symbols import imagenet
from symbols.layers import Layers
from symbols.analysis.summary import parameter_shapes
from training import devices
from training.initializer import initial_parameters, initial_replicas
from training.replicas import outputs
from training.synthetic import SyntheticSteps

LOSS_SCALE = 4  # in float16
NAG = {'learning_rate': 0.01, 'momentum': 0.9, 'wd': 1e-4}


class Network:
    """A network of ours at its initial weights."""

    def __init__(self, args):
        self.batch, self.contexts = args.batch, devices.contexts(args.gpus, args.cpus)
        options = {'widen': args.widen} if args.widen > 1 else {}
        if args.path:
            options['path'] = args.path
        if args.components:
            options['components'] = args.components.split(',')
        self.network = functools.partial((imagenet if args.imagenet else symbols).get_symbol, args.net, args.depth,
                                         **options)
        self.image_shape = (imagenet if args.imagenet else symbols).IMAGE_SHAPE
        self.loss_scale = LOSS_SCALE if args.dtype == 'float16' else 1
        self.replicas = initial_replicas(self.network, self.contexts, self.image_shape, dtype=args.dtype,
                                         loss_scale=self.loss_scale, mirror=args.mirror)

    def save(self, path):
        """Write weights, images of noise, and the probabilities of a pass in training."""
        data = np.random.RandomState(1).randn(self.batch, *self.image_shape).astype(np.float32)
        arrays = {name: value.asnumpy() for name, value in self.replicas.replicas[0].parameters.items()}
        probabilities, = outputs([self.replicas.replicas[0].forward(data, np.zeros(self.batch, np.float32))])
        np.savez(path, data=data, probabilities=probabilities, **arrays)

    def peak_memory(self):
        """Gigabytes, of the process so far."""
        return peak_memory()


class Training(Network):
    """Training steps as the training scripts make them."""

    def __init__(self, args):
        super().__init__(args)
        self.seconds = SyntheticSteps(self.replicas, self.batch // len(self.contexts), self.loss_scale).seconds


class Evaluation(Network):
    """Probabilities, as eval.py has them."""

    def __init__(self, args):
        super().__init__(args)
        self.predictor = self.replicas.predictor()
        self.data = np.random.RandomState(0).randn(self.batch, *self.image_shape).astype(np.float32)

    def seconds(self, steps):
        """Mean seconds of a batch."""
        return mean_seconds(lambda: self.predictor.predict(self.data), steps)


class PoolingLayers(Layers):
    """Layers with global average pooling, as the authors' code has it."""

    def scores(self, x):
        x = mx.sym.Pooling(x, global_pool=True, pool_type='avg', kernel=(8, 8))
        return mx.sym.FullyConnected(x, self.variable('fc_weight'), self.variable('fc_bias'),
                                     num_hidden=self.num_classes, name='fc')


class Defaults:
    """Training steps of the same network as MXNet's own scripts make them: Module, its optimiser, pooling."""

    def __init__(self, args):
        symbol = symbols.find(args.net).build(PoolingLayers(), symbols.units_per_group(args.depth))
        shape = (args.batch, *symbols.IMAGE_SHAPE)
        self.module = mx.mod.Module(symbol, context=devices.contexts(args.gpus))
        self.module.bind([('data', shape)], [('softmax_label', shape[:1])])
        weights = initial_parameters(parameter_shapes(symbol), 1)
        self.module.init_params(arg_params={name: mx.nd.array(value) for name, value in weights.items()})
        self.module.init_optimizer(optimizer='nag', optimizer_params=NAG)
        self.batch = mx.io.DataBatch([mx.nd.random.normal(shape=shape)], [mx.nd.zeros(shape[:1])])

    def seconds(self, steps):
        """Mean seconds of a step."""
        return mean_seconds(self.step, steps, mx.nd.waitall)

    def step(self):
        self.module.forward_backward(self.batch)
        self.module.update()
        self.module.get_outputs()[0].asnumpy()


class GluonCV:
    """Training steps of GluonCV's ResNet 20 for CIFAR-10, hybridized and static."""

    def __init__(self, args):
        from gluoncv.model_zoo import get_model
        context, = devices.contexts(args.gpus)
        self.net = get_model('cifar_resnet20_v1', classes=10)
        self.net.initialize(mx.init.Xavier(), ctx=context)
        self.net.hybridize(static_alloc=True, static_shape=True)
        self.trainer = mx.gluon.Trainer(self.net.collect_params(), 'nag', NAG)
        self.loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        self.loss.hybridize(static_alloc=True, static_shape=True)
        self.batch = args.batch
        self.data = mx.nd.random.normal(shape=(args.batch, *symbols.IMAGE_SHAPE), ctx=context)
        self.labels = mx.nd.zeros((args.batch,), ctx=context)

    def seconds(self, steps):
        """Mean seconds of a step."""
        return mean_seconds(self.step, steps, mx.nd.waitall)

    def step(self):
        with mx.autograd.record():
            loss = self.loss(self.net(self.data), self.labels)
        loss.backward()
        self.trainer.step(self.batch)
        loss.asnumpy()


SUBJECTS = {'training': Training, 'evaluation': Evaluation, 'defaults': Defaults, 'gluoncv': GluonCV,
            'cifar': pipelines.Cifar, 'imagenet': pipelines.ImageNet}


def main():
    """Serve what the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument('what', choices=SUBJECTS)
    parser.add_argument('--net')
    parser.add_argument('--depth', type=int)
    parser.add_argument('--widen', type=int, default=1)
    parser.add_argument('--path')
    parser.add_argument('--components')
    parser.add_argument('--images')
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--imagenet', action='store_true')
    parser.add_argument('--gpus')
    parser.add_argument('--cpus', type=int, default=1)
    parser.add_argument('--dtype', default='float32')
    parser.add_argument('--mirror', action='store_true')
    args = parser.parse_args()
    serve(SUBJECTS[args.what](args))


if __name__ == '__main__':
    main()
