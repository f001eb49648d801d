"""Gold databases of bronze rows: dbt, and comparisons of what it made."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import forkserver
from bronze import Bronze, Row
from harness import PATIENCE

REPOSITORY = Path(__file__).parents[2]
PROJECT = REPOSITORY / "dbt"
BUILD = ("build", "--exclude-resource-type", "test", "unit_test")
LAYERS = ("staging", "intermediate", "marts")
# What a run of the project reads from the environment.
SETTINGS = ("CCLAKE_PRICES", "CCLAKE_DUCKDB_MEMORY")


class Workshop:
    """A place where dbt runs: one process and one database path, parsed once."""

    def __init__(self, folder: Path, bronze: Bronze, project: Path = PROJECT) -> None:
        self.folder, self.bronze, self.project = folder, bronze, project
        self.database = folder / "work.duckdb"
        self._log = folder / "dbt.log"
        self._dbt: subprocess.Popen[str] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def build(
        self,
        name: str,
        *batches: Sequence[Row] | Path,
        args: Sequence[str] = BUILD,
        repeat: bool = False,
        onto: Path | None = None,
    ) -> Path:
        """Load each batch and run dbt after it; the database is moved to `name`.

        A batch is some rows, or the folder of logs that they are made of. With `repeat`
        the later ones are built by the statements that dbt saved after the first. With
        `onto` they are added to a copy of that database.
        """
        self.database.unlink(missing_ok=True)
        if onto:
            shutil.copy(onto, self.database)
        steps = []
        for number, batch in enumerate(batches):
            if isinstance(batch, Path):
                rows = self.bronze.table(batch)
            else:
                rows = self.folder / f"batch{number}.parquet"
                self.bronze.save(rows, batch)
            step = {"rows": str(rows), "args": list(args), "keep": repeat}
            steps.append(step | {"repeat": repeat and bool(number or onto)})
        self.steps(steps)
        return self.database.rename(self.folder / f"{name}.duckdb")

    def steps(self, steps: Sequence[dict[str, Any]]) -> None:
        """Run steps of dbt_steps.py; fail with dbt's words where one fails."""
        dbt = self._running()
        answers = [self._step(dbt, step) for step in steps]
        failed = [text for answer in answers for text in answer["failed"]]
        if failed or not all(answer["ok"] for answer in answers):
            raise AssertionError("\n".join(failed) or self._log.read_text())

    def close(self) -> None:
        """End dbt."""
        if self._dbt:
            self._dbt.communicate(timeout=PATIENCE)
            self._dbt = None

    def _running(self) -> "subprocess.Popen[str]":
        if self._dbt is None:
            env = (
                os.environ
                | forkserver.environment()
                | {
                    "HOME": str(self.folder),
                    "DUCKDB_PATH": str(self.database),
                    "DBT_TARGET_PATH": str(self.folder / "target"),
                    "DBT_LOG_PATH": str(self.folder / "logs"),
                    "DO_NOT_TRACK": "1",
                }
            )
            script = Path(__file__).with_name("dbt_steps.py")
            with self._log.open("w") as log:
                self._dbt = subprocess.Popen(
                    [sys.executable, str(script), str(self.project)],
                    env=env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        return self._dbt

    def _step(
        self, dbt: "subprocess.Popen[str]", step: dict[str, Any]
    ) -> dict[str, Any]:
        assert dbt.stdin and dbt.stdout
        settings = {name: os.environ.get(name) for name in SETTINGS}
        dbt.stdin.write(json.dumps({"settings": settings, **step}) + "\n")
        dbt.stdin.flush()
        for line in dbt.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        self.close()
        raise AssertionError(self._log.read_text())


def query(database: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """The rows of a query on a gold database, read-only."""
    # Views are bound to the name that the file had when dbt made them.
    name = "analytics" if database.name == "analytics.duckdb" else "work"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{database}' as {name} (read_only)")
        connection.execute(f"use {name}")
        return connection.execute(sql, values).fetchall()


def one(database: Path, sql: str, *values: object) -> tuple[Any, ...]:
    """The single row of a query."""
    (row,) = query(database, sql, *values)
    return row


def tables(database: Path) -> list[str]:
    """Every table that dbt built, as schema.name."""
    return [
        f"{schema}.{name}"
        for schema, name in query(
            database,
            "select table_schema, table_name from information_schema.tables"
            " where table_type = 'BASE TABLE' and table_schema in (?, ?, ?)"
            " order by all",
            *LAYERS,
        )
    ]


def differences(left: Path, right: Path) -> dict[str, list[tuple[Any, ...]]]:
    """For each table that is not equal in both databases, some rows that differ."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    assert tables(left) == tables(right)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{left}' as l (read_only)")
        connection.execute(f"attach '{right}' as r (read_only)")
        for table in tables(left):
            rows = connection.execute(
                f"(select 'left', * from (select * from l.{table}"
                f" except all select * from r.{table})) union all"
                f" (select 'right', * from (select * from r.{table}"
                f" except all select * from l.{table})) limit 10"
            ).fetchall()
            if rows:
                found[table] = rows
    return found


def arrive(rows: Sequence[Row], runs: int, seed: int) -> list[list[Row]]:
    """Return the same rows, brought by several extraction runs in a random order.

    The rows of a document come together, as they do from `extract`.
    """
    choose = random.Random(seed)
    numbers = {row["doc_id"]: choose.randint(1, runs) for row in rows}
    shuffled = [row | {"extract_run": numbers[row["doc_id"]]} for row in rows]
    choose.shuffle(shuffled)
    return [
        [row for row in shuffled if row["extract_run"] == run]
        for run in range(1, runs + 1)
    ]


def compare(workshop: Workshop, batches: Sequence[Sequence[Row]], whole: Path) -> None:
    """Fail where rows that arrive in several runs give other tables than all at once.

    The later runs are dbt's, and then those of its saved statements.

    Args:
        workshop: Where dbt runs.
        batches: The rows of each run.
        whole: The database of all at once.

    Raises:
        AssertionError: Some table differs; the rows that do are in it.
    """
    first, *later = batches
    begun = workshop.build("begun", first, repeat=True)
    grown = workshop.build("grown", *later, onto=begun)
    assert differences(grown, whole) == {}
    repeated = workshop.build("repeated", *later, repeat=True, onto=begun)
    assert differences(repeated, whole) == {}
