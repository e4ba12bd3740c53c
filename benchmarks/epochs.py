"""Memory of a run, epoch after epoch: benchmarks/epochs.csv and docs/memory-2000-epochs.png.

    OMP_NUM_THREADS=1 python -m benchmarks.epochs    # 2,000 short epochs

The run trains the smallest network on noise; each epoch has its evaluation and its checkpoint, as any other has.
"""

from common.cli import Parser, positive_int, run

import csv
import os
import subprocess
import sys
import tempfile

from benchmarks import inputs
from benchmarks.remote import ROOT

PAGE = os.sysconf('SC_PAGE_SIZE')
CSV, PICTURE = 'benchmarks/epochs.csv', 'docs/memory-2000-epochs.png'


def memory_of_epochs(data_dir: str, epochs: int) -> list[float]:
    """The resident memory of a training run after each epoch, in MiB."""
    with tempfile.TemporaryDirectory() as log_dir:
        words = f'--net plain --depth 8 --batch-size 50 --no-verify --epochs {epochs}'.split()
        process = subprocess.Popen(
            [sys.executable, 'train_cifar.py', *words, '--data-dir', data_dir, '--log-dir', log_dir],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            return [resident(process.pid) for line in process.stdout or () if 'Validation-cross-entropy' in line]


def resident(pid: int) -> float:
    """The memory of a process, in MiB."""
    with open(f'/proc/{pid}/statm', encoding='ascii') as file:
        return int(file.read().split()[1]) * PAGE / 2**20


def draw(memory: list[float], path: str) -> None:
    """Draw memory against epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout='constrained')
    axes = figure.subplots()
    axes.plot(range(1, len(memory) + 1), memory)
    axes.set(xlabel='epoch', ylabel='resident memory (MiB)', ylim=(0, 1.2 * max(memory)))
    figure.savefig(os.path.join(ROOT, path), dpi=100)


def main() -> None:
    """Train, and write the table and the picture."""
    parser = Parser(prog='python -m benchmarks.epochs', description=__doc__)
    parser.add_argument('--epochs', type=positive_int, default=2000, help='epochs of the run')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs.write_cifar10(folder, train=100, test=50)
        memory = memory_of_epochs(folder, args.epochs)
    with open(os.path.join(ROOT, CSV), 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['epoch', 'MiB'])
        writer.writerows([epoch, f'{value:.1f}'] for epoch, value in enumerate(memory, 1))
    draw(memory, PICTURE)


if __name__ == '__main__':
    run(main)
