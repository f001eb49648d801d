"""dbt in a process of its own: requests in on stdin, results out on stdout.

A request is a JSON object: {"run": [arguments]}, or {"parse": [arguments]} to get
ready for it, which is not answered.

A worker that lives for several runs keeps dbt's modules and the parsed project.
It never keeps the DuckDB file open between runs.
"""

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.factory import reset_adapters
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

_BAD = {"error", "fail", "runtime error", "partial success"}


class Worker:
    """Runs dbt again and again; parses the project when its files have changed."""

    def __init__(self, project: Path, replies: TextIO) -> None:
        self._project = project
        self._replies = replies
        self._manifest: Manifest | None = None
        self._signature: tuple[int, int] | None = None

    def run(self, arguments: list[str]) -> None:
        """Run dbt once and write one line with the result."""
        failed = self.parse(arguments)
        result = failed or self._invoke(arguments)
        reply = summary(result)
        del result, failed
        let_go()
        self._write(reply)

    def parse(self, arguments: list[str]) -> dbtRunnerResult | None:
        """Parse the project, if it is not parsed as it is now.

        Returns:
            The result of a parse that failed.
        """
        signature = project_signature(self._project)
        if signature != self._signature:
            self._manifest, self._signature = None, signature
        if self._manifest is None:
            parsed = dbtRunner().invoke(["parse", *project_options(arguments)])
            if not isinstance(parsed.result, Manifest):
                return parsed
            self._manifest = parsed.result
        return None

    def _invoke(self, arguments: list[str]) -> dbtRunnerResult:
        runner = dbtRunner(manifest=self._manifest, callbacks=[self._progress])
        return runner.invoke(arguments)

    def _progress(self, event: Any) -> None:
        if event.info.name == "LogStartLine":
            data = event.data
            self._write(
                {"step": data.index, "of": data.total, "what": data.description}
            )

    def _write(self, reply: dict[str, Any]) -> None:
        self._replies.write(json.dumps(reply) + "\n")
        self._replies.flush()


def let_go() -> None:
    """Close the DuckDB file, which a later stage opens; dbt itself keeps it open."""
    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    reset_adapters()  # type: ignore[no-untyped-call]
    gc.collect()


def project_options(arguments: list[str]) -> list[str]:
    """The options about the project, which `dbt parse` needs as well."""
    names = ("--project-dir", "--profiles-dir", "--target", "--quiet")
    kept: list[str] = []
    for name, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if name in names:
            kept += [name] if name == "--quiet" else [name, value]
    return kept


def project_signature(project: Path) -> tuple[int, int]:
    """Changes when a file of the project is edited, added or removed."""
    files = [
        path.stat().st_mtime_ns
        for pattern in ("*.yml", "*/**/*.sql", "*/**/*.yml", "*/**/*.csv")
        for path in project.glob(pattern)
        if "target" not in path.parts
    ]
    return len(files), max(files, default=0)


def summary(result: dbtRunnerResult) -> dict[str, Any]:
    """The result of a run as a JSON object: counts by kind, and what failed."""
    counts: dict[str, int] = {}
    failed: list[str] = []
    for node in getattr(result.result, "results", None) or []:
        kind = str(node.node.resource_type)
        if kind != "operation":
            counts[kind] = counts.get(kind, 0) + 1
        if str(node.status) in _BAD:
            failed.append(f"{node.node.name}: {node.message}")
    if result.exception:
        failed.append(str(result.exception))
    return {"ok": bool(result.success), "counts": counts, "failed": failed}


def main() -> None:
    """Serve argument lists from stdin until it ends."""
    # What dbt and its plugins print is talk: it belongs on stderr.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(Path(sys.argv[1]), replies)
    for line in sys.stdin:
        request = json.loads(line)
        if "parse" in request:
            worker.parse(request["parse"])
            let_go()
        else:
            worker.run(request["run"])


if __name__ == "__main__":
    main()
