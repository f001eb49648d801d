"""Show a run to the user: progress on stderr, results as text."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from cclake_common.visible import visible, visible_lines

from cclake_pipeline.run import RunResult
from cclake_pipeline.stages import StageResult


class Screen:
    """Shows the progress of a run on stderr, and log lines on stdout."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty() and not quiet

    def step(self, text: str) -> None:
        """Show what a stage is doing, in one line that the next one replaces."""
        if self._terminal:
            print(f"\r\x1b[K{visible(text)[:100]}", end="", file=sys.stderr, flush=True)

    def stage(self, result: StageResult) -> None:
        """Show that a stage has ended."""
        clear = "\r\x1b[K" if self._terminal else ""
        print(clear + _stage_line(result), file=sys.stderr, flush=True)

    def waiting(self, who: str) -> None:
        """Show that this run waits for another one."""
        self.note(f"another run is active; waiting for the end of {who}")

    def log(self, text: str) -> None:
        """Write one line with the time to stdout."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        print(f"{now} {visible_lines(text)}", flush=True)

    def note(self, text: str) -> None:
        """Write a message: a line of the log, or one on stderr."""
        if self._quiet:
            self.log(text)
        else:
            print(visible(text), file=sys.stderr, flush=True)


def describe(result: RunResult) -> str:
    """Return a run as a line, followed by lines about failures."""
    parts = [f"{s.stage} {_amount(s.rows, s.detail)}".strip() for s in result.stages]
    line = (
        f"run {result.run_id} {result.outcome} in {result.seconds:.1f} s:"
        f" {', '.join(parts)}"
    )
    bad = [s for s in result.stages if s.outcome == "failed"]
    said = "\n".join([line, *(_indented(stage.detail) for stage in bad)])
    return visible_lines(said)


def runs_table(runs: Sequence[dict[str, Any]]) -> str:
    """Return the runs as a table, newest first."""
    if not runs:
        return "no runs yet"
    head = f"{'run':>6}  {'started':<20}  {'mode':<11}  {'outcome':<11}  stages"
    lines = [head]
    for run in runs:
        stages = "  ".join(_cell(stage) for stage in run["stages"])
        started = f"{run['started_at'][:19]}Z"
        lines.append(
            f"{run['run_id']:>6}  {started:<20}  {run['mode']:<11}"
            f"  {run['outcome']:<11}  {stages}"
        )
        lines += [
            _indented(stage["detail"])
            for stage in run["stages"]
            if stage["outcome"] == "failed"
        ]
    return visible_lines("\n".join(lines))


def _cell(stage: dict[str, Any]) -> str:
    rows = "" if stage["rows"] is None else f" {stage['rows']:,}"
    seconds = "" if stage["seconds"] is None else f" {stage['seconds']:.1f}s"
    bad = "" if stage["outcome"] == "done" else f" {stage['outcome']}"
    return f"{stage['stage']}{rows}{seconds}{bad}"


def _stage_line(result: StageResult) -> str:
    state = "" if result.outcome == "done" else f"  {result.outcome}"
    amount = _amount(result.rows, result.detail if not state else "")
    line = f"{result.stage:<8} {amount:<40} {result.seconds:>7.1f} s{state}"
    return visible(line)


def _amount(rows: int | None, detail: str) -> str:
    if rows is not None:
        return f"{rows:,} rows"
    return detail if "\n" not in detail and len(detail) <= 40 else ""


def _indented(text: str) -> str:
    return "\n".join(f"        {line}" for line in text.splitlines())
