"""Trained networks in other frameworks: ONNX, PyTorch, Gluon. `export.py` is its command.

torch_networks.py and names.py need no MXNet, so that they run wherever PyTorch does.
"""
