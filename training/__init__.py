"""How a network learns: options, devices, optimizer, schedule, loop, checkpoints, run directory.

No code here is for one data set or network: it is given a symbol, batches and numbers.
"""
