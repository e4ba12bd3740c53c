"""What is timed in PyTorch: subjects for `Remote` (see remote.py). It runs in PyTorch's environment."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from simplejpeg import decode_jpeg
import torch
from torch.nn.functional import cross_entropy

from benchmarks.remote import mean_seconds, peak_memory, serve
from interop import names, torch_networks

DTYPES = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


class TorchNetwork:
    """A network with channels-last memory, on one batch of noise.

    Args:
        net, depth: its name and depth.
        batch: images of a step.
        imagenet: whether it is for images of 224×224.
        gpus: the number of a GPU; the CPU without it.
        dtype: what autocast computes in.
        compiled: whether torch.compile compiles the network.
    """

    def __init__(
        self,
        net: str,
        depth: int,
        batch: int = 64,
        imagenet: bool = False,
        gpus: str | None = None,
        dtype: str = 'float32',
        compiled: bool = False,
    ):
        self.device = torch.device('cpu' if gpus is None else f'cuda:{gpus}')
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(0)
        self.module = self.put(torch_networks.build(net, depth, imagenet=imagenet))
        self.forward = torch.compile(self.module) if compiled else self.module
        self.data = self.put(torch.randn((batch, 3, 224, 224) if imagenet else (batch, 3, 32, 32)))
        self.labels = torch.zeros(batch, dtype=torch.long, device=self.device)
        self.dtype = DTYPES[dtype]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=dtype == 'float16')

    def put(self, what):
        """A module or tensor on the device, channels last."""
        return what.to(self.device, memory_format=torch.channels_last)

    def autocast(self) -> torch.autocast:
        """The context of a forward pass."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)

    def mean_seconds(self, step, steps: int) -> float:
        """The mean duration of a step, in seconds."""
        return mean_seconds(step, steps, torch.cuda.synchronize if self.device.type == 'cuda' else lambda: None)

    def difference(self, path: str) -> float:
        """The largest difference from the probabilities in an .npz file of ours, with its weights, in training."""
        with np.load(path) as file:
            arrays = dict(file)
        images, expected = arrays.pop('data'), arrays.pop('probabilities')
        weights = {names.to_torch(name): torch.from_numpy(value) for name, value in arrays.items()}
        assert set(weights) == {name for name, _ in self.module.named_parameters()}, 'different parameters'
        self.module.load_state_dict(weights, strict=False)  # the running statistics stay
        with torch.no_grad():
            found = self.module.train()(self.put(torch.from_numpy(images))).softmax(1)
        return float(np.abs(found.cpu().numpy() - expected).max())

    def peak_memory(self) -> float:
        """The most memory of the process so far, in gigabytes."""
        return peak_memory()


class Training(TorchNetwork):
    """Training steps."""

    def __init__(self, net: str, depth: int, **options):
        super().__init__(net, depth, **options)
        self.module.train()
        self.optimizer = torch.optim.SGD(self.module.parameters(), 0.01, 0.9, weight_decay=1e-4, nesterov=True)

    def seconds(self, steps: int) -> float:
        """The mean duration of a step, in seconds."""
        return self.mean_seconds(self._step, steps)

    def _step(self):
        self.optimizer.zero_grad()
        with self.autocast():
            loss = cross_entropy(self.forward(self.data), self.labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()


class Evaluation(TorchNetwork):
    """Probabilities, without gradients."""

    def __init__(self, net: str, depth: int, **options):
        super().__init__(net, depth, **options)
        self.module.eval()

    def seconds(self, steps: int) -> float:
        """The mean duration of a batch, in seconds."""
        return self.mean_seconds(self._step, steps)

    def _step(self):
        with torch.no_grad(), self.autocast():
            return self.forward(self.data).softmax(1).cpu()


class Decoding:
    """libjpeg-turbo alone, in threads, on the JPEGs of an .npz file; a step is a pass over all of them."""

    def __init__(self, path: str, threads: int):
        self.pool = ThreadPoolExecutor(threads)
        with np.load(path) as file:
            self.jpegs = [file[name].tobytes() for name in file.files]

    def seconds(self, passes: int) -> float:
        """The mean duration of a pass, in seconds."""
        return mean_seconds(self._decode_all, passes)

    def _decode_all(self):
        for _ in self.pool.map(decode_jpeg, self.jpegs):
            pass


SUBJECTS = {'training': Training, 'evaluation': Evaluation, 'decoding': Decoding}

if __name__ == '__main__':
    serve(SUBJECTS)
