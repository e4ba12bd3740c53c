"""How a network learns: devices, optimiser, schedule, loop, checkpoints, run log.

Knows no data set and no network by name: it is handed a symbol, batches and numbers.
"""
