"""One run: the stages in order, one run at a time, everything recorded."""

import fcntl
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.stop import Stop

from cclake_pipeline.record import Record
from cclake_pipeline.stages import STAGES, Mode, StageResult, Stages

Outcome = Literal["done", "failed", "interrupted"]


@dataclass(frozen=True)
class RunResult:
    """How a run ended, with the stages that it came to."""

    run_id: int
    outcome: Outcome
    seconds: float
    stages: tuple[StageResult, ...]


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
    done, gold is made anew from what is loaded; also where the load took rows back.

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
    run_id = record.begin(mode, watermark)
    results: list[StageResult] = []
    outcome: Outcome = "done"
    for stage in STAGES:
        if stop:
            outcome = "interrupted"
            break
        record.begin_stage(run_id, stage)
        result = stages.run(stage, mode, stop if pass_on_stop else None)
        record.end_stage(run_id, result)
        results.append(result)
        on_stage(result)
        if result.removed:
            # Remembered, so that the next run makes it good if this one ends early.
            record.set_project("")
            mode = "rebuild" if mode in ("incremental", "daily") else mode
        if result.outcome != "done":
            outcome = result.outcome
            break
    record.end(run_id, outcome)
    if outcome == "done":
        record.set_project(project)
    seconds = round(time.monotonic() - begin, 3)
    return RunResult(run_id, outcome, seconds, tuple(results))


@contextmanager
def run_lock(
    home: Path,
    stop: Stop,
    wait: bool = True,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Be the only run of a data directory.

    Args:
        home: The data directory.
        stop: Ends the waiting.
        wait: Wait for another run to end.
        on_wait: Called once before waiting.

    Raises:
        Failure: Another run is going on and `wait` is false, or `stop` came first.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "pipeline.lock").open("w") as lock:
        if not _locked(lock):
            if wait:
                on_wait()
            while not _locked(lock):
                if stop or not wait:
                    raise Failure(
                        "another run is going on",
                        "Try again later, or leave out --no-wait to wait for it.",
                        code=TRY_LATER,
                    )
                select.select([stop.fd], [], [], 0.2)
        yield


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
