"""Run the command `pipeline`, which has its own lock and run log, as a flow."""

import json
import os
import subprocess
import threading
from typing import IO, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.tasks import exponential_backoff

MODES = {
    "incremental": [],
    "daily": ["--daily"],
    "full": ["--full"],
    "backfill": ["--backfill"],
}
"""The modes of the flow, as options of `pipeline run`."""

PIPELINE = "CCLAKE_PIPELINE"
"""Variable with the path of the command, which is not in Prefect's environment."""


@task(retries=3, retry_delay_seconds=exponential_backoff(10), retry_jitter_factor=0.5)
def run_pipeline(mode: str) -> dict[str, Any]:
    """Run the stages, and write their messages to the log of the run.

    Args:
        mode: One of `MODES`.

    Returns:
        The record of the run, as `pipeline run --json` prints it.

    Raises:
        RuntimeError: A stage failed. Prefect runs all again, but stages that are up to
            date take no time.
    """
    command = [os.environ.get(PIPELINE, "pipeline"), "run", "--json", *MODES[mode]]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        said = threading.Thread(target=_log, args=(process.stderr, get_run_logger()))
        said.start()
        printed = process.stdout.read()
        said.join()
    try:
        record: dict[str, Any] = json.loads(printed)
    except ValueError:
        record = {}
    if process.returncode:
        raise RuntimeError(f"pipeline ended with {process.returncode}: {_why(record)}")
    return record


def _log(lines: IO[str], logger: Any) -> None:
    for line in lines:
        logger.info(line.rstrip())


def _why(record: dict[str, Any]) -> str:
    stages = record.get("stages") or [{"stage": "start", "detail": "see the log"}]
    return f"{stages[-1]['stage']}: {stages[-1]['detail']}"


def notify(flow: Flow[Any, Any], run: FlowRun, state: State[Any]) -> None:
    """Send the message of a failed run to the command in `CCLAKE_ON_FAILURE`."""
    command = os.environ.get("CCLAKE_ON_FAILURE")
    if command:
        words = f"cclake: {run.name} failed: {state.message}\n"
        subprocess.run(command, shell=True, input=words, text=True, check=False)


@flow(name="cclake", on_failure=[notify], on_crashed=[notify])
def cclake(mode: str = "incremental") -> dict[str, Any]:
    """Bring new lines from MongoDB into the exports.

    Args:
        mode: One of `MODES`.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is not one of {', '.join(MODES)}")
    record: dict[str, Any] = run_pipeline(mode)
    create_table_artifact(
        key="stages",
        table=[
            {name: stage[name] for name in ("stage", "outcome", "rows", "seconds")}
            for stage in record["stages"]
        ],
        description=f"{mode}: {record['outcome']}",
    )
    return record
