"""One network on several devices: each has a copy, works on its share of the batch, and all stay equal.

Built on MXNet's executors and KVStore; its Module would hide what has to be exact here. Each device
normalises its own share of a batch (the paper: 32 images a GPU), so the number of devices is part of an
experiment. The running statistics therefore differ between devices while an epoch runs;
`merge_statistics` averages them, over all devices of all workers, before anything is evaluated.

Training and evaluation share no array. On the CPU MXNet's inference turns the weights it reads into a
layout of MKL-DNN's, in place and behind the queue: on the arrays of training that makes two runs of one
seed differ, and with steps still queued it ruins the weights (seen with MXNet 1.9.1: they become NaN).
It also folds BatchNorm into the convolution before it, and an executor that is used again after the
weights have moved on was seen to evaluate with old ones. So `Predictor` is made anew for each
evaluation, from a copy, after the queue has been waited for.
"""
import numpy as np

from common.mxnet import mx
from common.errors import UserError
from training.flat import Flat
from distributed.collectives import Store, shares


class Replica:
    """The network's arrays on one device, and its executors, one for each number of images.

    parameters: {name: array}. In training `gradients` has the same names, and `flat` and `flat_gradients` hold
    both side by side (flat.py); not in evaluation, because what MXNet does to the weights' layout there (above)
    it cannot do to a part of an array.
    """

    def __init__(self, symbol, device, image_shape, parameters, statistics, train):
        self.symbol, self.device, self.image_shape = symbol, device, tuple(image_shape)
        self.statistics = {name: mx.nd.array(value, device) for name, value in statistics.items()}
        if train:
            self.flat = Flat({name: value.shape for name, value in parameters.items()}, device)
            self.flat_gradients = self.flat.like()
            self.parameters, self.gradients = self.flat.arrays, self.flat_gradients.arrays
            for name, value in parameters.items():
                self.parameters[name][:] = value
        else:
            self.parameters = {name: mx.nd.array(value, device) for name, value in parameters.items()}
            self.gradients = None
        self._executors = {}

    def forward(self, data, labels=None):
        """Queue a pass over this device's share; returns the executor. labels are needed for `backward`."""
        executor = self._executor(len(data))
        inputs = {'data': _on_cpu(data)}
        if labels is not None:
            inputs['softmax_label'] = _on_cpu(labels)
        executor.forward(is_train=self.gradients is not None, **inputs)
        return executor

    def set_statistics(self, statistics):
        """Replace the running statistics by {name: array}."""
        for name, value in self.statistics.items():
            value[:] = statistics[name]

    def _executor(self, images):
        if images not in self._executors:
            inputs = {'data': mx.nd.zeros((images,) + self.image_shape, self.device),
                      'softmax_label': mx.nd.zeros((images,), self.device)}
            requests = {name: 'write' if self.gradients and name in self.gradients else 'null'
                        for name in self.symbol.list_arguments()}
            self._executors[images] = self.symbol.bind(
                self.device, {**self.parameters, **inputs}, args_grad=self.gradients, grad_req=requests,
                aux_states=self.statistics)
        return self._executors[images]


def _on_cpu(values):
    return values if isinstance(values, mx.nd.NDArray) else mx.nd.array(values)


