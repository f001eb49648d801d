"""Command line of flusher."""

import gc
import json
import os
import select
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import typer
from cclake_common import settings
from cclake_common.cli import (
    DATABASE,
    BufferPath,
    Json,
    MongoDb,
    MongoUri,
    ThisHost,
    make_app,
)
from cclake_common.failure import Failure, run
from cclake_common.stop import Stop, die_with_parent
from cclake_common.visible import printable, visible
from pymongo.errors import PyMongoError

from cclake_flusher import endpoint, lock, recovered_files
from cclake_flusher.flusher import Flusher, Settings
from cclake_flusher.indexes import ReaderIndexes
from cclake_flusher.mongo import Mongo
from cclake_flusher.state import State

HELP = """Deliver the buffer to MongoDB exactly once.

`flusher run` wakes at every commit to the buffer, sends the waiting lines in batches,
and deletes them from the buffer once they are safely on MongoDB's disk.
"""

app = make_app(HELP, no_args_is_help=True)
PortOption = Annotated[
    int,
    typer.Option(envvar="HEALTH_PORT", help="Port of /health, /stats, /metrics."),
]


@app.command("run")
def run_command(
    sqlite_path: BufferPath = None,
    mongo_uri: MongoUri = None,
    mongo_db: MongoDb = DATABASE,
    batch_size: Annotated[
        int,
        typer.Option(
            envvar="BATCH_SIZE", min=1, help="Maximum number of lines in a batch."
        ),
    ] = 1000,
    batch_bytes: Annotated[
        int,
        typer.Option(
            envvar="CCLAKE_BATCH_BYTES",
            min=1,
            help="Maximum number of bytes in a batch.",
        ),
    ] = 8_000_000,
    sync_interval_ms: Annotated[
        int,
        typer.Option(
            envvar="SYNC_INTERVAL_MS",
            min=1,
            help="Maximum sleep; a commit to the buffer ends it at once.",
        ),
    ] = 5000,
    health_port: PortOption = 9090,
    drain_seconds: Annotated[
        float,
        typer.Option(
            envvar="CCLAKE_DRAIN_SECONDS",
            help="Maximum time to deliver the queue after SIGTERM.",
        ),
    ] = 20,
    host: ThisHost = None,
) -> None:
    """Deliver until SIGTERM; then deliver the rest of the queue, and exit.

    MongoDB may be unavailable at the start or at any time. The flusher keeps trying,
    and /health reports the problem. A kill at any time loses and repeats nothing.
    """
    die_with_parent()
    stop, state = Stop(), State()
    path = _path(sqlite_path)
    work = Settings(
        path=path,
        host=host or settings.host(),
        count=batch_size,
        size=batch_bytes,
        interval_s=sync_interval_ms / 1000,
    )
    uri = mongo_uri or settings.mongo_uri()
    mongo = Mongo(uri, mongo_db)
    indexes = ReaderIndexes(uri, mongo_db)
    if not lock.hold(path, stop, state):
        return
    endpoint.serve(health_port, path, state)
    _limit_drain(stop, drain_seconds)
    _tune_gc()
    Flusher(work, mongo, indexes, state, stop).run()
    mongo.close()


def _path(given: Path | None) -> Path:
    return (given or settings.in_home("SQLITE_PATH", "buffer.db")).expanduser()


def _tune_gc() -> None:
    """Collect garbage rarely: parsed lines are many and contain no cycles."""
    gc.freeze()
    gc.set_threshold(50_000)


def _limit_drain(stop: Stop, seconds: float) -> None:
    """Exit if a drain takes too long; lines that are not acknowledged stay queued."""

    def watch() -> None:
        select.select([stop.fd], [], [])
        time.sleep(seconds)
        print("flusher: stopping; the rest stays in the buffer", file=sys.stderr)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


@app.command()
def checkpoints(
    sqlite_path: BufferPath = None,
    mongo_uri: MongoUri = None,
    mongo_db: MongoDb = DATABASE,
    host: ThisHost = None,
    wait_seconds: Annotated[
        float,
        typer.Option(
            envvar="CCLAKE_WAIT_SECONDS",
            min=0.1,
            help="Maximum wait for MongoDB; at most 1 if the buffer has files.",
        ),
    ] = 5,
) -> None:
    """Print the files that MongoDB knows and the buffer does not, for the tailer.

    After a buffer was lost, pass these to `tailer --resume` before the buffer's own
    checkpoints. The tailer then recognises files that were renamed in the meantime. It
    reads each from its start, and MongoDB refuses the lines that it has. If MongoDB is
    unavailable, this prints nothing but a warning.
    """
    uri, name = mongo_uri or settings.mongo_uri(), host or settings.host()
    found = recovered_files.checkpoints(
        uri, mongo_db, name, _path(sqlite_path), wait_seconds
    )
    try:
        for record in found:
            print(printable(record.decode()))
    except PyMongoError as error:
        kind = type(error).__name__
        print(
            f"flusher: MongoDB does not answer ({kind}); resuming from the buffer only",
            file=sys.stderr,
        )


@app.command()
def health(
    health_port: PortOption = 9090,
    as_json: Json = False,
) -> None:
    """Print the health of the running flusher; exit with 1 if it is failing."""
    report = _ask(health_port)
    if as_json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(visible(f"{name:<20} {'-' if value is None else value}"))
    if report["status"] == "failing":
        raise typer.Exit(1)


def _ask(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/health"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            return dict(json.load(error))
    except (OSError, ValueError) as error:
        raise Failure(
            f"no flusher answers on port {port}",
            "Start the flusher, or name its port with --health-port.",
        ) from error


def main() -> None:
    """Run the console script."""
    run("flusher", app, at_once=True)
