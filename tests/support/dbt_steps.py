"""Run dbt several times in one process: one JSON line per step on stdin.

A step is {"rows": "file.parquet", "args": ["run", ...], "settings": {...}}: the rows
are appended to raw.conversations first (the file may be absent), then dbt is invoked with
these variables of its environment. The project is parsed once. With "keep" dbt then saves
its statements for new lines, and a step with "repeat" runs those in place of dbt, as the
pipeline does for a few lines. A line of JSON per step goes to stdout.
"""

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import duckdb
from cclake_pipeline.dbt_stage import NO_FILES
from cclake_pipeline.dbt_worker import close_database, parse, statements
from cclake_pipeline.statement_worker import repeat
from cclake_pipeline.statements import load
from dbt.cli.main import dbtRunner

STATEMENTS = Path(os.environ["DUCKDB_PATH"] + ".statements")
KEEP = (
    "run",
    "--exclude",
    "config.materialized:view",
    "--vars",
    "only_statements: true",
)


def append(rows: str) -> None:
    with duckdb.connect(os.environ["DUCKDB_PATH"]) as connection:
        connection.execute("create schema if not exists raw")
        connection.execute(
            "create table if not exists raw.conversations as"
            f" select * from '{rows}' limit 0"
        )
        connection.execute(f"insert into raw.conversations select * from '{rows}'")


def main() -> None:
    project = ["--project-dir", sys.argv[1], "--profiles-dir", sys.argv[1]]
    options = [*project, *NO_FILES]
    manifest: Any = None
    for line in sys.stdin:
        step = json.loads(line)
        for name, value in step["settings"].items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        if step.get("rows"):
            append(step["rows"])
        if step.get("repeat"):
            saved = load(STATEMENTS, "key")
            assert saved is not None
            repeat(saved, Path(os.environ["DUCKDB_PATH"]))
            print(json.dumps({"ok": True, "failed": []}), flush=True)
            continue
        if manifest is None:
            manifest = parse(Path(sys.argv[1]), [*project, "--quiet"])
            gc.freeze()  # it stays: dbt looks for garbage often
        result = dbtRunner(manifest=manifest).invoke(["-q", *step["args"], *options])
        results = getattr(result.result, "results", [])
        failed = [
            f"{each.node.name}: {each.message}"
            for each in results
            if each.status not in ("success", "pass", "no-op")
        ]
        if result.exception:
            failed.append(str(result.exception))
        if step["args"] == ["build"]:  # the project's own tests read it
            manifest.write(str(Path(os.environ["DBT_TARGET_PATH"], "manifest.json")))
        if step.get("keep"):
            kept = dbtRunner(manifest=manifest).invoke(["-q", *KEEP, *options])
            saved = statements(kept, "key")
            assert saved is not None
            saved.save(STATEMENTS)
        close_database()
        print(json.dumps({"ok": result.success, "failed": failed}), flush=True)


if __name__ == "__main__":
    main()
