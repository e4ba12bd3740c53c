"""Whether an exported network predicts as the run does, image by image."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from common.mxnet import mx
from interop import gluon
from interop.trained import Trained, image_shape
from training.replicas import JointPredictor

TOLERANCE = 0.1  # of a probability, more than networks in 16 bits round


class Comparison(NamedTuple):
    """Images compared, those with the same prediction, and the largest difference of a probability."""

    images: int
    equal: int
    difference: float

    @property
    def passes(self) -> bool:
        """Whether the networks are the same but for rounding."""
        return self.equal == self.images and self.difference < TOLERANCE

    def __str__(self):
        return f'{self.equal:,} of {self.images:,} predictions are equal, largest difference {self.difference:.1e}'


def onnx(path: str, facts: dict) -> Callable:
    """Normalized data → probabilities, by onnxruntime. A network with preprocessing gets the pixels back."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    (wanted,) = session.get_inputs()
    mean, std = (np.array(facts[name]).reshape(-1, 1, 1) for name in ('mean', 'std'))

    def predict(data):
        if wanted.type == 'tensor(uint8)':
            data = np.rint(data * std + mean).astype(np.uint8)
        return session.run(None, {wanted.name: data})[0]

    return predict


def torch(path: str, facts: dict) -> Callable:
    """Normalized data → probabilities, by PyTorch."""
    from torch import from_numpy, inference_mode

    from interop import torch_networks

    net = torch_networks.load(path)

    def predict(data):
        with inference_mode():
            return net.predict(from_numpy(data)).numpy()

    return predict


def block(prefix: str, facts: dict) -> Callable:
    """Normalized data → probabilities, by Gluon, hybridized."""
    net = gluon.load(prefix)
    net.hybridize()

    def predict(data):
        scores = net(mx.nd.array(data))
        scores = scores if isinstance(scores, list) else [scores]
        return np.mean([member.softmax().asnumpy() for member in scores], axis=0)

    return predict


def compare(trained: Trained, others: Mapping[Any, Callable], batches: Iterable, images: int) -> dict[Any, Comparison]:
    """Run MXNet as eval.py does, and each of the others, over batches (data, labels).

    Args:
        others: {name: normalized data → probabilities}.
        images: their number, for the progress bar.
    """
    model = trained.symbol, trained.parameters, trained.statistics
    predictor = JointPredictor([model], [mx.cpu()], image_shape(trained.facts))
    found = {name: Comparison(0, 0, 0.0) for name in others}
    with tqdm(total=images, unit=' images', desc='check', leave=False, disable=None) as bar:
        for data, _ in batches:
            expected = np.mean(predictor.predict(data), axis=0)
            for name, predict in others.items():
                own, before = predict(data), found[name]
                found[name] = Comparison(
                    before.images + len(own),
                    before.equal + int((own.argmax(1) == expected.argmax(1)).sum()),
                    float(np.maximum(before.difference, np.abs(own - expected).max())),  # NaN stays
                )
            bar.update(len(data))
    return found
