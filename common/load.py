"""What other processes do on the processors that this one may use."""

import os
import time

SAMPLE = 0.1  # seconds


def busy_cores() -> float:
    """The number of processors that other work keeps busy, measured for a moment; 0 where the system does not tell."""
    before, own = _busy_seconds(), time.process_time()
    time.sleep(SAMPLE)
    after, own = _busy_seconds(), time.process_time() - own
    return max(0.0, (after - before - own) / SAMPLE)


def _busy_seconds():
    """Seconds of work, since the system started, on the processors that this process may use."""
    names = {f'cpu{number}' for number in os.sched_getaffinity(0)}
    ticks = 0
    try:
        with open('/proc/stat', encoding='utf-8') as file:
            for line in file:
                name, *counts = line.split()
                if name in names:
                    user, nice, system, _idle, _waiting, *interrupts_and_stolen = map(int, counts[:8])
                    ticks += user + nice + system + sum(interrupts_and_stolen)
    except (OSError, ValueError):
        return 0.0
    return ticks / os.sysconf('SC_CLK_TCK')
