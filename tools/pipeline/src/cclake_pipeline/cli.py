"""The command line of `pipeline`."""

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from cclake_common.cli import DATABASE, Json, MongoDb, MongoUri, make_app
from cclake_common.dbt_project import dbt_project
from cclake_common.failure import INTERRUPTED, TRY_LATER, Failure, run
from cclake_common.settings import home, in_home, mongo_uri
from cclake_common.stop import Stop, die_with_parent

from cclake_pipeline.backlog import follow
from cclake_pipeline.budget_watch import BudgetWatch
from cclake_pipeline.display import Screen, describe, runs_table
from cclake_pipeline.health import serve
from cclake_pipeline.paths import Paths
from cclake_pipeline.run import execute, run_lock
from cclake_pipeline.run_log import RunLog
from cclake_pipeline.run_log import read as read_runs
from cclake_pipeline.stages import Mode, Stages
from cclake_pipeline.watch import Pace, Watch
from cclake_pipeline.watermarks import Unreachable, Watermarks

app = make_app(
    "Run extract, load, dbt and publish in order, and record each run.",
    no_args_is_help=True,
)

DbtDir = Annotated[
    Path | None,
    typer.Option(
        "--dbt-dir",
        envvar="CCLAKE_DBT_DIR",
        show_default="dbt/ of this checkout",
        help="The dbt project.",
    ),
]
Target = Annotated[
    str, typer.Option("--target", envvar="DBT_TARGET", help="The dbt target.")
]


@app.command("run")
def run_once(
    full: Annotated[
        bool, typer.Option("--full", help="Rebuild DuckDB, gold and the exports.")
    ] = False,
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Also extract everything again.")
    ] = False,
    daily: Annotated[
        bool, typer.Option("--daily", help="Test all data, write the exports in full.")
    ] = False,
    no_wait: Annotated[
        bool,
        typer.Option("--no-wait", help="Exit with 75 if another run is active."),
    ] = False,
    backlog: Annotated[
        bool,
        typer.Option(
            "--backlog",
            help="First extract and load what is being archived, until a line comes"
            " on stdin.",
        ),
    ] = False,
    dbt_dir: DbtDir = None,
    target: Target = "dev",
    uri: MongoUri = None,
    database: MongoDb = DATABASE,
    as_json: Json = False,
) -> None:
    """Run all stages once: extract, load, dbt, publish.

    Only what is new is processed. If a stage fails, the last good exports stay
    in place. The exit code is then 1, or 75 if a store is unavailable or in use:
    try again later.
    """
    if full + backfill + daily > 1:
        raise typer.BadParameter("only one of --full, --backfill and --daily")
    mode: Mode = (
        "full"
        if full
        else "backfill"
        if backfill
        else "daily"
        if daily
        else "incremental"
    )
    where = Paths(home(), dbt_project(dbt_dir), target, uri or mongo_uri(), database)
    stop, screen = Stop(), Screen()
    record, stages = RunLog(where.record), Stages(where, screen.step)
    work = "pipeline run" if mode == "incremental" else f"pipeline run --{mode}"
    with run_lock(where.home, stop, not no_wait, screen.waiting, work):
        if backlog:
            if record.project() != stages.fingerprint():
                stages.warm_up_dbt()
            done = record.last_watermark()
            with Watermarks(where.mongo_uri, where.mongo_db) as watermarks:
                end = sys.stdin.fileno()
                archived = follow(stages, watermarks, done, end, stop)
            if not archived:
                stages.close()
                raise typer.Exit(INTERRUPTED)
        result = execute(
            stages,
            record,
            mode,
            watermark=_watermark(where),
            stop=stop,
            pass_on_stop=True,
            on_stage=screen.stage,
        )
    stages.close()
    print(json.dumps(asdict(result)) if as_json else describe(result))
    if result.outcome == "done":
        BudgetWatch(screen.note).check(wait=False)
    if result.outcome == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if result.outcome == "failed":
        raise Failure(
            f"{result.stages[-1].stage} failed",
            "The last good exports stay in place. `pipeline runs` shows the reason.",
            TRY_LATER if result.stages[-1].exit_code == TRY_LATER else 1,
        )


@app.command()
def watch(
    interval: Annotated[
        float,
        typer.Option(
            "--interval",
            envvar="PIPELINE_INTERVAL_S",
            help="Maximum seconds between runs while new data keeps coming.",
        ),
    ] = 300.0,
    quiet: Annotated[
        float,
        typer.Option(
            "--quiet",
            envvar="PIPELINE_QUIET_S",
            help="Seconds without new data before a run starts"
            " (2 s after more than 10,000 lines).",
        ),
    ] = 0.5,
    port: Annotated[
        int,
        typer.Option(
            "--port",
            envvar="PIPELINE_PORT",
            min=0,
            max=65535,
            help="/health and /metrics on this port of the loopback; 0: none.",
        ),
    ] = 9091,
    dbt_dir: DbtDir = None,
    target: Target = "dev",
    uri: MongoUri = None,
    database: MongoDb = DATABASE,
) -> None:
    """Run at once if anything is new, and then whenever new data is in MongoDB.

    Made for supervisord: it prints one line for each run, tries again after a
    failure, and ends after the current stage on SIGTERM. One run a day is a
    --daily one.
    """
    die_with_parent()
    where = Paths(home(), dbt_project(dbt_dir), target, uri or mongo_uri(), database)
    stop, screen = Stop(), Screen(quiet=True)
    record, stages = RunLog(where.record), Stages(where, screen.step)

    def prepare() -> None:
        with suppress(Failure):  # the run reports it
            stages.warm_up(record.next_mode())

    def one_run(mark: int) -> int | None:
        try:
            with run_lock(where.home, stop, True, screen.waiting, "pipeline watch"):
                result = execute(
                    stages,
                    record,
                    record.next_mode(),
                    watermark=mark,
                    stop=stop,
                    pass_on_stop=False,
                )
        except Failure as failure:
            screen.log(str(failure))
            return None
        screen.log(describe(result))
        if result.outcome != "done":
            return None
        watched.start()
        return result.watermark

    watched = BudgetWatch(screen.log)
    serve(record, port, screen.log, watched.families)
    with Watermarks(where.mongo_uri, where.mongo_db) as watermarks:
        pace = Pace(interval, quiet)
        published = in_home("EXPORT_DIR", "exports") / "conversations.db"
        done = record.watermark_of(stages.fingerprint()) if published.exists() else None
        watching = Watch(watermarks, one_run, prepare, pace, stop, screen.log)
        watching.forever(done)
    stages.close()
    screen.log("stopped")


@app.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the last runs: time, duration, rows and errors."""
    recent = read_runs(home() / "pipeline.db", limit)
    print(json.dumps(recent) if as_json else runs_table(recent))


def _watermark(where: Paths) -> int | None:
    try:
        with Watermarks(where.mongo_uri, where.mongo_db) as watermarks:
            return watermarks.total()
    except Unreachable:
        return None  # extract reports it in more detail


def main() -> NoReturn:
    """Return the console script."""
    run("pipeline", app, at_once=True)
