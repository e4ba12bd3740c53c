"""One network on several devices: each has a copy and works on its share of the batch, and all stay equal.

It is built on MXNet's executors and KVStore; MXNet's Module would hide what has to be exact here. Each device
normalizes its own share of a batch (32 images a GPU in the paper), so the number of devices is part of an experiment.
The running statistics differ between devices while an epoch runs. `merge_statistics` averages them, over all devices of
all workers, before an evaluation.

Training and evaluation share no array. On the CPU, MXNet's inference converts the weights that it reads to a memory
layout of oneDNN's, in place and behind the queue. On the arrays of training that makes two runs of one seed differ, and
with steps still queued it ruins the weights (seen with MXNet 1.9.1: they become NaN). It also folds BatchNorm into the
convolution before it, and an executor that was used again after the weights had moved on was seen to evaluate old ones.
So each evaluation makes a new `Predictor` from a copy, after the queue has run empty.
"""

from collections.abc import Sequence
import threading

import numpy as np

from common.errors import UserError
from common.mxnet import mx
from common.sharding import split_evenly
from distributed.collectives import Collectives
from symbols.fused import fold
from training.flat import Flat

Arrays = dict[str, np.ndarray]  # by the name of the parameter or statistic
EXECUTORS = 2  # of a device: for whole batches, and for the last one
PREDICTING = threading.Lock()  # MXNet's executors do not work in several threads at once


class Replica:
    """The network's arrays on one device, and the executors for the last EXECUTORS numbers of images.

    In training, `flat` and `flat_gradients` hold the parameters that learn and their gradients side by side, and
    `frozen` holds the others. In evaluation they do not, because MXNet cannot convert the layout of a part of an array.
    """

    def __init__(self, symbol, device, image_shape, parameters, statistics, train, frozen=()):
        self.symbol, self.device, self.image_shape = symbol, device, tuple(image_shape)
        self.statistics = {name: mx.nd.array(value, device) for name, value in statistics.items()}
        self.gradients: dict[str, mx.nd.NDArray] | None = None
        if train:
            shapes = {name: value.shape for name, value in parameters.items()}
            self.flat = Flat({name: shape for name, shape in shapes.items() if name not in frozen}, device)
            self.frozen = Flat({name: shapes[name] for name in frozen}, device)
            self.flat_gradients = self.flat.zeros_like()
            self.gradients = self.flat_gradients.arrays
            self.parameters = {**self.flat.arrays, **self.frozen.arrays}
            for name, value in parameters.items():
                self.parameters[name][:] = value
        else:
            self.parameters = {name: mx.nd.array(value, device) for name, value in parameters.items()}
        self._executors = {}

    def load(self, *share: np.ndarray) -> list[mx.nd.NDArray]:
        """This device's share of a batch as arrays for `forward`: data, and labels where there is a `backward`.

        A GPU copies them from the CPU's memory when their turn in its queue comes.
        """
        device = mx.cpu() if self.device.device_type == 'gpu' else self.device
        return [mx.nd.array(values, device) for values in share]

    def forward(self, data: mx.nd.NDArray, *labels: mx.nd.NDArray):
        """Queue a pass over what `load` returned, and return the executor."""
        executor = self._executor(len(data))
        inputs = dict(zip(('data', 'softmax_label'), (data, *labels)))
        executor.forward(is_train=self.gradients is not None, **inputs)
        return executor

    def set_statistics(self, statistics: Arrays) -> None:
        """Replace the running statistics."""
        for name, value in self.statistics.items():
            value[:] = statistics[name]

    def _executor(self, images):
        executor = self._executors.pop(images, None) or self._bind(images)
        self._executors[images] = executor  # the last one
        if len(self._executors) > EXECUTORS:
            del self._executors[next(iter(self._executors))]  # each has room for all activations
        return executor

    def _bind(self, images):
        inputs = {
            'data': mx.nd.zeros((images, *self.image_shape), self.device),
            'softmax_label': mx.nd.zeros((images,), self.device),
        }
        requests = {
            name: 'write' if self.gradients and name in self.gradients else 'null'
            for name in self.symbol.list_arguments()
        }
        return self.symbol.bind(
            self.device,
            {**self.parameters, **inputs},
            args_grad=self.gradients,
            grad_req=requests,
            aux_states=self.statistics,
        )