class Replicas:
    """The network in training on a list of devices (MXNet contexts), in this process and the store's other workers.

    image_shape is (channels, height, width); parameters and statistics are {name: array}, what all copies
    start from: those of rank 0. evaluated: the symbol to evaluate, where another form of it is trained.
    """

    def __init__(self, symbol, devices, image_shape, parameters, statistics, store=None, evaluated=None):
        self.image_shape, self.store = image_shape, store or Store(devices=len(devices))
        self._evaluated = symbol if evaluated is None else evaluated
        self.replicas = [Replica(symbol, device, image_shape, parameters, statistics, train=True)
                         for device in devices]
        self._keys = [self.store.reserve(bucket.shape) for bucket in self.replicas[0].flat.buckets]
        self.share([replica.flat for replica in self.replicas])

    def share(self, per_device):
        """Make arrays that are as the parameters, a Flat for each device, those of rank 0 everywhere."""
        if self.store.workers > 1:
            for key, *buckets in zip(self._keys, *(flat.buckets for flat in per_device)):
                self.store.share(key, buckets)
            mx.nd.waitall()

    def check_batches(self, images, batch_size):
        """UserError if a batch of an epoch of `images` images is smaller than the number of devices."""
        devices, last = self.store.place.total, images % batch_size
        for size, which in ((batch_size, 'a batch'), (last or batch_size, "the last batch of an epoch")):
            if size < devices:
                raise UserError('%s has %d images, which cannot be split over %d devices: choose another '
                                '--batch-size' % (which, size, devices))

    def gradients(self, parts):
        """Queue one pass forward and back; every device's gradients become the sums over the whole batch.

        parts: (data (n, channels, height, width) float32, labels (n,)) for each device of this process. Returns the
        executors; `outputs` reads them.
        """
        executors = [replica.forward(*part) for replica, part in zip(self.replicas, parts)]
        for executor in executors:
            executor.backward()
        for key, *buckets in zip(self._keys, *(replica.flat_gradients.buckets for replica in self.replicas)):
            self.store.sum(key, buckets)
        return executors

    def statistics(self):
        """Running statistics of every device of every worker, in order: a list of {name: (channels,) array}."""
        mx.nd.waitall()
        own = [np.concatenate([value.asnumpy() for value in replica.statistics.values()]) for replica in self.replicas]
        return [self._by_name(vector) for vector in
                self.store.gather(np.concatenate(own)).reshape(self.store.place.total, -1)]

    def _by_name(self, vector):
        arrays = self.replicas[0].statistics
        ends = np.cumsum([len(value) for value in arrays.values()])
        return dict(zip(arrays, np.split(vector, ends[:-1])))

    def restore_statistics(self, per_device=None):
        """Put back what `statistics` returned; only rank 0's argument counts."""
        size = sum(len(value) for value in self.replicas[0].statistics.values())
        table = np.zeros((self.store.place.total, size), np.float32)
        if self.store.rank == 0:
            table[:] = [np.concatenate([arrays[name] for name in self.replicas[0].statistics])
                        for arrays in per_device]
        table = np.reshape(self.store.total(table.ravel()), table.shape)
        for replica, vector in zip(self.replicas, table[self.store.place.first:]):
            replica.set_statistics(self._by_name(vector))

    def merge_statistics(self):
        """Give every device of every worker the mean of all devices' running statistics."""
        mean = mean_statistics(self.statistics())
        for replica in self.replicas:
            replica.set_statistics(mean)

    def predictor(self):
        """A copy of the network as it is now, for one evaluation; its statistics the mean of this process's devices."""
        mx.nd.waitall()
        own = [{name: value.asnumpy() for name, value in replica.statistics.items()} for replica in self.replicas]
        return Predictor(self._evaluated, [replica.device for replica in self.replicas], self.image_shape,
                         self.replicas[0].parameters, mean_statistics(own))


def mean_statistics(per_device):
    """The mean of several devices' running statistics, {name: (channels,) array}; of equal ones, themselves."""
    return {name: np.mean([own[name] for own in per_device], axis=0, dtype=np.float64).astype(np.float32)
            for name in per_device[0]}


class Predictor:
    """The network in evaluation on a list of devices; arguments as those of Replicas."""

    def __init__(self, symbol, devices, image_shape, parameters, statistics):
        self.replicas = [Replica(symbol, device, image_shape, parameters, statistics, train=False)
                         for device in devices]

    def predict(self, data):
        """The outputs for data (n, channels, height, width), any n from 1: a list of (n, classes) arrays."""
        used = min(len(data), len(self.replicas))
        return outputs([replica.forward(data[share])
                        for replica, share in zip(self.replicas, shares(len(data), used))])


def outputs(executors):
    """Read what the executors put out: one (n, classes) array for each output of the symbol, shares joined."""
    return [np.concatenate([share.asnumpy() for share in parts])
            for parts in zip(*(executor.outputs for executor in executors))]
