"""Define the stages of each mode, and run one stage."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cclake_common.stop import Stop

from cclake_pipeline.dbt_stage import NO_FILES, Dbt
from cclake_pipeline.paths import Paths, script
from cclake_pipeline.preload import LIBRARIES
from cclake_pipeline.project import fingerprint
from cclake_pipeline.stage_process import StageProcess

Mode = Literal["incremental", "daily", "rebuild", "full", "backfill"]
Show = Callable[[str], None]

# Unit tests check the models, not the data.
_NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
_NO_TESTS = (*_NO_UNIT_TESTS, "--exclude-resource-type", "test")
_COMMANDS: dict[str, dict[Mode, list[str]]] = {
    "extract": {"incremental": ["run"], "backfill": ["run", "--full-backfill"]},
    "load": {"incremental": [], "full": ["--full-refresh"]},
    "dbt": {
        # Data tests read whole tables: once a day, not for every few lines. Views
        # and seeds have existed since the project was built.
        "incremental": [
            *_NO_TESTS,
            *("--exclude-resource-type", "seed"),
            *("--exclude", "config.materialized:view"),
            *NO_FILES,
        ],
        "rebuild": ["--full-refresh", *_NO_TESTS, *NO_FILES],
        "full": ["--full-refresh", *_NO_UNIT_TESTS, *NO_FILES],
        "daily": [*_NO_UNIT_TESTS, *NO_FILES],
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
# The fields of the result of `load` that identify the loaded rows.
_STATE = ("born", "load_id", "extract_run", "snapshot_id", "total")
NOTHING_NEW = "nothing new"


@dataclass(frozen=True)
class StageResult:
    """The outcome of a stage.

    Attributes:
        rows: Number of its rows; None if unknown.
        detail: What it did, or the end of its stderr after a failure.
        removal: The newest load that deleted rows, because the lake no longer has
            them.
        state: What is loaded now; the same until a load changes something.
        born: When the DuckDB file was first loaded into.
        watermark: Sum of the watermarks that the lake has reached; None if unknown.
        exit_code: Exit code of its process, if that failed.
    """

    stage: str
    outcome: Literal["done", "failed", "interrupted"]
    seconds: float
    rows: int | None
    detail: str
    removal: str = ""
    state: str = ""
    born: str = ""
    watermark: int | None = None
    exit_code: int = 0


@dataclass(frozen=True)
class _Ended:
    """The outcome of the work of a stage."""

    ok: bool
    detail: str = ""
    rows: int | None = None
    removal: str = ""
    state: str = ""
    born: str = ""
    watermark: int | None = None
    exit_code: int = 0


def arguments(stage: str, mode: Mode) -> list[str]:
    """Return the arguments of a stage in a mode."""
    known = _COMMANDS[stage]
    return next(known[m] for m in _FALLBACK[mode] if m in known)


class Stages:
    """Runs stages, each in a process that can be started before its turn."""

    def __init__(self, paths: Paths, show: Show) -> None:
        self._paths = paths
        self._dbt = Dbt(paths, show)
        self._ready: dict[str, StageProcess] = {}
        self._before: dict[str, int] = {}  # rows that each stage moved before the run

    def run(self, stage: str, mode: Mode, stop: Stop | None = None) -> StageResult:
        """Run one stage to its end.

        Args:
            stage: One of `STAGES`.
            mode: The mode of the run.
            stop: If given, a request to stop is passed on to the stage.
        """
        begin = time.monotonic()
        options = arguments(stage, mode)
        if stage == "dbt":
            again = self._dbt.repeat(stop) if mode == "incremental" else None
            built = again or self._dbt.build(options, stop)
            ended = _Ended(built.ok, built.detail)
        else:
            ended = self._run_tool(stage, options, stop)
        interrupted = not ended.ok and stop is not None and stop.requested
        return StageResult(
            stage=stage,
            outcome="done" if ended.ok else "interrupted" if interrupted else "failed",
            seconds=round(time.monotonic() - begin, 3),
            rows=self._rows(stage, ended),
            detail=ended.detail,
            removal=ended.removal,
            state=ended.state,
            born=ended.born,
            watermark=ended.watermark,
            exit_code=ended.exit_code,
        )

    def _rows(self, stage: str, ended: _Ended) -> int | None:
        before = self._before.pop(stage, 0)
        return ended.rows if ended.rows is None else ended.rows + before

    def before(self, stage: str, stop: Stop) -> bool:
        """Run `extract` or `load` before the run; return whether it is done.

        Show nothing of it. The run repeats what fails, and reports it. The next process
        of the stage starts at once, so that it is ready when the backlog ends.
        """
        options = arguments(stage, "incremental")
        ended = self._run_tool(stage, options, stop, shown=False)
        if ended.ok:
            self._before[stage] = self._before.get(stage, 0) + (ended.rows or 0)
            self._ready[stage] = self._start(stage)
        return ended.ok

    def warm_up_dbt(self) -> None:
        """Start dbt, which takes the longest, and let it read the project."""
        self._dbt.warm_up(is_small=False)

    def skip(self, stage: str) -> StageResult:
        """Return the result of a stage that has nothing to do."""
        rows = None if stage == "dbt" else 0
        return StageResult(stage, "done", 0.0, rows, NOTHING_NEW)

    def exports(self) -> str:
        """Return the identity of gold and the exports; empty while one is missing."""
        return self._paths.exports()

    def stores(self) -> str:
        """Return a value that shows changes of lake, gold or exports by others."""
        return self._paths.stores()

    def fingerprint(self) -> str:
        """Return the fingerprint of the dbt project."""
        return fingerprint(self._paths.dbt)

    def warm_up(self, mode: Mode) -> None:
        """Start slow processes before their turn."""
        for stage in LIBRARIES:
            if stage not in self._ready:
                self._ready[stage] = self._start(stage)
        self._dbt.warm_up(mode == "incremental")

    def finish(self) -> None:
        """Save what speeds up the next run."""
        self._dbt.keep()

    def close(self) -> None:
        """End waiting processes."""
        for child in self._ready.values():
            child.process.kill()
            child.close()
        self._ready.clear()
        self._dbt.close()

    def _start(self, stage: str) -> StageProcess:
        ready = [sys.executable, "-m", "cclake_pipeline.preload", script(stage)]
        environment = self._paths.environment()
        return StageProcess([*ready, *LIBRARIES[stage]], environment)

    def _run_tool(
        self, stage: str, options: Sequence[str], stop: Stop | None, shown: bool = True
    ) -> _Ended:
        printed: list[str] = []

        def keep(line: str) -> bool:
            printed.extend([line] if line.strip() else [])
            return False

        child = self._ready.pop(stage, None) or self._start(stage)
        child.send(json.dumps([*options, "--json"]), shown)
        child.follow(keep, stop)
        code = child.close()
        if code:
            said = child.tail() or f"{stage} ended with exit code {code}"
            return _Ended(ok=False, detail=said, exit_code=code)
        report = _last_object(printed)
        rows = report.get("rows")
        return _Ended(
            ok=True,
            rows=rows if isinstance(rows, int) else None,
            removal=str(report.get("removal")),
            state=" ".join(str(report.get(name)) for name in _STATE),
            born=str(report.get("born")),
            watermark=_watermark(report),
        )


def _watermark(report: dict[str, Any]) -> int | None:
    """Return the watermark of `extract`, or None if MongoDB is behind the lake."""
    marks = report.get("watermarks")
    return sum(marks.values()) if marks and not report.get("ahead") else None


def _last_object(lines: Sequence[str]) -> dict[str, Any]:
    try:
        value = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
