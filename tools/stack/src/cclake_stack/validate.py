"""Validate everything: the tests of gold, the full proof, and the totals."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cclake_common import settings
from cclake_common.lock import Lock
from cclake_common.sqlite import connect_readonly
from cclake_common.stop import die_with_parent
from cclake_common.visible import visible

_BAD = {"error", "fail", "runtime error"}
_MEASURES = (
    "input_tokens",
    "output_tokens",
    "cache_write_tokens",
    "cache_read_tokens",
    "cost_usd",
)
NAMED = 5
_COUNTED = "fct_api_responses"
# The daily table leaves out responses without a time.
_SUMS = {
    "agg_session_metrics": "1",
    "agg_daily_model_cost": "responded_at is not null",
}


@dataclass(frozen=True)
class Check:
    """A check, whether it holds, and what was seen."""

    name: str
    holds: bool
    seen: str


def validate(dbt: list[str]) -> list[Check]:
    """Run all checks one after the other, while no pipeline runs.

    Args:
        dbt: The command of dbt.
    """
    with no_pipeline("stack validate"):
        return [dbt_tests(dbt), proof(), *totals()]


@contextmanager
def no_pipeline(work: str) -> Iterator[None]:
    """Hold the lock of pipeline runs, because dbt needs the database for itself.

    Args:
        work: What it is held for.
    """
    with lock_pipeline(work):
        yield


def lock_pipeline(work: str) -> Lock:
    """Wait for the lock of pipeline runs, which is held until it is closed.

    Args:
        work: What it is held for.

    Raises:
        Failure: `just down` has ended the wait.
    """
    lock = Lock(settings.home() / "pipeline.lock")
    waits = False
    while not lock.take(work):
        if not waits:
            who = lock.holder()
            said = f"a pipeline run is in progress: waiting for {who}"
            print(visible(said), file=sys.stderr)
        waits = True
        time.sleep(0.1)
    return lock


def dbt_tests(dbt: list[str]) -> Check:
    """Run the data tests and unit tests of the gold project."""
    if not settings.in_home("DUCKDB_PATH", "analytics.duckdb").exists():
        return Check("dbt tests", False, "nothing is built yet: just pipeline")
    path = Path(os.environ["DBT_TARGET_PATH"]) / "run_results.json"
    path.unlink(missing_ok=True)  # a dbt that does not start would leave the old one
    subprocess.run(
        [*dbt, "test", "--quiet"],
        check=False,
        stdout=sys.stderr,
        preexec_fn=die_with_parent,  # `just down` may end this process
    )
    if not path.exists():
        return Check("dbt tests", False, "dbt left no results")
    results = json.loads(path.read_bytes())["results"]
    failed = [r["unique_id"].split(".")[2] for r in results if r["status"] in _BAD]
    seen = f"{len(results) - len(failed)} of {len(results)} pass"
    named = [seen, *failed[:NAMED]]
    if len(failed) > NAMED:
        named.append(f"and {len(failed) - NAMED:,} more")
    return Check("dbt tests", bool(results) and not failed, ", ".join(named))


def proof() -> Check:
    """Run the full proof of every file and every store."""
    verify = str(Path(sys.executable).parent / "verify")
    ended = subprocess.run(
        [verify, "--full"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=die_with_parent,
    )
    said = ended.stdout.strip().splitlines()[-1:]
    said += ended.stderr.removeprefix("verify: ").strip().splitlines()[:1]
    return Check(
        "verify --full", ended.returncode == 0, said[0] if said else "no answer"
    )


def totals() -> list[Check]:
    """Compare tokens and cost of each aggregate with the counted responses."""
    path = settings.in_home("EXPORT_DIR", "exports") / "conversations.db"
    if not path.exists():
        return [Check("totals", False, "nothing is published yet: just pipeline")]
    with closing(connect_readonly(path)) as db:
        return [_reconciled(db, table, part) for table, part in _SUMS.items()]


def _reconciled(db: sqlite3.Connection, table: str, part: str) -> Check:
    sums = ", ".join(f"round(coalesce(sum({name}), 0), 6)" for name in _MEASURES)
    counted = db.execute(f"select {sums} from {_COUNTED} where {part}").fetchone()
    shown = db.execute(f"select {sums} from {table}").fetchone()
    wrong = [
        f"{name}: {ours:,} here, {theirs:,} in {_COUNTED}"
        for name, ours, theirs in zip(_MEASURES, shown, counted, strict=True)
        if abs(ours - theirs) > 1e-6
    ]
    seen = "; ".join(wrong) or f"${counted[-1]:,.4f}, all tokens and cost agree"
    return Check(f"totals of {table}", not wrong, seen)
