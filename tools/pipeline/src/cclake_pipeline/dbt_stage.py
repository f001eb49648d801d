"""The dbt stage: a process that is kept, and asked to build."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cclake_common.settings import half_of_memory
from cclake_common.stop import Stop

from cclake_pipeline.child import Child
from cclake_pipeline.places import Places

# Lines of log that dbt takes at once: they fit into the memory that its profile gives
# DuckDB, whatever the history.
PART_ROWS = 300_000
_MEMORY = "CCLAKE_DUCKDB_MEMORY"
_OUT_OF_MEMORY = "Out of Memory"


@dataclass(frozen=True)
class Built:
    """How a build ended, and what it did or why it failed."""

    ok: bool
    detail: str


class Dbt:
    """Runs dbt in a process; keeps it for the next run where `keep` is set."""

    def __init__(self, places: Places, show: Callable[[str], None], keep: bool) -> None:
        self._places = places
        self._show = show
        self._keep = keep
        self._child: Child | None = None

    def warm_up(self) -> None:
        """Start dbt, so that it has parsed the project when its turn comes.

        Its modules and the project take two seconds: the time of extract and load.
        """
        if self._child is None:
            self._child = self._start(self._places.environment())
            self._child.send(json.dumps({"parse": self._asked()}))

    def close(self) -> None:
        """End the process, if there is one; it does nothing between runs."""
        if self._child:
            self._child.process.kill()
            self._child.close()
            self._child = None

    def build(self, options: Sequence[str], stop: Stop | None) -> Built:
        """Run dbt; where its memory was too small, once more with much of it."""
        environment = self._places.environment()
        ended = self._build(options, stop, environment)
        if (
            ended.ok
            or stop
            or _OUT_OF_MEMORY not in ended.detail
            or _MEMORY in os.environ
        ):
            return ended
        self._show("dbt needs more memory; it is run again")
        self.close()
        try:
            return self._build(options, stop, environment | {_MEMORY: half_of_memory()})
        finally:
            self.close()

    def _build(
        self, options: Sequence[str], stop: Stop | None, environment: dict[str, str]
    ) -> Built:
        if self._child and self._child.process.poll() is not None:
            self.close()
        child = self._child or self._start(environment)
        self._child = child
        replies: list[dict[str, Any]] = []
        asked = [*self._asked(), *options]
        child.send(json.dumps({"run": asked, "part_rows": PART_ROWS}))
        answered = child.follow(lambda line: self._reply(line, replies), stop)
        if not answered:
            self._child = None
            child.close()
            return Built(ok=False, detail=child.tail() or "dbt ended without a result")
        said = child.tail()
        if not self._keep:
            self.close()
        result = replies[-1]
        done = [f"{count} {kind}s" for kind, count in result["counts"].items()]
        detail = ", ".join(done) if result["ok"] else "\n".join(result["failed"])
        return Built(ok=bool(result["ok"]), detail=detail or said)

    def _start(self, environment: dict[str, str]) -> Child:
        folder = str(self._places.dbt)
        worker = [sys.executable, "-m", "cclake_pipeline.dbt_worker", folder]
        return Child(worker, environment, draws=False)

    def _asked(self) -> list[str]:
        folder = str(self._places.dbt)
        project = ["--project-dir", folder, "--profiles-dir", folder]
        return ["build", "--quiet", *project, "--target", self._places.target]

    def _reply(self, line: str, replies: list[dict[str, Any]]) -> bool:
        reply: dict[str, Any] = json.loads(line)
        if "ok" in reply:
            replies.append(reply)
            return True
        self._show(f"dbt {reply['step']}/{reply['of']} {reply['what']}")
        return False
