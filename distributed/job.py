"""The servers and workers of a distributed job, watched from its start to its end."""

from collections.abc import Callable, Sequence
import contextlib
import signal
import subprocess
import sys
import time

from common.role import OWN_ROLE
from common.signals import StopRequest
from distributed.hosts import SSH, SSH_FAILED
from distributed.node import GRACE, exit_status
from distributed.scheduler import Scheduler

# Seconds.
POLL = 0.1  # between two looks at the processes
SETTLE = 10  # for servers and scheduler to end after the workers, or for the workers to end after them
SAVE = 60  # for the workers to save when the job is stopped


class Process:
    """A server or a worker, here or behind ssh. Its standard input is its life line (see distributed/node.py)."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str] | None = None):
        self.name, self.behind_ssh = name, command[0] == SSH[0]
        # In a session of its own: the terminal's Ctrl-C would end ssh, and with it a worker that has yet to save.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, bufsize=0, env=environment, start_new_session=True
        )
        assert self._process.stdin  # it is a pipe
        self._life_line = self._process.stdin

    def status(self) -> int | None:
        """Return None while the process runs, then its exit status."""
        code = self._process.poll()
        return None if code is None else exit_status(code)

    def ask_to_stop(self) -> None:
        try:
            self._life_line.write(b'stop\n')
        except BrokenPipeError:  # it has already ended
            pass

    def cut_life_line(self) -> None:
        self._life_line.close()

    def kill(self) -> None:
        """Kill a process that outlived its life line, such as an ssh whose machine no longer answers."""
        self._process.kill()
        self._process.wait()


# Starts a server or worker, given its role, its number and the variables by which MXNet finds its part in the job.
Starter = Callable[[str, int, dict[str, str]], Process]


class Job:
    """All processes of a job. The scheduler is already running; `start` starts the others."""

    def __init__(self, scheduler: Scheduler, start: Starter, stop: StopRequest):
        self._scheduler, self._start, self._stop = scheduler, start, stop
        self._servers: list[Process] = []
        self._workers: list[Process] = []

    def run(self, num_workers: int, num_servers: int) -> int:
        """Start, watch and end all processes; return the job's exit status."""
        try:
            self._start_all('server', num_servers, self._servers)
            self._start_all('worker', num_workers, self._workers)
            return self._watch()
        finally:
            self._end()

    def _start_all(self, role, count, processes):
        for number in range(count):
            own = {'DMLC_ROLE': role, OWN_ROLE: role, 'DMLC_TASK_ID': str(number)}
            processes.append(self._start(role, number, {**self._scheduler.settings, **own}))

    def _watch(self) -> int:
        """Wait until the job ends, fails or is stopped; return its exit status."""
        others: list[Process | Scheduler] = [*self._servers, self._scheduler]
        deadline = None
        while not (number := self._stop.signal):
            for process in [*self._workers, *others]:
                if status := process.status():
                    return report(process, how_it_ended(process, status), status)
            if all(worker.status() == 0 for worker in self._workers):
                self._wait(others, SETTLE)
                return 0
            # MXNet ends servers and scheduler once all workers are done with them. So the workers are about to end.
            gone = [process for process in others if process.status() == 0]
            deadline = deadline or (time.monotonic() + SETTLE if gone else None)
            if deadline and time.monotonic() > deadline:
                return report(gone[0], 'ended before the workers')
            time.sleep(POLL)
        self._stop_workers()
        return 128 + number

    def _stop_workers(self) -> None:
        """Let the workers save and end. A second Ctrl-C raises KeyboardInterrupt; a second SIGTERM ends the wait."""
        asked = self._stop.count
        for worker in self._workers:
            worker.ask_to_stop()
        with contextlib.suppress(OSError):  # the terminal may be closed
            print('stopping: the workers save and end; Ctrl-C ends them at once', file=sys.stderr)
        self._wait(self._workers, SAVE, asked)
        for worker in self._workers:
            status = worker.status()
            if status is None:
                print(f'error: {worker.name} has not ended and is killed', file=sys.stderr)
            elif status not in (0, 128 + signal.SIGTERM):
                print(f'error: {worker.name} {how_it_ended(worker, status)}', file=sys.stderr)

    def _wait(self, processes: Sequence[Process | Scheduler], seconds: float, before: int | None = None) -> None:
        """Wait until the processes have ended, the time is over or another signal comes than the `before` so far."""
        before = self._stop.count if before is None else before
        deadline = time.monotonic() + seconds
        while (
            any(process.status() is None for process in processes)
            and time.monotonic() < deadline
            and self._stop.count == before
        ):
            time.sleep(POLL)

    def _end(self) -> None:
        """End whatever is still running."""
        processes = [*self._workers, *self._servers]
        for process in processes:
            process.cut_life_line()
        self._scheduler.cut_life_line()
        self._wait([*processes, self._scheduler], 2 * GRACE)
        for process in processes:
            if process.status() is None:
                process.kill()


def how_it_ended(process: Process | Scheduler, status: int) -> str:
    """Say in words how a process with this exit status ended."""
    if process.behind_ssh and status == SSH_FAILED:
        return 'was not reached, or its connection was lost (ssh says why)'
    try:
        return f'was killed by signal {status - 128} ({signal.Signals(status - 128).name})'
    except ValueError:
        return f'ended with status {status}'


def report(process: Process | Scheduler, what: str, status: int = 0) -> int:
    """Say why the job ends; return the job's exit status."""
    explained = 0 < status < 128  # the process failed by itself, and has said why
    hint = '' if explained else ' (the same command resumes it)'
    print(f'error: {process.name} {what}; ending the job{hint}', file=sys.stderr)
    return status or 1
