"""Many small arrays side by side in a few long ones, so that one call serves all of them.

A network has hundreds of parameters, most of a few kilobytes. An update, or a sum over devices, that is called
for each of them costs mostly the calls: 20 ms of a step of 570 ms (ResNet 110 on a two-core CPU), 3.5 with one call
on the long array. Others bundle them too: PyTorch's DistributedDataParallel in buckets of
25 MB, its optimisers by `foreach`, MXNet's by `multi_sgd_mom_update`, which knows no Nesterov momentum.
"""
import math

from common.mxnet import mx

BUCKET = 2 ** 20  # numbers in a long array, if no single parameter has more: a sum can begin before backward has ended
ALIGNED = 64      # numbers, 256 bytes: as cudaMalloc aligns, so that each array may be read in whole vectors


class Flat:
    """Arrays of {name: shape} on a device, zeros at first.

    arrays: {name: NDArray of its shape}, views of `buckets`, a list of long 1-D arrays; what is written to the one is
    in the other.
    """

    def __init__(self, shapes, device):
        self._shapes, self._device = shapes, device
        places, sizes = _places(shapes)
        self.buckets = [mx.nd.zeros(size, device) for size in sizes]
        self.arrays = {name: self.buckets[bucket][place].reshape(shapes[name])
                       for name, (bucket, place) in places.items()}

    def like(self):
        """Another one for the same shapes, zeros."""
        return Flat(self._shapes, self._device)


def _places(shapes):
    """{name: (bucket, slice of it)}, and the buckets' sizes."""
    places, sizes = {}, []
    for name, shape in shapes.items():
        size = math.prod(shape)
        room = -(-size // ALIGNED) * ALIGNED
        if not sizes or sizes[-1] + room > BUCKET:
            sizes.append(0)
        places[name] = len(sizes) - 1, slice(sizes[-1], sizes[-1] + size)
        sizes[-1] += room
    return places, sizes
