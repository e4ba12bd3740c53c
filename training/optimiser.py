"""SGD with Torch's Nesterov momentum and weight decay on every parameter (section 6.2)."""
from common.mxnet import mx


class NesterovSGD:
    """v ← μ·v + g and w ← w − rate·(g + μ·v), where g is the mean gradient plus weight_decay·w.

    Differs from `mx.optimizer.NAG` in three things, all as Torch has them:
    - MXNet decays no bias and no beta by default; here g has the decay of every parameter.
    - MXNet's buffer holds −rate·v, so that after a drop of the rate the old, larger steps go on; here it is
      rescaled at the drop.
    - MXNet's kernel, updating in place, reads the weight for the buffer's decay after it has written the
      new one; here it writes elsewhere, and the result is copied.
    """

    def __init__(self, replicas, momentum=0.9, weight_decay=1e-4, loss_scale=1):
        self.replicas, self.momentum, self.weight_decay = replicas, momentum, weight_decay
        self.loss_scale = loss_scale  # what the gradients have been multiplied by
        self.rate = None  # of the last step, which the buffers are scaled by
        self.buffers = [replica.flat.like() for replica in replicas.replicas]
        self._results = [replica.flat.like() for replica in replicas.replicas]

    def step(self, rate, images):
        """Update every replica from the gradients it holds, which are sums over `images` images."""
        if self.rate is not None and rate != self.rate:
            for buffers in self.buffers:
                for buffer in buffers.buckets:
                    buffer *= rate / self.rate
        self.rate = rate
        for replica, buffers, results in zip(self.replicas.replicas, self.buffers, self._results):
            for weight, gradient, buffer, result in zip(replica.flat.buckets, replica.flat_gradients.buckets,
                                                        buffers.buckets, results.buckets):
                mx.nd.nag_mom_update(weight, gradient, buffer, out=result, lr=rate, wd=self.weight_decay,
                                     momentum=self.momentum, rescale_grad=1 / (images * self.loss_scale))
                result.copyto(weight)

    def state(self):
        """What a resume needs: the rate, and {name: NDArray} of the buffers, the same on every device."""
        return self.rate, self.buffers[0].arrays

    def restore(self, state):
        """Take up a state; of several workers all call it, and rank 0's counts."""
        store = self.replicas.store
        self.rate = store.tell(state and state[0])
        if store.rank == 0:
            for own in self.buffers:
                for name, buffer in own.arrays.items():
                    state[1][name].copyto(buffer)
        self.replicas.share(self.buffers)
