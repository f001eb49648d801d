"""The newest run as numbers for Prometheus, and whether all is well."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

PREFIX = "cclake_pipeline_"


def health(recent: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how the pipeline is, by its newest runs: `ok`, `failing` or `waiting`."""
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


def exposition(recent: list[dict[str, Any]]) -> str:
    """Return the newest runs in the text format of Prometheus.

    Args:
        recent: Runs of the record, the newest first.
    """
    lines: list[str] = []
    for name, kind, what, samples in _families(recent):
        lines += [f"# HELP {PREFIX}{name} {what}", f"# TYPE {PREFIX}{name} {kind}"]
        lines += [f"{PREFIX}{name}{label} {value}" for label, value in samples]
    return "\n".join(lines) + "\n"


Samples = list[tuple[str, float]]


def _families(recent: list[dict[str, Any]]) -> Iterator[tuple[str, str, str, Samples]]:
    newest = recent[0]["run_id"] if recent else 0
    yield "runs_total", "counter", "Runs begun, ever.", [("", newest)]
    ended = [run for run in recent if run["outcome"] != "running"]
    busy: float = bool(recent) and recent[0]["outcome"] == "running"
    yield "running", "gauge", "Whether a run is going on.", [("", int(busy))]
    last = ended[0] if ended else {"outcome": "", "ended_at": None, "stages": []}
    done = next((run for run in ended if run["outcome"] == "done"), None)
    yield (
        "last_run_outcome",
        "gauge",
        "1 for the outcome of the last run that ended.",
        [
            (f'{{outcome="{outcome}"}}', int(last["outcome"] == outcome))
            for outcome in ("done", "failed", "interrupted")
        ],
    )
    if last["ended_at"]:
        at = _epoch(last["ended_at"])
        yield "last_run_ended_seconds", "gauge", "When it ended (epoch).", [("", at)]
    if done:
        at = _epoch(done["ended_at"])
        yield "last_done_seconds", "gauge", "When one was done (epoch).", [("", at)]
        if done["watermark"] is not None:
            mark = [("", float(done["watermark"]))]
            yield "watermark", "gauge", "Sum of acked_seq that it began with.", mark
    for name, what in (
        ("rows", "Rows that the stage moved in the last run."),
        ("seconds", "Seconds that the stage took in the last run."),
    ):
        yield f"stage_{name}", "gauge", what, _by_stage(last["stages"], name)
    outcomes: Samples = [
        (f'{{stage="{stage["stage"]}"}}', int(stage["outcome"] == "done"))
        for stage in last["stages"]
    ]
    yield "stage_done", "gauge", "Whether the stage was done.", outcomes


def _by_stage(stages: list[dict[str, Any]], name: str) -> Samples:
    return [
        (f'{{stage="{stage["stage"]}"}}', stage[name])
        for stage in stages
        if stage[name] is not None
    ]


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