def forward_all(replicas: Sequence[Replica], shares: Sequence[Sequence[np.ndarray]]) -> list:
    """Queue a pass on every device over its share of a batch, and return the executors.

    All shares are loaded before the first pass is queued: MXNet fills an array on the CPU only after what cpu(0) has to
    do, so a share loaded later would keep its device waiting for cpu(0)'s pass.
    """
    loaded = [replica.load(*share) for replica, share in zip(replicas, shares)]
    return [replica.forward(*share) for replica, share in zip(replicas, loaded)]


class Replicas:
    """The network in training on the devices of this process and of the other workers."""

    def __init__(
        self,
        symbol: mx.sym.Symbol,
        devices: Sequence[mx.Context],
        image_shape: Sequence[int],
        parameters: Arrays,
        statistics: Arrays,
        collectives: Collectives | None = None,
        evaluated: mx.sym.Symbol | None = None,
        frozen: Sequence[str] = (),
    ):
        """Copy the network to all devices; every copy starts from rank 0's arrays.

        Args:
            symbol: the network in the form to train.
            devices: MXNet contexts of this process.
            image_shape: (channels, height, width).
            parameters, statistics: initial values.
            collectives: of the job; by default of this process alone.
            evaluated: the network in the form to evaluate, where it is another one.
            frozen: the parameters that do not learn.
        """
        self.image_shape, self.collectives = image_shape, collectives or Collectives(num_devices=len(devices))
        self._evaluated = symbol if evaluated is None else evaluated
        self.replicas = [
            Replica(symbol, device, image_shape, parameters, statistics, train=True, frozen=frozen)
            for device in devices
        ]
        self._keys = [self.collectives.new_key(bucket.shape) for bucket in self.replicas[0].flat.buckets]
        self._frozen_keys = [self.collectives.new_key(bucket.shape) for bucket in self.replicas[0].frozen.buckets]
        self.broadcast_parameters()
        self.restore_statistics([statistics] * self.collectives.shard.total)

    def broadcast(self, per_device: Sequence[Flat]) -> None:
        """Make arrays with the shapes of what learns, a Flat for each device, those of rank 0 everywhere."""
        self._broadcast(self._keys, per_device)

    def broadcast_parameters(self) -> None:
        """Make all parameters those of rank 0 everywhere."""
        self._broadcast(self._keys, [replica.flat for replica in self.replicas])
        self._broadcast(self._frozen_keys, [replica.frozen for replica in self.replicas])

    def _broadcast(self, keys, per_device):
        if self.collectives.num_workers > 1:
            for key, *buckets in zip(keys, *(flat.buckets for flat in per_device)):
                self.collectives.broadcast(key, buckets)
            mx.nd.waitall()

    def check_batches(self, images: int, batch_size: int) -> None:
        """Raise UserError if a batch is larger than an epoch's `images` images, or the last one cannot be split."""
        if batch_size > images:
            raise UserError(
                f'a batch of {batch_size} is larger than the {images} training images: choose a smaller --batch-size'
            )
        devices, last = self.collectives.shard.total, images % batch_size or batch_size
        if last < devices:
            raise UserError(
                f'the last batch of an epoch has {last} images, which cannot be split over {devices} devices: choose '
                'another --batch-size'
            )

    def gradients(self, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> list:
        """Queue one pass forward and back; every device's gradients become the sums over the whole batch.

        Args:
            parts: (data (n, channels, height, width) float32, labels (n,)) for each device of this process.

        Returns:
            The executors, which `outputs` reads.
        """
        executors = forward_all(self.replicas, parts)
        for executor in executors:
            executor.backward()
        for key, *buckets in zip(self._keys, *(replica.flat_gradients.buckets for replica in self.replicas)):
            self.collectives.all_reduce(key, buckets)
        return executors

    def statistics(self) -> list[Arrays]:
        """The running statistics of every device of every worker, in order."""
        mx.nd.waitall()
        own = [np.concatenate([value.asnumpy() for value in replica.statistics.values()]) for replica in self.replicas]
        everywhere = self.collectives.all_gather(np.concatenate(own))
        return [self._by_name(vector) for vector in everywhere.reshape(self.collectives.shard.total, -1)]

    def _by_name(self, vector):
        arrays = self.replicas[0].statistics
        ends = np.cumsum([len(value) for value in arrays.values()])
        return dict(zip(arrays, np.split(vector, ends[:-1])))

    def restore_statistics(self, per_device: list[Arrays]) -> None:
        """Put back what `statistics` returned. Every worker has to call this; rank 0's argument counts."""
        shard = self.collectives.shard
        table = np.zeros((shard.total, sum(len(value) for value in self.replicas[0].statistics.values())), np.float32)
        if self.collectives.rank == 0:
            table[:] = [np.concatenate([arrays[name] for name in self.replicas[0].statistics]) for arrays in per_device]
        table = np.reshape(self.collectives.all_reduce_numbers(table.ravel()), table.shape)
        for replica, vector in zip(self.replicas, table[shard.first :]):
            replica.set_statistics(self._by_name(vector))

    def merge_statistics(self) -> None:
        """Give every device of every worker the mean of all devices' running statistics."""
        mean = mean_statistics(self.statistics())
        for replica in self.replicas:
            replica.set_statistics(mean)

    def find_not_finite(self) -> str | None:
        """The name of a parameter, or of a running statistic of any device, that is not finite; None where all are.

        Every worker has to call this.
        """
        statistics = self.statistics()
        parameters = {name: value.asnumpy() for name, value in self.replicas[0].parameters.items()}
        for arrays in (parameters, *statistics):
            for name, value in arrays.items():
                if not np.isfinite(value).all():
                    return name
        return None

    def predictor(self) -> 'Predictor':
        """A copy of the network as it is now, for one evaluation, with the mean statistics of the devices here."""
        mx.nd.waitall()
        own = [{name: value.asnumpy() for name, value in replica.statistics.items()} for replica in self.replicas]
        return Predictor(
            self._evaluated,
            [replica.device for replica in self.replicas],
            self.image_shape,
            self.replicas[0].parameters,
            mean_statistics(own),
        )


def mean_statistics(per_device: Sequence[Arrays]) -> Arrays:
    """The mean of several devices' running statistics; of equal ones, exactly these."""
    return {
        name: np.asarray(np.mean([own[name] for own in per_device], axis=0, dtype=np.float64), np.float32)
        for name in per_device[0]
    }


class Predictor:
    """The network in evaluation on a list of devices, in the form that is faster there; arguments as in Replicas."""

    def __init__(self, symbol, devices, image_shape, parameters, statistics):
        if devices[0].device_type == 'cpu':
            symbol, parameters = fold(symbol, parameters)
        self.replicas = [
            Replica(symbol, device, image_shape, parameters, statistics, train=False) for device in devices
        ]

    def predict(self, data: np.ndarray) -> list[np.ndarray]:
        """The outputs for data (n, channels, height, width), n from 1: an (n, classes) array for each output.

        Threads may call it at the same time; they wait for one another.
        """
        shares = split_evenly(len(data), min(len(data), len(self.replicas)))
        with PREDICTING:
            return outputs(forward_all(self.replicas, [(data[share],) for share in shares]))


class JointPredictor:
    """Several networks, evaluated side by side as the members of one ensemble."""

    def __init__(self, models, devices, image_shape):
        """Take the models, [(symbol, parameters, statistics)]; the rest as in Predictor."""
        self.predictors = [
            Predictor(symbol, devices, image_shape, parameters, statistics) for symbol, parameters, statistics in models
        ]

    def predict(self, data: np.ndarray) -> list[np.ndarray]:
        """The outputs of all networks, as Predictor returns them."""
        return [output for predictor in self.predictors for output in predictor.predict(data)]


def outputs(executors: Sequence) -> list[np.ndarray]:
    """Wait for the executors and read them: an (n, classes) array for each output of the symbol, shares joined."""
    return [
        np.concatenate([share.asnumpy() for share in parts])
        for parts in zip(*(executor.outputs for executor in executors))
    ]
