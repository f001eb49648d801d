"""Run dbt in a process of its own: requests on stdin, results on stdout.

A request is a JSON object: {"run": [arguments]}, or {"parse": [arguments]} to
prepare for it, which is not answered, or {"keep": [arguments], "file", "key"} to save
the statements for new lines. With "part_rows", a run over more new lines than
that is several runs of dbt, one after the other, with one answer.

Between requests, a worker keeps dbt's modules and the parsed project, but never the
DuckDB file open.
"""

import gc
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.factory import FACTORY, reset_adapters
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from cclake_pipeline import artifacts
from cclake_pipeline.batches import bounds
from cclake_pipeline.statements import Statements

PARTIAL = "partial_parse.msgpack"  # where dbt writes the parsed project
ANEW = "--full-refresh"
_GOES_ON = "create or replace temporary table"
_BAD = {"error", "fail", "runtime error", "partial success"}


class Worker:
    """Runs dbt repeatedly; parses the project when its files have changed."""

    def __init__(self, project: Path, replies: TextIO) -> None:
        self._project = project
        self._replies = replies
        self._manifest: Manifest | None = None
        self._signature: tuple[int, int] | None = None
        self._part = ""

    def run(self, arguments: list[str], part_rows: int | None = None) -> None:
        """Run dbt, in batches if much is new, and write one line with the result."""
        failed = self.parse(arguments)
        self._write(summary(failed) if failed else self._run(arguments, part_rows))

    def _run(self, arguments: list[str], part_rows: int | None) -> dict[str, Any]:
        ends = self._part_ends(arguments, part_rows)
        for number, end in enumerate(ends, 1):
            self._part = f"batch {number}/{len(ends) + 1}: "
            reply = self._invoke([*arguments, *part(end)])
            if not reply["ok"]:
                return reply
            arguments = [name for name in arguments if name != ANEW]
        self._part = f"batch {len(ends) + 1}/{len(ends) + 1}: " if ends else ""
        return self._invoke(arguments)

    def keep(self, arguments: list[str], file: Path, key: str) -> None:
        """Save the statements for new lines, which dbt writes without running them."""
        found: Statements | None = None
        self._part = "statements: "
        if not self.parse(arguments):
            only = ["--vars", json.dumps({"only_statements": True})]
            runner = dbtRunner(manifest=self._manifest)
            found = statements(runner.invoke([*arguments, *only]), key)
            close_database()
        if found:
            found.save(file)
        self._write({"ok": found is not None})

    def _part_ends(self, arguments: list[str], part_rows: int | None) -> list[int]:
        database = os.environ.get("DUCKDB_PATH")
        if not (part_rows and database):
            return []
        return bounds(Path(database), part_rows, ANEW in arguments)

    def parse(self, arguments: list[str]) -> dbtRunnerResult | None:
        """Parse the project, if it is not parsed as it is now.

        Returns:
            The result of a parse that failed.
        """
        signature = project_signature(self._project)
        if signature != self._signature:
            self._manifest, self._signature = None, signature
        if self._manifest is None:
            parsed = parse(self._project, project_options(arguments))
            if not isinstance(parsed, Manifest):
                return parsed
            self._manifest = parsed
        return None

    def _invoke(self, arguments: list[str]) -> dict[str, Any]:
        runner = dbtRunner(manifest=self._manifest, callbacks=[self._progress])
        reply = summary(runner.invoke(arguments))
        close_database()
        return reply

    def _progress(self, event: Any) -> None:
        if event.info.name == "LogStartLine":
            data = event.data
            self._write(
                {
                    "step": data.index,
                    "of": data.total,
                    "what": f"{self._part}{data.description}",
                }
            )

    def _write(self, reply: dict[str, Any]) -> None:
        self._replies.write(json.dumps(reply) + "\n")
        self._replies.flush()


def parse(project: Path, options: list[str]) -> Manifest | dbtRunnerResult:
    """Return the parsed project, or the result of a parse that failed.

    It is read from the file that an earlier parse has left, if nothing has changed.

    Args:
        project: The dbt project.
        options: Those of dbt that choose the project and the target.
    """
    written = Path(os.environ.get("DBT_TARGET_PATH", "target"), PARTIAL)
    key = artifacts.parsed_key(project, options)
    kept = artifacts.file_of("parsed.msgpack", project, key, written.parent)
    if manifest := _read_manifest(kept):
        return manifest
    parsed = dbtRunner().invoke(["parse", *options, "--no-write-json"])
    if not isinstance(parsed.result, Manifest):
        return parsed
    with suppress(OSError):  # then it is parsed again
        artifacts.write(kept, written.read_bytes())
    return parsed.result


def _read_manifest(path: Path) -> Manifest | None:
    content = artifacts.read(path)
    if content is None:
        return None
    try:
        manifest: Manifest = Manifest.from_msgpack(content)
    except Exception:  # many kinds, for a file that was damaged or not written by dbt
        return None
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    return manifest


def part(end: int) -> list[str]:
    """Return the arguments of dbt to build the lines of one batch.

    The data is tested after the last batch.

    Args:
        end: The newest extraction run of the batch.
    """
    lines = json.dumps({"up_to_run": end})
    return ["--exclude-resource-type", "test", "--vars", lines]


def statements(result: dbtRunnerResult, key: str) -> Statements | None:
    """Return the statements of each model, or None if they may be incomplete.

    `has_statements` of a model declares that its text is all that it does. A model
    whose table is missing creates it, which is not what it does to new lines.
    """
    models: list[tuple[str, str]] = []
    for one in getattr(result.result, "results", None) or []:
        node = one.node
        if node.resource_type == "operation":
            continue
        is_new = node.config.materialized == "incremental"
        text = Path(node.build_path or "").read_text() if node.build_path else ""
        if (
            not node.config.meta.get("has_statements")
            or not text.strip()
            or (is_new and _GOES_ON not in text)
        ):
            return None
        models.append((node.name, text))
    adapter: Any = next(iter(FACTORY.adapters.values()), None)
    if not (result.success and models and adapter):
        return None
    return Statements(key, dict(adapter.config.credentials.settings or {}), models)


def close_database() -> None:
    """Close the DuckDB file for later stages, since dbt keeps it open."""
    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    reset_adapters()  # type: ignore[no-untyped-call]
    gc.collect()


def project_options(arguments: list[str]) -> list[str]:
    """Return the options of the project, which `dbt parse` also needs."""
    names = ("--project-dir", "--profiles-dir", "--target", "--quiet")
    kept: list[str] = []
    for name, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if name in names:
            kept += [name] if name == "--quiet" else [name, value]
    return kept


def project_signature(project: Path) -> tuple[int, int]:
    """Return a value that changes if a file of the project changes."""
    files = [
        path.stat().st_mtime_ns
        for pattern in ("*.yml", "*/**/*.sql", "*/**/*.yml", "*/**/*.csv")
        for path in project.glob(pattern)
        if "target" not in path.parts
    ]
    return len(files), max(files, default=0)


def summary(result: dbtRunnerResult) -> dict[str, Any]:
    """Return the result of a run as a JSON object: counts by kind, and failures."""
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
    """Answer requests from stdin until it ends."""
    # dbt and its plugins print to stdout, which is for answers here.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(Path(sys.argv[1]), replies)
    for line in sys.stdin:
        request = json.loads(line)
        if "parse" in request:
            worker.parse(request["parse"])
            close_database()
        elif "keep" in request:
            worker.keep(request["keep"], Path(request["file"]), request["key"])
        else:
            worker.run(request["run"], request.get("part_rows"))


if __name__ == "__main__":
    main()
