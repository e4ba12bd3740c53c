"""What is timed runs in a process of its own, which is asked in turn with its rivals: the questions and answers.

A line of JSON on standard input, [method, arguments], is answered by one on standard output. This file is for both
sides and needs Python alone, because PyTorch has an environment of its own.
"""
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def serve(subject):
    """Answer until the input ends; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    for line in sys.stdin:
        method, arguments = json.loads(line)
        print(json.dumps(getattr(subject, method)(*arguments)), file=answers, flush=True)


def mean_seconds(step, times, wait=lambda: None):
    """Of so many steps one after another; wait: until what they have queued is done."""
    wait()
    begun = time.perf_counter()
    for _ in range(times):
        step()
    wait()
    return (time.perf_counter() - begun) / times


def peak_memory(pid='self'):
    """Most gigabytes that a process had; without what it shared with its parent before its program began."""
    with open('/proc/%s/status' % pid) as file:
        return next(int(line.split()[1]) * 1024 / 1e9 for line in file if line.startswith('VmHWM'))


class Remote:
    """The other side: a process that serves a subject, whose methods can be called here.

    python: of the environment; words: a module of benchmarks and its arguments; environ: variables to set, or with
    None to leave out.
    """

    def __init__(self, python, *words, **environ):
        variables = {name: value for name, value in {**os.environ, **environ}.items() if value is not None}
        self._process = subprocess.Popen(
            [python, '-m', 'benchmarks.' + words[0], *map(str, words[1:])], cwd=ROOT, env=variables,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True, bufsize=1)

    def __getattr__(self, method):
        def ask(*arguments):
            self._process.stdin.write(json.dumps([method, arguments]) + '\n')
            answer = self._process.stdout.readline()
            if not answer:
                sys.exit('%s has ended' % ' '.join(self._process.args))
            return json.loads(answer)
        return ask

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
