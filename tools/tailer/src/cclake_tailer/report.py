"""The stats record: when it is written and what stands in it."""

import time

from cclake_tailer.counters import Counters, stats_record
from cclake_tailer.engine import Engine
from cclake_tailer.output import Output
from cclake_tailer.tree import Walker
from cclake_tailer.watch import Watch

CHANGED = 5.0
ALWAYS = 30.0


class Report:
    """Writes a stats record at most every 5 s when something changed, else every 30.

    Args:
        engine: Knows the files.
        counters: What was counted.
        out: Where the record goes.
        walker: Knows what is left out.
    """

    def __init__(
        self, engine: Engine, counters: Counters, out: Output, walker: Walker
    ) -> None:
        self._engine = engine
        self._counters = counters
        self._out = out
        self._walker = walker
        self._at = float("-inf")
        self._told: object = None
        self.watch: Watch | None = None
        self.degraded: list[str] = []

    @property
    def due(self) -> float:
        """When to write it next (time.monotonic)."""
        changed = self._told != self._now()
        return self._at + (CHANGED if changed else ALWAYS)

    def tell(self, always: bool = False) -> None:
        """Write it when it is time to."""
        if not always and time.monotonic() < self.due:
            return
        self._at, self._told = time.monotonic(), self._now()
        host = self._engine.catalog.host
        self._out.add((stats_record(host, self._counters, **self._gauges()),))
        self._out.flush()

    def reasons(self) -> list[str]:
        """Why the tailer is not well, as short texts."""
        refused = self._engine.refused
        kinds = sorted(set(refused.values()))
        return self.degraded + [
            f"{sum(why == kind for why in refused.values())} can't be read: {kind}"
            for kind in kinds
        ]

    def _now(self) -> object:
        left_out = len(self._walker.left_out)
        return self._counters.totals(), self.reasons(), left_out

    def _gauges(self) -> dict[str, object]:
        catalog, visitor = self._engine.catalog, self._engine.visitor
        live = sum(known.state == "live" for known in catalog)
        held = [catalog.with_key(key) for key in visitor.held.keys]
        return {
            "mode": "polling" if self.watch is None or self.degraded else "inotify",
            "reasons": self.reasons(),
            "files_live": live,
            "files_gone": len(catalog) - live,
            "files_refused": len(self._engine.refused),
            "files_left_out": len(self._walker.left_out),
            "files_to_compare": len(self._engine.comparer),
            "dirs_watched": 0 if self.watch is None else len(self.watch),
            "partial_bytes": sum(known.size - known.off for known in held),
            "behind_bytes": self._engine.behind(),
        }
