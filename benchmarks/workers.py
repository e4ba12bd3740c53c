"""What several workers cost: their steps and exchanges on loopback, and a model of real networks.

    python -m benchmarks.workers      # the model's table in Markdown, from exchange.csv

An exchange is the sum of the gradients over all workers: each sends its own to the servers and fetches the sum. The
model has three parts, of which the slower link counts:

    a worker's link    2 B / w             B: bytes of the gradients, w: bytes a second of the network
    a server's link    2 B n / (s w)       n: workers, s: servers, which share the bytes
    a server's work    B n c / s           c: seconds of a byte, to take it, add it and send the sum

c is measured on loopback, where copying takes the place of the network.
"""

from common.cli import run

from collections.abc import Iterator
import csv
import os
import statistics
import sys
import time
from typing import NamedTuple

import numpy as np

from benchmarks.remote import ROOT, told_by_workers
from benchmarks.rounds import Row, Setting
from common.mxnet import mx
from distributed.collectives import Collectives
import symbols
from symbols import imagenet
from symbols.analysis.summary import parameter_shapes
from training.flat import Flat

EXCHANGE = os.path.join(ROOT, 'benchmarks', 'exchange.csv')
MOST = 4  # workers on loopback
REPEATS = 20
NETWORKS = {  # name → (symbol, image shape)
    'DFN-MR 56': (lambda: symbols.get_symbol('dfn-mr', 56), symbols.IMAGE_SHAPE),
    'DFN-MR 44, ImageNet': (lambda: imagenet.get_symbol('dfn-mr', 44), imagenet.IMAGE_SHAPE),
}
GIGABITS = (1, 10, 100)
WORKERS = (2, 8, 16, 64)
NEAR = 1.1  # times as long as with a server for each worker


class Exchange(NamedTuple):
    """A measurement: seconds of an exchange of `size` bytes by `workers` on `servers`."""

    workers: int
    servers: int
    size: int
    seconds: float


def workers(setting: Setting) -> Iterator[Row]:
    """Exchanges of the gradients of DFN-MR 56 by one to four workers on loopback, with a thread each.

    With all benchmarks it writes exchange.csv too.
    """
    size, found = gradient_bytes('DFN-MR 56'), []
    for count, servers in [(count, 1) for count in range(1, MOST + 1)] + [(MOST, 2)]:
        found.append(Exchange(count, servers, size, told_by_workers(count, servers, 'benchmarks.workers', str(size))))
        yield Row(
            f'exchange of {size / 1e6:.1f} MB, workers: {count}, servers: {servers} (ms)', 1e3 * found[-1].seconds
        )
    yield Row('work of a server for a byte (ns)', 1e9 * cost_of_a_byte(found))
    if setting.write:
        with open(EXCHANGE, 'w', encoding='utf-8', newline='') as file:
            writer = csv.writer(file, lineterminator='\n')
            writer.writerow(Exchange._fields)
            writer.writerows(found)


def gradient_bytes(name: str) -> int:
    """The bytes that a worker sends in a step, and fetches again."""
    network, image_shape = NETWORKS[name]
    return sum(4 * bucket.size for bucket in Flat(parameter_shapes(network(), image_shape), mx.cpu()).buckets)


def work(size: int) -> None:
    """Be one of the workers that `workers` starts; rank 0 prints the seconds."""
    collectives = Collectives('dist_sync')
    buckets = Flat(
        {str(number): (2**20,) for number in range(size // 2**22)} | {'rest': (size % 2**22 // 4,)}, mx.cpu()
    )
    keys = [collectives.new_key(bucket.shape) for bucket in buckets.buckets]
    durations = []
    for _ in range(REPEATS + 2):
        collectives.barrier()
        begun = time.perf_counter()
        for key, bucket in zip(keys, buckets.buckets):
            collectives.all_reduce(key, [bucket])
        mx.nd.waitall()
        durations.append(time.perf_counter() - begun)
    if collectives.rank == 0:
        print(statistics.median(durations[2:]))
    collectives.barrier()


def measured() -> list[Exchange]:
    """The measurements of exchange.csv."""
    with open(EXCHANGE, encoding='utf-8', newline='') as file:
        rows = csv.DictReader(file)
        return [Exchange(int(r['workers']), int(r['servers']), int(r['size']), float(r['seconds'])) for r in rows]


def cost_of_a_byte(found: list[Exchange]) -> float:
    """c of the model, in seconds: the slope of the duration against the bytes that a server has to take."""
    loads = [one.size * one.workers / one.servers for one in found]
    slope, _ = np.polyfit(loads, [one.seconds for one in found], 1)
    return float(slope)


def seconds(size: int, workers: int, servers: int, gigabits: float, cost: float) -> float:
    """The duration of an exchange by the model.

    Args:
        size: bytes of the gradients.
        gigabits: of each machine's link, a second.
        cost: c, in seconds.
    """
    link = gigabits * 1e9 / 8
    load = size * workers / servers
    return 2 * max(size, load) / link + load * cost


def servers_needed(size: int, workers: int, gigabits: float, cost: float) -> int:
    """The fewest servers with which an exchange takes nearly as little as with one for each worker, by the model."""
    goal = NEAR * seconds(size, workers, workers, gigabits, cost)
    return next(count for count in range(1, workers + 1) if seconds(size, workers, count, gigabits, cost) <= goal)


def table(cost: float) -> str:
    """The model for both networks in Markdown: milliseconds with one server and with one a worker; servers needed."""
    lines = [
        f'| network, bytes a step and worker | Gbit/s | {" | ".join(f"{count} workers" for count in WORKERS)} |',
        '|---' * (2 + len(WORKERS)) + '|',
    ]
    for name in NETWORKS:
        size = gradient_bytes(name)
        for gigabits in GIGABITS:
            cells = []
            for count in WORKERS:
                one, each = (1e3 * seconds(size, count, servers, gigabits, cost) for servers in (1, count))
                cells.append(f'{one:,.0f} / {each:,.0f} ({servers_needed(size, count, gigabits, cost)})')
            lines.append(f'| {name}, {2 * size / 1e6:,.1f} MB | {gigabits} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def main() -> None:
    """Be a worker, or print the model's table."""
    if len(sys.argv) > 1:
        work(int(sys.argv[1]))
        return
    cost = cost_of_a_byte(measured())
    print(f'c = {1e9 * cost:.2f} ns a byte\n\n{table(cost)}')


if __name__ == '__main__':
    run(main)
