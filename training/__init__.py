"""How a network learns: options, devices, optimizer, schedule, loop, checkpoints, run directory.

Nothing here knows a data set or a network by name: it is given a symbol, batches and numbers.
"""
