"""What is timed in PyTorch: python -m benchmarks.torch_subjects WHAT … (see `python -m benchmarks`)."""
import argparse
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks import torch_networks
from benchmarks.subject import mean_seconds, peak_memory, serve

DTYPES = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


class Network:
    """A network on one batch of noise, channels last. image_shape (3, height, width)."""

    def __init__(self, args):
        self.device = torch.device('cpu' if args.gpus is None else 'cuda:%s' % args.gpus.split(',')[0])
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(0)
        shape = (args.batch, 3, 224, 224) if args.imagenet else (args.batch, 3, 32, 32)
        self.module = self.put(torch_networks.network(args.net, args.depth, args.imagenet))
        self.data = self.put(torch.randn(shape))
        self.labels = torch.zeros(args.batch, dtype=torch.long, device=self.device)
        self.reduced = DTYPES[args.dtype]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=args.dtype == 'float16')

    def put(self, tensor):
        return tensor.to(self.device, memory_format=torch.channels_last)

    def autocast(self):
        return torch.autocast(self.device.type, self.reduced, enabled=self.reduced is not None)

    def seconds(self, steps):
        """Mean seconds of a step."""
        return mean_seconds(self.step, steps, torch.cuda.synchronize if self.device.type == 'cuda' else lambda: None)

    def difference(self, path):
        """Largest difference of the probabilities from ours in an .npz file, with its weights, in training."""
        with np.load(path) as file:
            arrays = dict(file)
        data, expected = arrays.pop('data'), arrays.pop('probabilities')
        torch_networks.load(self.module, arrays)
        with torch.no_grad():
            found = self.module.train()(self.put(torch.from_numpy(data))).softmax(1)
        return float(np.abs(found.cpu().numpy() - expected).max())

    def peak_memory(self):
        """Gigabytes, of the process so far."""
        return peak_memory()


class Training(Network):
    """Training steps."""

    def __init__(self, args):
        super().__init__(args)
        self.module.train()
        self.optimiser = torch.optim.SGD(self.module.parameters(), 0.01, 0.9, weight_decay=1e-4, nesterov=True)

    def step(self):
        self.optimiser.zero_grad()
        with self.autocast():
            loss = cross_entropy(self.module(self.data), self.labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return loss.item()


class Evaluation(Network):
    """Probabilities, with no gradients."""

    def __init__(self, args):
        super().__init__(args)
        self.module.eval()

    def step(self):
        with torch.no_grad(), self.autocast():
            return self.module(self.data).softmax(1).cpu()


class Decoding:
    """Decoding of JPEGs by libjpeg-turbo, as many threads as PyTorch has."""

    def __init__(self, args):
        from simplejpeg import decode_jpeg
        self.decode, self.pool = decode_jpeg, ThreadPoolExecutor(args.threads)
        with np.load(args.images) as file:
            self.images = [file[name].tobytes() for name in file.files]

    def seconds(self, passes):
        """Mean seconds of a pass over all images."""
        return mean_seconds(self.decode_all, passes)

    def decode_all(self):
        for _ in self.pool.map(self.decode, self.images):
            pass


SUBJECTS = {'training': Training, 'evaluation': Evaluation, 'decoding': Decoding}


def main():
    """Serve what the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument('what', choices=SUBJECTS)
    parser.add_argument('--net')
    parser.add_argument('--depth', type=int)
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--imagenet', action='store_true')
    parser.add_argument('--gpus')
    parser.add_argument('--dtype', choices=DTYPES, default='float32')
    parser.add_argument('--images')
    parser.add_argument('--threads', type=int)
    args = parser.parse_args()
    serve(SUBJECTS[args.what](args))


if __name__ == '__main__':
    main()
