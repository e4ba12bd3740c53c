"""SGD with Torch's Nesterov momentum, and weight decay on every parameter (section 6.2)."""

from common.mxnet import mx
from training.replicas import Replicas


class NesterovSGD:
    """v ← μ·v + g and w ← w − learning_rate·(g + μ·v), where g is the mean gradient plus weight_decay·w.

    It differs from `mx.optimizer.NAG` in three points, in all of which it follows Torch:

    - MXNet decays no bias and no beta by default; here the decay is on every parameter.
    - MXNet's buffer holds −learning_rate·v, so that after a drop of the rate the old, larger steps go on; here the
      buffer is rescaled at the drop.
    - MXNet's kernel, when it updates in place, computes the decay in the buffer from the weight that it has just
      written; here it writes elsewhere, and the result is copied.
    """

    def __init__(self, replicas: Replicas, momentum: float = 0.9, weight_decay: float = 1e-4, loss_scale: float = 1):
        """Start with zero momentum; the gradients are `loss_scale` times as large as they should be."""
        self.replicas, self.momentum, self.weight_decay = replicas, momentum, weight_decay
        self.loss_scale = loss_scale
        self.learning_rate: float | None = None  # of the last step, which scales the buffers
        self.buffers = [replica.flat.zeros_like() for replica in replicas.replicas]
        self._results = [replica.flat.zeros_like() for replica in replicas.replicas]

    def step(self, learning_rate: float, images: int) -> None:
        """Queue the update of every replica by the gradients it holds, which are sums over `images` images."""
        if self.learning_rate is not None and learning_rate != self.learning_rate:
            for buffers in self.buffers:
                for buffer in buffers.buckets:
                    buffer *= learning_rate / self.learning_rate
        self.learning_rate = learning_rate
        for replica, buffers, results in zip(self.replicas.replicas, self.buffers, self._results):
            for weight, gradient, buffer, result in zip(
                replica.flat.buckets, replica.flat_gradients.buckets, buffers.buckets, results.buckets
            ):
                mx.nd.nag_mom_update(
                    weight,
                    gradient,
                    buffer,
                    out=result,
                    lr=learning_rate,
                    wd=self.weight_decay,
                    momentum=self.momentum,
                    rescale_grad=1 / (images * self.loss_scale),
                )
                result.copyto(weight)

    def state_dict(self) -> dict:
        """What a resume needs: the learning rate, and the buffers {name: NDArray}, the same on every device."""
        return {'learning_rate': self.learning_rate, 'buffers': self.buffers[0].arrays}

    def load_state_dict(self, state: dict) -> None:
        """Take up a state_dict. Every worker has to call this; rank 0's state counts."""
        collectives = self.replicas.collectives
        self.learning_rate = collectives.broadcast_object(state.get('learning_rate'))
        if collectives.rank == 0:
            for own in self.buffers:
                for name, buffer in own.arrays.items():
                    state['buffers'][name].copyto(buffer)
        self.replicas.broadcast(self.buffers)
