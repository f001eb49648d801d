"""Build gold with dbt in a process of its own, or with the statements it saved."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cclake_common.settings import half_of_memory
from cclake_common.stop import Stop

from cclake_pipeline import artifacts
from cclake_pipeline.paths import Paths
from cclake_pipeline.project import MEMORY, fingerprint, statements_key
from cclake_pipeline.stage_process import StageProcess
from cclake_pipeline.statements import load

# Maximum lines of a batch, which fit into the memory of the profile, whatever the
# history.
PART_ROWS = 300_000
# Nobody reads dbt's log and its JSON files, which take a second; failures are in the
# log of runs.
NO_FILES = ("--no-write-json", "--log-level-file", "none")
_OUT_OF_MEMORY = "Out of Memory"


@dataclass(frozen=True)
class Built:
    """The outcome of a build, with its detail or error."""

    ok: bool
    detail: str


class Dbt:
    """Builds gold: a few new lines with saved statements, everything else with dbt."""

    def __init__(self, paths: Paths, show: Callable[[str], None]) -> None:
        self._paths = paths
        self._show = show
        self._child: StageProcess | None = None
        self._repeater: StageProcess | None = None

    def warm_up(self, is_small: bool) -> None:
        """Start the process that will build, before its turn.

        Loading dbt and the project takes seconds, while extract and load run.

        Args:
            is_small: Whether saved statements are enough, if there are any.
        """
        if self._child or self._repeater:
            return
        if is_small and self._saved():
            self._repeater = self._start_repeater()
        else:
            self._child = self._start(self._paths.environment())
            self._child.send(json.dumps({"parse": self._asked()}))

    def close(self) -> None:
        """End the processes, which have no work between runs."""
        for child in (self._child, self._repeater):
            if child:
                child.process.kill()
                child.close()
        self._child = self._repeater = None

    def repeat(self, stop: Stop | None) -> Built | None:
        """Build with saved statements; return None if dbt must do it."""
        if not self._saved():
            return None
        child = self._repeater = self._repeater or self._start_repeater()
        replies: list[dict[str, Any]] = []
        child.send(json.dumps(self._file() | {"database": self._database()}))
        if child.follow(lambda line: self._reply(line, replies), stop):
            built = _built(replies[-1])
            said = f"{built.detail} by saved statements"
            return Built(ok=True, detail=said) if built.ok else None
        child.close()
        self._repeater = None
        return Built(ok=False, detail="interrupted") if stop else None

    def keep(self) -> None:
        """Save the statements for the next run, if dbt runs and they have changed."""
        if self._child and not self._saved():
            options = ["--exclude", "config.materialized:view", *NO_FILES]
            asked = [*self._asked("run"), *options]
            self._child.send(json.dumps({"keep": asked} | self._file()))
            self._child.follow(lambda line: "ok" in json.loads(line))

    def build(self, options: Sequence[str], stop: Stop | None) -> Built:
        """Run dbt; if memory was too small, once more with half of the machine's."""
        environment = self._paths.environment()
        ended = self._build(options, stop, environment)
        if (
            ended.ok
            or stop
            or _OUT_OF_MEMORY not in ended.detail
            or MEMORY in os.environ
        ):
            return ended
        self._show("dbt needs more memory; it is run again")
        self.close()
        try:
            return self._build(options, stop, environment | {MEMORY: half_of_memory()})
        finally:
            self.close()

    def _build(
        self, options: Sequence[str], stop: Stop | None, environment: dict[str, str]
    ) -> Built:
        if self._child and self._child.process.poll() is not None:
            self.close()
        child = self._child or self._start(environment)
        self._child = child
        replies: list[dict[str, Any]] = []
        asked = [*self._asked(), *options]
        child.send(json.dumps({"run": asked, "part_rows": PART_ROWS}))
        answered = child.follow(lambda line: self._reply(line, replies), stop)
        if not answered:
            self._child = None
            child.close()
            return Built(ok=False, detail=child.tail() or "dbt ended without a result")
        built = _built(replies[-1])
        return built if built.detail else Built(built.ok, child.tail())

    def _start(self, environment: dict[str, str]) -> StageProcess:
        folder = str(self._paths.dbt)
        worker = [sys.executable, "-m", "cclake_pipeline.dbt_worker", folder]
        return StageProcess(worker, environment, draws=False)

    def _start_repeater(self) -> StageProcess:
        worker = [sys.executable, "-m", "cclake_pipeline.statement_worker"]
        return StageProcess(worker, self._paths.environment(), draws=False)

    def _saved(self) -> bool:
        file = self._file()
        return load(Path(file["file"]), file["key"]) is not None

    def _file(self) -> dict[str, str]:
        project = fingerprint(self._paths.dbt)
        settings = (Path(self._database()).stem, self._paths.target)
        key = statements_key(project, self._paths.dbt, *settings)
        target = Path(self._paths.environment()["DBT_TARGET_PATH"])
        file = artifacts.file_of("statements.json", self._paths.dbt, key, target)
        return {"file": str(file), "key": key}

    def _database(self) -> str:
        return self._paths.environment()["DUCKDB_PATH"]

    def _asked(self, command: str = "build") -> list[str]:
        folder = str(self._paths.dbt)
        project = ["--project-dir", folder, "--profiles-dir", folder]
        return [command, "--quiet", *project, "--target", self._paths.target]

    def _reply(self, line: str, replies: list[dict[str, Any]]) -> bool:
        reply: dict[str, Any] = json.loads(line)
        if "ok" in reply:
            replies.append(reply)
            return True
        self._show(f"dbt {reply['step']}/{reply['of']} {reply['what']}")
        return False


def _built(reply: dict[str, Any]) -> Built:
    done = [f"{count} {kind}s" for kind, count in reply.get("counts", {}).items()]
    detail = ", ".join(done) if reply["ok"] else "\n".join(reply["failed"])
    return Built(bool(reply["ok"]), detail)
