"""The stages of a run: what each mode runs, and how one stage is run."""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cclake_common.stop import Stop

from cclake_pipeline.child import Child
from cclake_pipeline.places import Places, script
from cclake_pipeline.project import fingerprint

Mode = Literal["incremental", "daily", "rebuild", "full", "backfill"]
Show = Callable[[str], None]

# Unit tests try the models, not the data.
_NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
_NO_TESTS = (*_NO_UNIT_TESTS, "--exclude-resource-type", "test")
_COMMANDS: dict[str, dict[Mode, list[str]]] = {
    "extract": {"incremental": ["run"], "backfill": ["run", "--full-backfill"]},
    "load": {"incremental": [], "full": ["--full-refresh"]},
    "dbt": {
        # Data tests read whole tables: once a day, not for every few lines.
        "incremental": [*_NO_TESTS, "--no-write-json"],
        "rebuild": ["--full-refresh", *_NO_TESTS],
        "full": ["--full-refresh", *_NO_UNIT_TESTS],
        "daily": [*_NO_UNIT_TESTS],
    },
    "publish": {
        "incremental": [],
        "daily": ["--full"],
        "rebuild": ["--full"],
        "full": ["--full"],
    },
}
_FALLBACK: dict[Mode, tuple[Mode, ...]] = {
    "incremental": ("incremental",),
    "full": ("full", "incremental"),
    "backfill": ("backfill", "full", "incremental"),
    "daily": ("daily", "incremental"),
    "rebuild": ("rebuild", "incremental"),
}
STAGES = tuple(_COMMANDS)
_MEMORY = "CCLAKE_DUCKDB_MEMORY"
_OUT_OF_MEMORY = "Out of Memory"


@dataclass(frozen=True)
class StageResult:
    """How a stage ended.

    Attributes:
        rows: Rows that it moved; None where it does not say.
        detail: What it did, or the end of what it said when it failed.
        removed: Rows that it took back, because the lake has them no more.
    """

    stage: str
    outcome: Literal["done", "failed", "interrupted"]
    seconds: float
    rows: int | None
    detail: str
    removed: int = 0


@dataclass(frozen=True)
class _Ended:
    """How the work of a stage ended."""

    ok: bool
    detail: str = ""
    rows: int | None = None
    removed: int = 0


def arguments(stage: str, mode: Mode) -> list[str]:
    """The arguments of a stage in a mode."""
    known = _COMMANDS[stage]
    return next(known[m] for m in _FALLBACK[mode] if m in known)


class Stages:
    """Runs stages; keeps a dbt process between runs where `keep_dbt` is set."""

    def __init__(self, places: Places, show: Show, keep_dbt: bool = False) -> None:
        self._places = places
        self._show = show
        self._keep_dbt = keep_dbt
        self._dbt: Child | None = None

    def run(self, stage: str, mode: Mode, stop: Stop | None = None) -> StageResult:
        """Run one stage to its end.

        Args:
            stage: One of `STAGES`.
            mode: The mode of the run.
            stop: Where given, a request to stop is passed on to the stage.
        """
        begin = time.monotonic()
        work = self._run_dbt if stage == "dbt" else self._run_tool
        ended = work(stage, arguments(stage, mode), stop)
        interrupted = not ended.ok and stop is not None and stop.requested
        return StageResult(
            stage=stage,
            outcome="done" if ended.ok else "interrupted" if interrupted else "failed",
            seconds=round(time.monotonic() - begin, 3),
            rows=ended.rows,
            detail=ended.detail,
            removed=ended.removed,
        )

    def fingerprint(self) -> str:
        """The fingerprint of the dbt project."""
        return fingerprint(self._places.dbt)

    def close(self) -> None:
        """End the dbt process, if one is kept."""
        if self._dbt:
            self._dbt.close()
            self._dbt = None

    def _run_tool(
        self, stage: str, options: Sequence[str], stop: Stop | None
    ) -> _Ended:
        printed: list[str] = []

        def keep(line: str) -> bool:
            printed.extend([line] if line.strip() else [])
            return False

        child = Child([script(stage), *options, "--json"], self._places.environment())
        child.follow(keep, stop)
        code = child.close()
        if code:
            said = child.tail() or f"{stage} ended with exit code {code}"
            return _Ended(ok=False, detail=said)
        report = _last_object(printed)
        rows, removed = report.get("rows"), report.get("removed")
        return _Ended(
            ok=True,
            rows=rows if isinstance(rows, int) else None,
            removed=removed if isinstance(removed, int) else 0,
        )

    def _run_dbt(
        self, _stage: str, options: Sequence[str], stop: Stop | None
    ) -> _Ended:
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
    ) -> _Ended:
        folder = str(self._places.dbt)
        project = ["--project-dir", folder, "--profiles-dir", folder]
        asked = ["build", "--quiet", *project, "--target", self._places.target]
        child = self._dbt or Child(
            [sys.executable, "-m", "cclake_pipeline.dbt_worker", folder], environment
        )
        self._dbt = child
        replies: list[dict[str, Any]] = []
        child.send(json.dumps([*asked, *options]))
        answered = child.follow(lambda line: self._reply(line, replies), stop)
        if not (answered and self._keep_dbt):
            self.close()
        if not answered:
            said = child.tail() or "dbt ended without a result"
            return _Ended(ok=False, detail=said)
        result = replies[-1]
        done = [f"{count} {kind}s" for kind, count in result["counts"].items()]
        detail = ", ".join(done) if result["ok"] else "\n".join(result["failed"])
        return _Ended(ok=bool(result["ok"]), detail=detail or child.tail())

    def _reply(self, line: str, replies: list[dict[str, Any]]) -> bool:
        reply: dict[str, Any] = json.loads(line)
        if "ok" in reply:
            replies.append(reply)
            return True
        self._show(f"dbt {reply['step']}/{reply['of']} {reply['what']}")
        return False


def half_of_memory() -> str:
    """Half of this machine's memory, as DuckDB takes it."""
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2**21}MiB"


def _last_object(lines: Sequence[str]) -> dict[str, Any]:
    try:
        value = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
