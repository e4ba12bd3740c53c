"""What is timed, a *subject*, runs in a process of its own. `Remote` starts it and asks, `serve` answers.

A subject is an object with a method `seconds(steps)`: the mean duration of a step. Rivals are subjects that are timed
in turn. Separate processes keep their memory and their threads apart, and PyTorch has an environment of its own, so
this module needs the standard library alone.

A question is a line of JSON on standard input, [method, arguments]; the answer is a line of JSON on standard output.
"""

from collections.abc import Callable, Mapping
import contextlib
import json
import os
import subprocess
import sys
import time
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class SubjectEnded(Exception):
    """A subject ended before it had answered. Its own message is on standard error."""


class Remote:
    """A subject in another process; leaving the `with` block ends it.

    Args:
        python: the Python that runs it.
        module: its module in this package, which calls `serve`.
        name: its name there.
        environment: variables to set for it.
        options: its keyword arguments, which JSON has to hold.
    """

    def __init__(self, python: str, module: str, name: str, environment: dict[str, str] | None = None, **options: Any):
        words = [f'benchmarks.{module}', name, json.dumps(options)]
        process = subprocess.Popen(
            [python, '-m', *words],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert process.stdin and process.stdout
        self._process, self._questions, self._answers = process, process.stdin, process.stdout
        self._title = ' '.join(words)

    def seconds(self, steps: int) -> float:
        """The mean duration of a step, in seconds."""
        return self._ask('seconds', steps)

    def peak_memory(self) -> float:
        """The most memory that its process has had so far, in gigabytes."""
        return self._ask('peak_memory')

    def save(self, path: str) -> None:
        """Write weights, images and probabilities to an .npz file, for `difference` of another subject."""
        self._ask('save', path)

    def difference(self, path: str) -> float:
        """The largest difference from the probabilities in an .npz file, with the weights and images there."""
        return self._ask('difference', path)

    def _ask(self, method, *arguments):
        with contextlib.suppress(BrokenPipeError):
            self._questions.write(json.dumps([method, arguments]) + '\n')
            answer = self._answers.readline()
            if answer:
                return json.loads(answer)
        raise SubjectEnded(f'{self._title} ended with status {self._process.wait()}')

    def __enter__(self) -> 'Remote':
        return self

    def __exit__(self, *_) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._questions.close()
        self._process.wait()
        self._answers.close()


def told_by_workers(count: int, servers: int, *words: str) -> float:
    """The number that rank 0 of a job on loopback prints; its workers have a thread each.

    Args:
        words: what each worker runs: a module, and its arguments.
    """
    done = subprocess.run(
        [sys.executable, '-m', 'distributed.launch', '-n', str(count), '-s', str(servers)]
        + [sys.executable, '-m', *words],
        cwd=ROOT,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    return float(done.stdout)


def serve(subjects: Mapping[str, Callable]) -> None:
    """Make the subject that the command line names, and answer questions until standard input ends.

    What libraries print goes to standard error.

    Args:
        subjects: {name: class}.
    """
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    name, options = sys.argv[1:]
    subject = subjects[name](**json.loads(options))
    for line in sys.stdin:
        method, arguments = json.loads(line)
        print(json.dumps(getattr(subject, method)(*arguments)), file=answers, flush=True)


def mean_seconds(step: Callable[[], Any], steps: int, wait: Callable[[], Any] = lambda: None) -> float:
    """The mean duration of a step, in seconds; `wait` returns when the work that steps have queued is done."""
    wait()
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return (time.perf_counter() - begun) / steps


def peak_memory(pid: int | str = 'self') -> float:
    """The most memory that a process has had, in gigabytes, from the start of its program."""
    with open(f'/proc/{pid}/status', encoding='utf-8') as file:
        return next(int(line.split()[1]) * 1024 / 1e9 for line in file if line.startswith('VmHWM'))
