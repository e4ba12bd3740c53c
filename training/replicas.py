"""One network on several devices: each has a copy, works on its share of the batch, and all stay equal.

Built on MXNet's executors and KVStore; its Module would hide what has to be exact here. Each device
normalises its own share of a batch (the paper: 32 images a GPU), so the number of devices is part of an
experiment. The running statistics therefore differ between devices while an epoch runs;
`merge_statistics` averages them before anything is evaluated.

Training and evaluation share no array. On the CPU MXNet's inference turns the weights it reads into a
layout of MKL-DNN's, in place and behind the queue: on the arrays of training that makes two runs of one
seed differ, and with steps still queued it ruins the weights (seen with MXNet 1.9.1: they become NaN).
It also folds BatchNorm into the convolution before it, and an executor that is used again after the
weights have moved on was seen to evaluate with old ones. So `Predictor` is made anew for each
evaluation, from a copy, after the queue has been waited for.
"""
import numpy as np

from compat import mx
from errors import UserError


class Replica:
    """The network's arrays on one device, and its executors, one for each number of images."""

    def __init__(self, symbol, device, image_shape, parameters, statistics, train):
        self.symbol, self.device, self.image_shape = symbol, device, tuple(image_shape)
        self.parameters = {name: mx.nd.array(value, device) for name, value in parameters.items()}
        self.statistics = {name: mx.nd.array(value, device) for name, value in statistics.items()}
        self.gradients = {name: mx.nd.zeros_like(value) for name, value in self.parameters.items()} if train else None
        self._executors = {}

    def forward(self, data, labels=None):
        """Queue a pass over this device's share; returns the executor. labels are needed for `backward`."""
        executor = self._executor(len(data))
        inputs = {'data': mx.nd.array(data)}
        if labels is not None:
            inputs['softmax_label'] = mx.nd.array(labels)
        executor.forward(is_train=self.gradients is not None, **inputs)
        return executor

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


class Replicas:
    """The network in training on a list of devices (MXNet contexts).

    image_shape is (channels, height, width); parameters and statistics are {name: array}, what all copies
    start from. kvstore: 'local' sums gradients on the CPU, 'device' on the GPUs.
    """

    def __init__(self, symbol, devices, image_shape, parameters, statistics, kvstore='local'):
        self.symbol, self.image_shape = symbol, image_shape
        self.replicas = [Replica(symbol, device, image_shape, parameters, statistics, train=True)
                         for device in devices]
        self._store = mx.kv.create(kvstore) if len(devices) > 1 else None
        if self._store:
            for key, weight in enumerate(self.replicas[0].parameters.values()):
                self._store.init(key, weight)

    def check_batches(self, images, batch_size):
        """UserError if a batch of an epoch of `images` images is smaller than the number of devices."""
        devices, last = len(self.replicas), images % batch_size
        for size, which in ((batch_size, 'a batch'), (last or batch_size, "the last batch of an epoch")):
            if size < devices:
                raise UserError('%s has %d images, which cannot be split over %d devices: choose another '
                                '--batch-size' % (which, size, devices))

    def gradients(self, data, labels):
        """Queue one pass forward and back; every device's gradients become the sums over the whole batch.

        data (n, channels, height, width) float32, labels (n,). Returns the executors; `outputs` reads them.
        """
        executors = [replica.forward(data[share], labels[share])
                     for replica, share in zip(self.replicas, shares(len(data), len(self.replicas)))]
        for executor in executors:
            executor.backward()
        if self._store:
            for key, name in enumerate(self.replicas[0].gradients):
                sums = [replica.gradients[name] for replica in self.replicas]
                self._store.push(key, sums, priority=-key)
                self._store.pull(key, sums, priority=-key)
        return executors

    def statistics(self):
        """Each device's own running statistics, a list of {name: (channels,) array}."""
        mx.nd.waitall()
        return [{name: value.asnumpy() for name, value in replica.statistics.items()} for replica in self.replicas]

    def mean_statistics(self):
        """The mean of the devices' running statistics, {name: (channels,) array}; of equal ones, themselves."""
        per_device = self.statistics()
        return {name: np.mean([own[name] for own in per_device], axis=0, dtype=np.float64).astype(np.float32)
                for name in per_device[0]}

    def merge_statistics(self):
        """Give every device the mean of the devices' running statistics."""
        if len(self.replicas) > 1:
            for name, value in self.mean_statistics().items():
                for replica in self.replicas:
                    replica.statistics[name][:] = value

    def predictor(self):
        """A copy of the network as it is now, for one evaluation."""
        statistics = self.mean_statistics()  # which waits for the queue
        return Predictor(self.symbol, [replica.device for replica in self.replicas], self.image_shape,
                         self.replicas[0].parameters, statistics)


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


def shares(images, devices):
    """Slices of a batch, one for each device, as even as can be."""
    ends = [images * i // devices for i in range(devices + 1)]
    return [slice(*pair) for pair in zip(ends, ends[1:])]


def outputs(executors):
    """Read what the executors put out: one (n, classes) array for each output of the symbol, shares joined."""
    return [np.concatenate([share.asnumpy() for share in parts])
            for parts in zip(*(executor.outputs for executor in executors))]
