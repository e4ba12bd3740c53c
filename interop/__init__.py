"""Trained networks outside training: for images in your own code, and in ONNX, PyTorch and Gluon.

`predict.py` and `export.py` are the commands.

torch_networks.py and names.py need no MXNet, so that they run wherever PyTorch does.
"""
