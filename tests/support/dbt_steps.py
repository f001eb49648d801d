"""Run dbt several times in one process: one JSON line per step on stdin.

A step is {"rows": "file.parquet", "args": ["run", ...]}: the rows are appended
to raw.conversations first (the file may be absent), then dbt is invoked with a
manifest that is parsed once. A line of JSON per step goes to stdout.
"""

import json
import os
import sys
from typing import Any

import duckdb
from dbt.cli.main import dbtRunner


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
    manifest: Any = None
    for line in sys.stdin:
        step = json.loads(line)
        if step.get("rows"):
            append(step["rows"])
        if manifest is None:
            manifest = dbtRunner().invoke(["-q", "parse", *project]).result
        result = dbtRunner(manifest=manifest).invoke(["-q", *step["args"], *project])
        results = getattr(result.result, "results", [])
        failed = [
            f"{each.node.name}: {each.message}"
            for each in results
            if each.status not in ("success", "pass", "no-op")
        ]
        if result.exception:
            failed.append(str(result.exception))
        print(json.dumps({"ok": result.success, "failed": failed}), flush=True)


if __name__ == "__main__":
    main()
