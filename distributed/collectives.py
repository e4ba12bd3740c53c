"""What devices and workers exchange: sums, and what rank 0 tells the others.

Workers are the processes of a distributed job (launch.py), each with devices of its own. MXNet's parameter server joins
them. Here it only adds: no optimizer is set on it, so every worker updates its own copy of the weights in the same way,
and the optimizer's state can be saved. A process by itself is rank 0 of one worker.
"""

from collections.abc import Sequence
import contextlib
import itertools
import json
import os
from typing import Any
import weakref

import numpy as np

from common.errors import UserError
from common.mxnet import mx
from common.sharding import Shard

KINDS = ('local', 'device', 'dist_sync', 'dist_device_sync')
MESSAGE = 4096  # bytes of the longest object that rank 0 can broadcast


class Collectives:
    """Collective operations on MXNet's KVStore.

    Every worker has to call the methods in the same order. Those that take a key only queue their work; the others wait
    for the result.

    Attributes:
        rank, num_workers: this worker's number from 0, and how many there are.
        shard: the devices of this worker among all of them.
    """

    def __init__(self, kind: str = 'local', num_devices: int = 1):
        """Join the job.

        Args:
            kind: one of KINDS, a kind of KVStore.
            num_devices: devices of each worker.

        Raises:
            UserError: the kind does not fit the way in which this process was started.
        """
        launched = os.environ.get('DMLC_ROLE') == 'worker' and 'DMLC_PS_ROOT_URI' in os.environ
        if launched and not kind.startswith('dist'):
            raise UserError(f'with --kv-store {kind} every worker of this job would train by itself: choose dist_sync')
        if kind.startswith('dist') and not launched:
            raise UserError(
                f'--kv-store {kind} is for several workers: start them with python -m distributed.launch -n 2 python …'
            )
        self._store = mx.kv.create(kind) if num_devices > 1 or kind.startswith('dist') else None
        self._pulled: dict[int, Sequence[mx.nd.NDArray]] = {}  # by key
        if self._store:
            weakref.finalize(self, _finish, self._pulled).atexit = False  # an exit drops what is queued
        self.rank, self.num_workers = (self._store.rank, self._store.num_workers) if self._store else (0, 1)
        self.shard = Shard(self.rank * num_devices, num_devices, self.num_workers * num_devices)
        self._shapes: list[tuple] = []
        self._key_of_length: dict[int, int] = {}

    def new_key(self, shape: tuple) -> int:
        """A key for all_reduce and broadcast of float32 arrays of a shape."""
        self._shapes.append(shape)
        key = len(self._shapes) - 1
        if self._store:
            self._store.init(key, mx.nd.zeros(shape))
        return key

    def all_reduce(self, key: int, arrays: Sequence[mx.nd.NDArray]) -> None:
        """Queue the sum: each array, one a device, becomes the sum over all devices of all workers."""
        self._exchange(key, arrays, arrays, priority=-key)

    def broadcast(self, key: int, arrays: Sequence[mx.nd.NDArray]) -> None:
        """Queue a copy: each array becomes rank 0's first one."""
        self._exchange(key, arrays[0] if self.rank == 0 else mx.nd.zeros(self._shapes[key]), arrays)

    def _exchange(self, key, pushed, pulled, priority=0):
        if self._store:
            self._store.push(key, pushed, priority=priority)
            self._store.pull(key, pulled, priority=priority)
            self._pulled[key] = pulled

    def all_reduce_numbers(self, numbers: Sequence[float] | np.ndarray) -> np.ndarray:
        """The sums over the workers of a short list of numbers; float32 where there are several workers."""
        if self.num_workers == 1:
            return np.asarray(numbers)
        length = len(numbers)
        if length not in self._key_of_length:
            self._key_of_length[length] = self.new_key((length,))
        array = mx.nd.array(numbers)
        self.all_reduce(self._key_of_length[length], [array])
        return array.asnumpy()

    def all_gather(self, vector: np.ndarray) -> np.ndarray:
        """Every worker's vector (n,), in the order of the ranks: (num_workers, n) float32."""
        table = np.zeros((self.num_workers, len(vector)), np.float32)
        table[self.rank] = vector
        return np.reshape(self.all_reduce_numbers(table.ravel()), table.shape)

    def broadcast_object(self, value: Any) -> Any:
        """Rank 0's value, which JSON has to hold in MESSAGE bytes; the other workers' argument is ignored."""
        if self.num_workers == 1:
            return value
        text = json.dumps(value).encode() if self.rank == 0 else b''
        # Spaces pad rank 0's text, zeros are what the others add to it.
        padded = text.ljust(MESSAGE, b' ' if self.rank == 0 else b'\0')
        total = self.all_reduce_numbers(np.frombuffer(padded, np.uint8))
        return json.loads(total.astype(np.uint8).tobytes().decode())

    def barrier(self) -> None:
        """Wait until every worker has come here."""
        self.all_reduce_numbers([0])


def _finish(pulled: dict[int, Sequence[mx.nd.NDArray]]) -> None:
    """Wait for a store's sums before it is freed.

    A queued sum reads its thresholds from the store, and MXNet 1.9.1 frees a `local` store without waiting. Once that
    memory is used again, such a sum ends the process by SIGFPE, SIGSEGV or SIGABRT. `waitall` would clear the errors of
    all other arrays, too.
    """
    for array in itertools.chain(*pulled.values()):
        with contextlib.suppress(mx.MXNetError):  # of a step whose result nobody asked for
            array.wait_to_read()
