"""Contexts that stand in for GPUs: of kind `cpu_shared`, which is CPU memory under another name.

So `--gpus 0,1` goes the whole way that only GPUs use: the form of the network as drawn, KVStore `device`, and several
contexts. What MXNet says of GPUs is replaced; the project's code is not.
"""

from common.mxnet import mx


def pretend(monkeypatch, count: int) -> None:
    """Let MXNet say that it is a GPU build and sees so many GPUs, and make stand-ins for them."""
    enabled = mx.runtime.Features().is_enabled
    features = type('Features', (), {'is_enabled': lambda self, name: name == 'CUDA' or enabled(name)})
    monkeypatch.setattr(mx.runtime, 'Features', features)
    monkeypatch.setattr(mx.context, 'num_gpus', lambda: count)
    monkeypatch.setattr(mx, 'gpu', lambda number=0: mx.Context('cpu_shared', number))
