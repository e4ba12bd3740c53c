"""Where the time of a training step goes, by what oneDNN reports of itself."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
import json
import os
import re
import subprocess
import sys
from typing import NamedTuple

from benchmarks.remote import ROOT
from benchmarks.rounds import THREADS, Row, Setting
from benchmarks.steps import BATCH

NETS = (('dfn-mr', 14), ('resnet', 26))
BEGIN = 'the steps that are counted'
STEPS = 10
KINDS = {  # oneDNN's name of a primitive → ours
    'convolution': 'convolutions',
    'batch_normalization': 'BatchNorms',
    'eltwise': 'ReLUs alone',
    'sum': 'sums',
}


class Spent(NamedTuple):
    """What a kind of primitive takes in a step: how often, and milliseconds."""

    calls: float
    milliseconds: float


def operators(setting: Setting) -> Iterator[Row]:
    """Milliseconds of a training step in convolutions, BatchNorms, ReLUs, sums and changes of layout. On the CPU."""
    if setting.gpus is not None:
        return
    for net, depth in NETS:
        done = subprocess.run(
            [sys.executable, '-m', 'benchmarks.operators', net, str(depth)],
            cwd=ROOT,
            env={**os.environ, **THREADS, 'MKLDNN_VERBOSE': '1'},
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        )
        lines = done.stdout[done.stdout.index(BEGIN) :].splitlines()
        whole, spent = json.loads(lines[-1]), count(lines)
        for kind, (calls, milliseconds) in spent.items():
            yield Row(f'step of {net} {depth}: {calls:.0f} {kind} (ms)', milliseconds)
        rest = whole - sum(milliseconds for _, milliseconds in spent.values())
        yield Row(f'step of {net} {depth}: outside oneDNN (ms)', rest)


def count(lines: Iterable[str]) -> dict[str, Spent]:
    """{kind: what it takes in a step}, the dearest first, from oneDNN's reports of `STEPS` steps.

    A report has eleven fields, such as `dnnl_verbose,exec,cpu,reorder,jit:blk,undef,LAYOUTS,,,64x16x32x32,0.43`. Images
    are told from weights by the size of the batch and a layout with blocks of channels behind it (`aBcd8b`).
    """
    spent: dict[str, Spent] = defaultdict(lambda: Spent(0, 0))
    for line in lines:
        if re.match(r'(dnnl|mkldnn|onednn)_verbose,exec,', line):
            _, _, _, primitive, *_, shape, milliseconds = line.split(',')
            kind = KINDS.get(primitive, 'others')
            if primitive == 'reorder':
                kind = f'reorders of {"images" if shape.startswith(f"{BATCH}x") and "aBcd" in line else "the rest"}'
            calls, before = spent[kind]
            spent[kind] = Spent(calls + 1 / STEPS, before + float(milliseconds) / STEPS)
    return dict(sorted(spent.items(), key=lambda item: -item[1].milliseconds))


def main() -> None:
    """Make the steps, and print the milliseconds of one."""
    from benchmarks.mxnet_subjects import Training

    subject = Training(sys.argv[1], int(sys.argv[2]), batch=BATCH)
    subject.seconds(3)
    print(BEGIN, flush=True)
    print(json.dumps(1000 * subject.seconds(STEPS)))


if __name__ == '__main__':
    main()
