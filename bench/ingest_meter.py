"""Measure CPU seconds and memory of processes, by the accounts of the kernel."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType

TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """CPU seconds of a running process, its threads included; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_of(pid: int) -> tuple[int, int]:
    """Resident bytes now, and at the most; zeros when it is gone."""
    found = {"VmRSS": 0, "VmHWM": 0}
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    for line in lines:
        name, _, value = line.partition(":")
        if name in found:
            found[name] = int(value.split()[0]) * 1024
    return found["VmRSS"], found["VmHWM"]


class Meter:
    """Follows processes by name while they run.

    Attributes:
        cpu: CPU seconds, by name.
        peak: Most resident bytes, by name.
        wall: Seconds of the whole.
    """

    def __init__(self, running: dict[str, int], fresh: dict[str, int]) -> None:
        """Follow processes; of those that are fresh, the time before counts, too."""
        self._pids = running | fresh
        self._begin = {name: cpu_of(pid) for name, pid in running.items()}
        self.cpu = dict.fromkeys(self._pids, 0.0)
        self.peak = dict.fromkeys(self._pids, 0)
        self.wall = 0.0

    def __enter__(self) -> "Meter":
        self._started = time.perf_counter()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the last measure; what follows does not count."""
        if not self._end.is_set():
            self.wall = time.perf_counter() - self._started
            self._end.set()
            self._thread.join()
            self._look()

    def _follow(self) -> None:
        while not self._end.wait(0.05):
            self._look()

    def _look(self) -> None:
        for name, pid in self._pids.items():
            used = cpu_of(pid) - self._begin.get(name, 0.0)
            # A process that has ended keeps its last account.
            self.cpu[name] = max(used, self.cpu[name])
            self.peak[name] = max(memory_of(pid)[1], self.peak[name])
