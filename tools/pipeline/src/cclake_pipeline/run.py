"""Run the stages in order, one run at a time, and record everything."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cclake_common.failure import INTERRUPTED, TRY_LATER, Failure
from cclake_common.lock import Lock
from cclake_common.stop import Stop

from cclake_pipeline.run_log import RunLog
from cclake_pipeline.stages import STAGES, Mode, StageResult, Stages

Outcome = Literal["done", "failed", "interrupted"]


@dataclass(frozen=True)
class RunResult:
    """The outcome of a run, with the stages that it reached.

    Attributes:
        watermark: Sum of the watermarks that it has reached; None if unknown.
    """

    run_id: int
    outcome: Outcome
    seconds: float
    stages: tuple[StageResult, ...]
    watermark: int | None = None


def execute(
    stages: Stages,
    record: RunLog,
    mode: Mode,
    *,
    watermark: int | None,
    stop: Stop,
    pass_on_stop: bool,
    on_stage: Callable[[StageResult], None] = lambda _result: None,
) -> RunResult:
    """Run the stages until one fails; the caller holds the lock.

    Gold is rebuilt if the dbt project or the prices have changed since the last
    successful run, if the load deleted rows, and if the DuckDB file is new. If MongoDB
    and all files are as the last run left them, every stage is skipped. If only the
    loaded rows are the same, dbt and publish are skipped.

    Args:
        stages: Runs single stages.
        record: The log of runs.
        mode: The mode of the run.
        watermark: Sum of MongoDB's watermarks now; None if unknown.
        stop: Checked between the stages.
        pass_on_stop: Pass a request to stop on to the running stage.
        on_stage: Called when a stage has ended.
    """
    begin = time.monotonic()
    project = stages.fingerprint()
    if mode in ("incremental", "daily") and record.project() != project:
        mode = "rebuild"
    idle = mode == "incremental" and _is_published(record, stages, project, watermark)
    if not idle:
        stages.warm_up(mode)
    number = record.begin(mode, watermark)
    run = _Run(number, record, stages, mode, idle=idle, watermark=watermark)
    outcome: Outcome = "done"
    results: list[StageResult] = []
    for stage in STAGES:
        if stop:
            outcome = "interrupted"
            break
        results.append(run.stage(stage, stop if pass_on_stop else None))
        on_stage(results[-1])
        if results[-1].outcome != "done":
            outcome = results[-1].outcome
            break
    record.end(run.number, outcome)
    if outcome == "done" and not idle:
        record.set_project(project)
        record.set_note("published", f"{run.state} {stages.exports()}")
        stages.finish()
        record.set_note("stores", stages.stores())
    stages.close()
    seconds = round(time.monotonic() - begin, 3)
    return RunResult(run.number, outcome, seconds, tuple(results), run.watermark)


def _is_published(
    record: RunLog, stages: Stages, project: str, watermark: int | None
) -> bool:
    """Return whether everything in MongoDB is published, and nothing has changed."""
    if watermark is None or record.watermark_of(project) != watermark:
        return False
    return record.note("stores") == (stages.stores() or None)


@dataclass
class _Run:
    """An active run.

    Attributes:
        number: Its number in the log.
        mode: What gold needs, as determined during the run.
        state: What is loaded.
        idle: Whether nothing has changed, so that the next stages are skipped.
        watermark: How far it goes, including lines that arrive while it begins.
    """

    number: int
    record: RunLog
    stages: Stages
    mode: Mode
    state: str = ""
    idle: bool = False
    watermark: int | None = None

    def stage(self, stage: str, stop: Stop | None) -> StageResult:
        """Run one stage, or skip it."""
        self.record.begin_stage(self.number, stage)
        if stage == "dbt" and self.mode not in ("incremental", "daily"):
            # Until all tables are rebuilt they belong to no project: an interrupted
            # rebuild must not be continued by the previous project version.
            self.record.set_project("")
        if self.idle:
            result = self.stages.skip(stage)
        else:
            result = self.stages.run(stage, self.mode, stop)
        self.record.end_stage(self.number, result)
        if result.watermark is not None and result.watermark > (self.watermark or 0):
            self.watermark = result.watermark
            self.record.reached(self.number, result.watermark)
        if stage == "load" and result.outcome == "done" and not self.idle:
            self._loaded(result)
        return result

    def _loaded(self, result: StageResult) -> None:
        self.state, where = result.state, self.stages.exports()
        known = bool(where) and self.record.note("published") == f"{self.state} {where}"
        self.idle = known and self.mode == "incremental"
        if self.idle:
            return
        self.record.set_note("published", "")
        seen = f"{result.born} {result.removal}"
        if self.record.note("born") != seen:
            # Another file, or rows that this or an earlier load deleted.
            # Recorded, so that the next run rebuilds gold if this one ends early.
            self.record.set_project("")
            self.record.set_note("born", seen)
            if self.mode in ("incremental", "daily"):
                self.mode = "rebuild"


@contextmanager
def run_lock(
    home: Path,
    stop: Stop,
    wait: bool = True,
    on_wait: Callable[[str], None] = lambda _who: None,
    work: str = "pipeline run",
) -> Iterator[None]:
    """Hold the lock of the only run of a data directory.

    Args:
        home: The data directory.
        stop: Ends the wait.
        wait: Wait for the end of another run.
        on_wait: Called once before waiting, with the name of that process.
        work: The name of this run for other processes.

    Raises:
        Failure: Another run is active and `wait` is false, or a stop was requested.
    """
    with Lock(home / "pipeline.lock") as lock:
        waits = False
        while not lock.take(work):
            if stop:
                raise Failure("interrupted while waiting", code=INTERRUPTED)
            who = str(lock.holder() or "it")
            if not wait:
                raise Failure(
                    f"another run is active: {who}",
                    "Try again later, or omit --no-wait to wait for it.",
                    code=TRY_LATER,
                )
            if not waits:
                waits = True
                on_wait(who)
            select.select([stop.fd], [], [], 0.2)
        yield
