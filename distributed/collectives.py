"""What passes between devices and workers: sums, and what rank 0 tells the others.

Workers are the processes of a distributed job (distributed/launch.py), each with devices of its own. They are
joined by MXNet's parameter server, which here only sums: no optimiser is set on it, so that every worker
updates its own copy of the weights, in the same way, and the optimiser's state can be saved. A process by
itself is rank 0 of one worker.
"""
import json
import os
from typing import NamedTuple

import numpy as np

from common.mxnet import mx
from common.errors import UserError

KINDS = ('local', 'device', 'dist_sync', 'dist_device_sync')
NOTE = 4096  # bytes of the longest note


class Place(NamedTuple):
    """Which of all the job's devices are this process's: `count` from number `first`, of `total`."""

    first: int = 0
    count: int = 1
    total: int = 1

    def shares(self, images):
        """Slices of a batch, one for each device of this process, as even as can be over all devices."""
        return shares(images, self.total)[self.first:self.first + self.count]


def shares(images, devices):
    """Slices of a batch, one for each device, as even as can be."""
    ends = [images * i // devices for i in range(devices + 1)]
    return [slice(*pair) for pair in zip(ends, ends[1:])]


class Store:
    """MXNet's KVStore for `devices` devices in each worker; kind: one of KINDS.

    All methods but the constructor's are collective: every worker has to call them, in the same order.
    """

    def __init__(self, kind='local', devices=1):
        launched = os.environ.get('DMLC_ROLE') == 'worker' and 'DMLC_PS_ROOT_URI' in os.environ
        if launched and not kind.startswith('dist'):
            raise UserError('with --kv-store %s every worker of this job would train by itself: choose dist_sync'
                            % kind)
        if kind.startswith('dist') and not launched:
            raise UserError('--kv-store %s is for several workers: start them with python -m distributed.launch -n 2 '
                            'python …' % kind)
        self._kv = mx.kv.create(kind) if devices > 1 or kind.startswith('dist') else None
        self.rank, self.workers = (self._kv.rank, self._kv.num_workers) if self._kv else (0, 1)
        self.place = Place(self.rank * devices, devices, self.workers * devices)
        self._shapes, self._key_of_length = [], {}

    def reserve(self, shape):
        """A key for sums of float32 arrays of a shape."""
        self._shapes.append(shape)
        key = len(self._shapes) - 1
        if self._kv:
            self._kv.init(key, mx.nd.zeros(shape))
        return key

    def sum(self, key, arrays):
        """Queue that each of this worker's arrays, one a device, becomes the sum over all devices of all workers."""
        if self._kv:
            self._kv.push(key, arrays, priority=-key)
            self._kv.pull(key, arrays, priority=-key)

    def share(self, key, arrays):
        """Queue that each of the arrays becomes rank 0's first one."""
        if self._kv:
            own = arrays[0] if self.rank == 0 else mx.nd.zeros(self._shapes[key])
            self._kv.push(key, own)
            self._kv.pull(key, arrays)

    def total(self, vector):
        """The sum over the workers of a vector of numbers, as float32 numbers where there are several."""
        if self.workers == 1:
            return vector
        length = len(vector)
        if length not in self._key_of_length:
            self._key_of_length[length] = self.reserve((length,))
        array = mx.nd.array(vector)
        self.sum(self._key_of_length[length], [array])
        return array.asnumpy()

    def meet(self):
        """Wait until every worker has come here."""
        self.total([0])

    def gather(self, vector):
        """Every worker's vector (n,): (workers, n), in the order of the ranks."""
        table = np.zeros((self.workers, len(vector)), np.float32)
        table[self.rank] = vector
        return np.reshape(self.total(table.ravel()), table.shape)

    def tell(self, note):
        """Rank 0's note, anything that JSON can hold in NOTE bytes, for everyone; that of the others is not read."""
        if self.workers == 1:
            return note
        text = json.dumps(note).encode() if self.rank == 0 else b''
        content = self.total(np.frombuffer(text.ljust(NOTE, b' ' if self.rank == 0 else b'\0'), np.uint8))
        return json.loads(content.astype(np.uint8).tobytes().decode())
