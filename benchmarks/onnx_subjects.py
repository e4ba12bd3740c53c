"""What is timed in onnxruntime: a subject for `Remote` (see remote.py)."""

import os
import tempfile

import numpy as np
import onnxruntime

from benchmarks.remote import mean_seconds, serve
from interop import to_onnx, trained


class CommittedRun:
    """Probabilities of a trained run, from the file that export.py writes, with as many threads as MXNet has."""

    def __init__(self, run_dir: str, batch: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ['OMP_NUM_THREADS'])  # common/mxnet.py has set it
        with tempfile.NamedTemporaryFile(suffix='.onnx') as file:
            to_onnx.write(trained.read(run_dir), file.name)
            self.session = onnxruntime.InferenceSession(file.name, options, providers=['CPUExecutionProvider'])
        self.data = np.random.RandomState(0).randn(batch, 3, 32, 32).astype(np.float32)

    def difference(self, path: str) -> float:
        """The largest difference from the probabilities in an .npz file, for the images there."""
        with np.load(path) as file:
            return float(np.abs(self._probabilities(file['data']) - file['probabilities']).max())

    def seconds(self, steps: int) -> float:
        """The mean duration of a batch, in seconds."""
        return mean_seconds(lambda: self._probabilities(self.data), steps)

    def _probabilities(self, data):
        return self.session.run(['probabilities'], {to_onnx.WITHOUT: data})[0]


SUBJECTS = {'run': CommittedRun}

if __name__ == '__main__':
    serve(SUBJECTS)
