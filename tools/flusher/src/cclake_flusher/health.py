"""Report the health of the flusher and its buffer, for `/health` and `/stats`."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cclake_common.sqlite import connect_readonly

from cclake_flusher.queue import mark_suspect
from cclake_flusher.state import State, quantile

OLDEST_OK_S = 60.0
SILENT_OK_S = 120.0  # the tailer sends stats at least every 30 s
WAL_OK = 64 << 20
NUMBERS = """
select
    (select count(*) from queue) as rows,
    (select coalesce(sum(length(body)), 0) from queue) as bytes,
    (select at from queue order by seq limit 1) as oldest,
    (select count(*) from dead_letters) as dead_rows,
    (select count(*) from files) as files
"""


@dataclass
class Buffer:
    """The current numbers of the buffer."""

    rows: int = 0
    bytes: int = 0
    oldest_s: float | None = None
    dead_rows: int = 0
    files: int = 0
    db_bytes: int = 0
    wal_bytes: int = 0
    freelist_bytes: int = 0
    disk_free: int = 0
    reserve: bool = False
    paused: str = "no"
    counters: dict[str, int] | None = None
    tailer: dict[str, Any] | None = None
    tailer_silent_s: float | None = None
    problem: str = ""

    @property
    def conservation_error(self) -> int:
        """Return how many lines were read but are not delivered, dead or queued."""
        if not self.counters:
            return 0
        names = ("delivered", "duplicates", "dead")
        gone = sum(self.counters.get(name, 0) for name in names)
        return self.counters.get("lines_read", 0) - gone - self.rows


def read_buffer(path: Path) -> Buffer:
    """Read the buffer's numbers in one transaction; all are 0 without a buffer."""
    if not path.exists():
        return Buffer(problem="no buffer yet")
    try:
        with closing(connect_readonly(path, isolation_level=None)) as connection:
            return _read(connection, path)
    except sqlite3.Error as error:
        mark_suspect(path, error)
        return Buffer(problem=f"cannot read the buffer: {error}")


def _read(connection: sqlite3.Connection, path: Path) -> Buffer:
    execute = connection.execute
    execute("pragma busy_timeout = 2000")
    execute("begin")
    rows, size, oldest, dead_rows, files = execute(NUMBERS).fetchone()
    counters = dict(execute("select name, value from counters").fetchall())
    meta = dict(execute("select name, value from meta").fetchall())
    page = execute("pragma page_size").fetchone()[0]
    free = execute("pragma freelist_count").fetchone()[0]
    wal = Path(f"{path}-wal")
    return Buffer(
        rows=rows,
        bytes=size,
        oldest_s=None if oldest is None else max(0.0, time.time() - oldest),
        dead_rows=dead_rows,
        files=files,
        db_bytes=path.stat().st_size,
        wal_bytes=wal.stat().st_size if wal.exists() else 0,
        freelist_bytes=page * free,
        disk_free=shutil.disk_usage(path.absolute().parent).free,
        reserve=Path(f"{path}.ballast").exists(),
        paused=str(meta.get("paused") or "no"),
        counters=counters,
        tailer=_parsed(meta.get("tailer_stats")),
        tailer_silent_s=_age(meta.get("tailer_stats_at")),
    )


def _age(moment: float | None) -> float | None:
    return None if moment is None else max(0.0, time.time() - moment)


def _parsed(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text) if text else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def health(state: State, buffer: Buffer) -> dict[str, Any]:
    """Return the report of `/health`; `status` is `ok`, `degraded` or `failing`."""
    failing, degraded = _failing(state, buffer), _degraded(state, buffer)
    status = "failing" if failing else "degraded" if degraded else "ok"
    tailer = buffer.tailer or {}
    return {
        "status": status,
        "reasons": failing + degraded,
        "pending": buffer.rows,
        "synced": state.delivered + state.duplicates,
        "lastSyncAt": _iso(state.last_sync),
        "mongoConnected": state.mongo_up,
        "uptime": round(time.monotonic() - state.begun, 1),
        "version": version("cclake-flusher"),
        "queue_bytes": buffer.bytes,
        "oldest_pending_s": _rounded(buffer.oldest_s),
        "dead_letters": buffer.dead_rows,
        "behind_bytes": tailer.get("behind_bytes"),
        "e2e_latency_ms": {
            "p50": _rounded(quantile(state.latencies_ms, 0.5)),
            "p99": _rounded(quantile(state.latencies_ms, 0.99)),
        },
        "conservation_error": buffer.conservation_error,
    }


def stats(state: State, buffer: Buffer) -> dict[str, Any]:
    """Return the report of `/stats`: health, and every number behind it."""
    return health(state, buffer) | {
        "delivered": state.delivered,
        "duplicates": state.duplicates,
        "dead": dict(state.dead),
        "batches": state.batches,
        "retries": dict(state.retries),
        "bisections": state.bisections,
        "backoff_s": round(state.backoff_s, 2),
        "db_bytes": buffer.db_bytes,
        "wal_bytes": buffer.wal_bytes,
        "freelist_bytes": buffer.freelist_bytes,
        "disk_free_bytes": buffer.disk_free,
        "ballast_present": buffer.reserve,
        "paused": buffer.paused,
        "files": buffer.files,
        "counters": buffer.counters or {},
        "tailer": buffer.tailer,
    }


def _failing(state: State, buffer: Buffer) -> list[str]:
    reasons = []
    if state.problem and not state.mongo_up:
        reasons.append(f"MongoDB: {state.problem}")
    if state.buffer_problem:
        reasons.append(f"buffer: {state.buffer_problem}")
    if buffer.problem and buffer.problem != "no buffer yet":
        reasons.append(buffer.problem)
    if buffer.conservation_error:
        reasons.append(f"the counters are off by {buffer.conservation_error} lines")
    return reasons


def _degraded(state: State, buffer: Buffer) -> list[str]:
    reasons = []
    if state.standby:
        reasons.append("another flusher is running; this one is its standby")
    if buffer.problem == "no buffer yet":
        reasons.append("no buffer yet: `buffer append` creates it")
    if buffer.paused != "no":
        reasons.append(f"reading is paused ({buffer.paused})")
    if state.index_problem:
        reasons.append(f"indexes for readers: {state.index_problem}")
    if buffer.dead_rows:
        reasons.append(f"{buffer.dead_rows} dead letters: see `buffer dead-letters`")
    if (buffer.oldest_s or 0) > OLDEST_OK_S:
        reasons.append(f"the oldest line has waited for {buffer.oldest_s:.0f} s")
    if buffer.wal_bytes > WAL_OK:
        reasons.append("the WAL does not shrink: some program keeps the buffer open")
    if buffer.tailer and (buffer.tailer_silent_s or 0) > SILENT_OK_S:
        silent_s = buffer.tailer_silent_s
        reasons.append(f"the tailer has been silent for {silent_s:.0f} s")
    tailer = buffer.tailer or {}
    given = tailer.get("reasons")
    if isinstance(given, list):
        reasons += [f"tailer: {reason}" for reason in given]
    return reasons


def _iso(moment: float | None) -> str | None:
    if moment is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
