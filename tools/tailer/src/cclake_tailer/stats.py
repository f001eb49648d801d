"""The stats record: when it is written, and its content."""

import json
import time

from cclake_tailer.counters import Counters
from cclake_tailer.discovery import Walker
from cclake_tailer.file_server import FileServer
from cclake_tailer.output import Output
from cclake_tailer.watch import Watch

CHANGED = 5.0
ALWAYS = 30.0


class StatsReporter:
    """Write a stats record every 5 s if something changed, else every 30 s.

    Args:
        server: The files and their state.
        counters: The totals.
        out: Where the record goes.
        walker: The files that are left out.
    """

    def __init__(
        self, server: FileServer, counters: Counters, out: Output, walker: Walker
    ) -> None:
        self._server = server
        self._counters = counters
        self._out = out
        self._walker = walker
        self._at = float("-inf")
        self._written: object = None
        self.watch: Watch | None = None
        self.degraded: list[str] = []

    @property
    def due(self) -> float:
        """Return when to write it next (time.monotonic)."""
        changed = self._written != self._now()
        return self._at + (CHANGED if changed else ALWAYS)

    def write(self, always: bool = False) -> None:
        """Write the record if it is due."""
        if not always and time.monotonic() < self.due:
            return
        self._at, self._written = time.monotonic(), self._now()
        host = self._server.registry.host
        self._out.add((_stats_record(host, self._counters, **self._gauges()),))
        self._out.flush()

    def reasons(self) -> list[str]:
        """Return short texts that say why the tailer is not healthy."""
        refused = self._server.refused
        kinds = sorted(set(refused.values()))
        return self.degraded + [
            f"{sum(why == kind for why in refused.values())} can't be read: {kind}"
            for kind in kinds
        ]

    def _now(self) -> object:
        left_out = len(self._walker.left_out)
        return self._counters.totals(), self.reasons(), left_out

    def _gauges(self) -> dict[str, object]:
        registry, watcher = self._server.registry, self._server.watcher
        live = sum(known.state == "live" for known in registry)
        held = [registry.with_key(key) for key in watcher.open_files.keys]
        return {
            "mode": "polling" if self.watch is None or self.degraded else "inotify",
            "reasons": self.reasons(),
            "files_live": live,
            "files_gone": len(registry) - live,
            "files_refused": len(self._server.refused),
            "files_left_out": len(self._walker.left_out),
            "files_to_compare": len(self._server.comparer),
            "dirs_watched": 0 if self.watch is None else len(self.watch),
            "partial_bytes": sum(known.size - known.off for known in held),
            "behind_bytes": self._server.backlog_bytes(),
        }


def _stats_record(host: str, counters: Counters, **now: object) -> bytes:
    """Return the stats record with its newline; `now` holds what is not a total."""
    record = {"kind": "stats", "host": host, **now, **counters.totals()}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"
