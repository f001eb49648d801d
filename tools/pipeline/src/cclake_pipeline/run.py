"""One run: the stages in order, one run at a time, everything recorded."""

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

from cclake_pipeline.record import Record
from cclake_pipeline.stages import STAGES, Mode, StageResult, Stages

Outcome = Literal["done", "failed", "interrupted"]


@dataclass(frozen=True)
class RunResult:
    """How a run ended, with the stages that it came to.

    Attributes:
        watermark: Sum of MongoDB's watermarks that it has taken over; None if unknown.
    """

    run_id: int
    outcome: Outcome
    seconds: float
    stages: tuple[StageResult, ...]
    watermark: int | None = None


def execute(
    stages: Stages,
    record: Record,
    mode: Mode,
    *,
    watermark: int | None,
    stop: Stop,
    pass_on_stop: bool,
    on_stage: Callable[[StageResult], None] = lambda _result: None,
) -> RunResult:
    """Run the stages until one does not succeed; hold the lock while doing so.

    Where the dbt project or the prices are not those of the last run that was
    done, gold is rebuilt from what is loaded; also where the load took rows back.
    Where MongoDB and all files are as the last run left them, every stage is skipped;
    where only what is loaded is as it was, dbt and publish. A new DuckDB file is filled
    by a rebuild.

    Args:
        stages: Runs single stages.
        record: Where the run is written down.
        mode: The mode of the run.
        watermark: Sum of MongoDB's watermarks now; None if unknown.
        stop: Asked between the stages.
        pass_on_stop: Also end the stage that is running when asked to stop.
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
    record: Record, stages: Stages, project: str, watermark: int | None
) -> bool:
    """Tell whether all that MongoDB has is published, and nothing was changed since."""
    if watermark is None or record.watermark_of(project) != watermark:
        return False
    return record.note("stores") == (stages.stores() or None)


@dataclass
class _Run:
    """A run that is going on.

    Attributes:
        number: Its number in the record.
        mode: What gold needs; determined during the run.
        state: What is loaded.
        idle: Nothing has changed since the last run: what follows is skipped.
        watermark: How far it goes; lines that come while it begins are taken as well.
    """

    number: int
    record: Record
    stages: Stages
    mode: Mode
    state: str = ""
    idle: bool = False
    watermark: int | None = None

    def stage(self, stage: str, stop: Stop | None) -> StageResult:
        """Run one stage, or skip it."""
        self.record.begin_stage(self.number, stage)
        if stage == "dbt" and self.mode not in ("incremental", "daily"):
            # Its tables are of no project until all are made: one that breaks off
            # must not be gone on with by the project that it replaces.
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
            # Another file, or rows were taken back, by this load or one before it.
            # Remembered, so that the next run makes it good if this one ends early.
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
    """Be the only run of a data directory.

    Args:
        home: The data directory.
        stop: Ends the waiting.
        wait: Wait for another run to end.
        on_wait: Called once before waiting, with the process that is waited for.
        work: What other processes call the run.

    Raises:
        Failure: Another run is going on and `wait` is false, or `stop` came first, or
            all runs were asked to stop.
    """
    with Lock(home / "pipeline.lock") as lock:
        waits = False
        while not lock.take(work):
            if stop:
                raise Failure("interrupted while it waited", code=INTERRUPTED)
            who = str(lock.holder() or "it")
            if not wait:
                raise Failure(
                    f"another run is going on: {who}",
                    "Try again later, or leave out --no-wait to wait for it.",
                    code=TRY_LATER,
                )
            if not waits:
                waits = True
                on_wait(who)
            select.select([stop.fd], [], [], 0.2)
        yield
