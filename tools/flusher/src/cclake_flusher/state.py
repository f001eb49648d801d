"""The state of the flusher, for health and metrics."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass
class State:
    """Numbers since the start of this process, with one writer and many readers."""

    started: float = field(default_factory=time.time)
    begun: float = field(default_factory=time.monotonic)
    delivered: int = 0
    duplicates: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    bisections: int = 0
    backoff_s: float = 0.0
    mongo_up: bool = False
    mongo_last_ok: float | None = None
    last_sync: float | None = None
    problem: str = ""
    buffer_problem: str = ""
    index_problem: str = ""
    standby: bool = False
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=5000))
    batch_s: deque[float] = field(default_factory=lambda: deque(maxlen=1000))

    def mongo_answered(self) -> None:
        """Record that MongoDB answered."""
        self.mongo_up = True
        self.mongo_last_ok = time.time()
        self.problem = ""
        self.backoff_s = 0.0

    def attempt_failed(self, kind: str, problem: str, backoff_s: float) -> None:
        """Record a failed attempt; the next one comes after `backoff_s` seconds."""
        self.mongo_up = False
        self.retries[kind] += 1
        self.problem = problem
        self.backoff_s = backoff_s


def quantile(values: "deque[float]", share: float) -> float | None:
    """Return the value below which a share of the values lies; None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
