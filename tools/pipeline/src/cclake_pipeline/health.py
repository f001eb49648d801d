"""Serve the newest run as `/health` and as `/metrics` for Prometheus."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from cclake_common import loopback
from cclake_common.loopback import Answer

from cclake_pipeline.run_log import RunLog

PREFIX = "cclake_pipeline_"
_NEWEST = 50  # number of runs in which to look for the last successful one


Samples = list[tuple[str, float]]
Family = tuple[str, str, str, Samples]
"""A metric: name, type, help, and samples with their labels."""


def serve(
    record: RunLog,
    port: int,
    say: Callable[[str], None],
    more: Callable[[], Iterable[Family]] = tuple,
) -> None:
    """Answer requests in a thread, as long as the process lives.

    If the port is in use, the pipeline runs without it.

    Args:
        record: The log of runs.
        port: The port; 0: none.
        say: Called with a warning if the port is in use.
        more: Returns further metrics.
    """
    routes = {
        "/health": lambda: Answer.health(health(record.recent(_NEWEST))),
        "/metrics": lambda: Answer.metrics(
            exposition([*families(record.recent(_NEWEST)), *more()]).encode()
        ),
    }
    try:
        if port:
            loopback.serve(port, routes)
    except OSError as error:
        say(f"no metrics on port {port}: {error.strerror} (set PIPELINE_PORT)")


def health(recent: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the status of the pipeline by its newest runs: ok, failing or waiting."""
    last = next((run for run in recent if run["outcome"] != "running"), None)
    failing = last is not None and last["outcome"] == "failed"
    return {
        "status": "failing" if failing else "ok" if last else "waiting",
        "running": bool(recent) and recent[0]["outcome"] == "running",
        "run": last and last["run_id"],
        "outcome": last and last["outcome"],
        "ended_at": last and last["ended_at"],
        "watermark": last and last["watermark"],
        "stages": {
            stage["stage"]: {
                name: stage[name] for name in ("rows", "seconds", "outcome")
            }
            for stage in (last["stages"] if last else [])
        },
    }


def exposition(found: Iterable[Family]) -> str:
    """Return metrics in the text format of Prometheus."""
    lines: list[str] = []
    for name, kind, what, samples in found:
        lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{label} {value}" for label, value in samples]
    return "\n".join(lines) + "\n"


def families(recent: list[dict[str, Any]]) -> Iterator[Family]:
    """Yield the metrics of the newest runs.

    Args:
        recent: The runs, newest first.
    """
    for name, kind, what, samples in _families(recent):
        yield f"{PREFIX}{name}", kind, what, samples


def _families(recent: list[dict[str, Any]]) -> Iterator[Family]:
    newest = recent[0]["run_id"] if recent else 0
    yield "runs_total", "counter", "Number of runs started.", [("", newest)]
    ended = [run for run in recent if run["outcome"] != "running"]
    busy: float = bool(recent) and recent[0]["outcome"] == "running"
    yield "running", "gauge", "Whether a run is active.", [("", int(busy))]
    last = ended[0] if ended else {"outcome": "", "ended_at": None, "stages": []}
    done = next((run for run in ended if run["outcome"] == "done"), None)
    yield (
        "last_run_outcome",
        "gauge",
        "1 for the outcome of the last finished run.",
        [
            (f'{{outcome="{outcome}"}}', int(last["outcome"] == outcome))
            for outcome in ("done", "failed", "interrupted")
        ],
    )
    if last["ended_at"]:
        at = _epoch(last["ended_at"])
        yield (
            "last_run_ended_seconds",
            "gauge",
            "End of the last run (epoch).",
            [("", at)],
        )
    if done:
        at = _epoch(done["ended_at"])
        yield (
            "last_done_seconds",
            "gauge",
            "End of the last successful run (epoch).",
            [("", at)],
        )
        if done["watermark"] is not None:
            mark = [("", float(done["watermark"]))]
            yield (
                "watermark",
                "gauge",
                "Sum of acked_seq of the last successful run.",
                mark,
            )
    for name, what in (
        ("rows", "Rows of the stage in the last run."),
        ("seconds", "Seconds of the stage in the last run."),
    ):
        yield f"stage_{name}", "gauge", what, _by_stage(last["stages"], name)
    outcomes: Samples = [
        (f'{{stage="{stage["stage"]}"}}', int(stage["outcome"] == "done"))
        for stage in last["stages"]
    ]
    yield "stage_done", "gauge", "Whether the stage succeeded.", outcomes


def _by_stage(stages: list[dict[str, Any]], name: str) -> Samples:
    return [
        (f'{{stage="{stage["stage"]}"}}', stage[name])
        for stage in stages
        if stage[name] is not None
    ]


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
