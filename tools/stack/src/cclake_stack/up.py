"""Start everything in order, and bring all logs as far as the pages."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cclake_common import settings
from cclake_common.failure import Failure
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from cclake_stack import backfill, checks, config, started
from cclake_stack.mongod import find_mongod
from cclake_stack.supervise import Supervisor

ORPHAN_SECONDS = 30.0
Say = Callable[[str], None]


def wanted() -> list[str]:
    """The processes that should run with the present settings."""
    private = [] if config.environ_or("MONGO_URI", "") else ["mongod"]
    return [*private, *config.ROLES[config.role()]]


def is_up(supervisor: Supervisor) -> bool:
    """Whether every wanted process runs."""
    if not supervisor.running():
        return False
    running = {p.name for p in supervisor.processes() if p.state == "RUNNING"}
    return running.issuperset(wanted())


def up(say: Say, console: Console, supervisor: Supervisor) -> None:
    """Start what does not run, archive all logs and build the lake once.

    Args:
        say: Prints one sentence.
        console: Where progress bars go (stderr).
        supervisor: The supervisord of the data directory, or the one to be.

    Raises:
        Failure: A check, a process or a pipeline stage failed. What was started
            by this call is stopped again, unless the logs are already flowing.
    """
    checks.check_data_directory()
    work = config.ROLES[config.role()]
    roots = checks.check_roots() if "ingest" in work else []
    mine = not supervisor.running()
    if not mine:
        check_settings()
    else:
        checks.check_numbers()
        _check_ports(work)
        if config.environ_or("MONGO_URI", ""):
            checks.check_mongo()
        settings.keep_host()
        started.remember()
        supervisor.start_daemon()
    try:
        _start_mongo(supervisor, say)
        for name in work:
            if name != "pipeline":
                supervisor.start(name)
    except Failure:
        if mine:
            supervisor.shutdown()
        raise
    if "ingest" in work:
        _archive(supervisor, roots, say, console)
    if "pipeline" in work:
        _first_run(supervisor, say)
        supervisor.start("pipeline")


def check_settings() -> None:
    """What runs was started with the present settings.

    Raises:
        Failure: Some are others now; they are named.
    """
    if others := started.changed():
        raise Failure(
            f"cclake runs already, started with another {', '.join(others)}",
            "`just down` and then `just up` starts it with the present settings.",
        )


def _check_ports(work: tuple[str, ...]) -> None:
    # A supervisord that was killed left its pid file; its children end by
    # themselves, but a drain may take them some seconds.
    killed = (settings.home() / "supervisord.pid").exists()
    deadline = time.monotonic() + (ORPHAN_SECONDS if killed else 0)
    while True:
        try:
            return _check_ports_now(work)
        except Failure:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.2)


def _check_ports_now(work: tuple[str, ...]) -> None:
    if "flusher" in work:
        checks.check_port(config.port("HEALTH_PORT", 9090), "HEALTH_PORT", "health")
    if "web" in work:
        checks.check_port(config.port("WEB_PORT", 3000), "WEB_PORT", "pages")
    if "pipeline" in work and (port := config.port("PIPELINE_PORT", 9091)):
        checks.check_port(port, "PIPELINE_PORT", "health of the pipeline")
    if not config.environ_or("MONGO_URI", ""):
        checks.check_port(config.port("MONGO_PORT", 27117), "MONGO_PORT", "MongoDB")


def _start_mongo(supervisor: Supervisor, say: Say) -> None:
    if "mongod" in wanted():
        find_mongod()
        supervisor.start("mongod")
        version = checks.check_mongo(wait_ms=60_000)
        say(f"MongoDB {version} runs, private to this machine.")
    else:
        version = checks.check_mongo()
        say(f"MongoDB {version} at {settings.mask(settings.mongo_uri())} answers.")


def _archive(
    supervisor: Supervisor, roots: list[Path], say: Say, console: Console
) -> None:
    total = backfill.tree_bytes(roots)
    names = ", ".join(str(root) for root in roots)
    if not total:
        say(f"No logs in {names} yet; they are archived as soon as they appear.")
        return
    say(f"Archiving {names} ...")
    last = backfill.Progress()
    with Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        DownloadColumn(),
        TextColumn("{task.fields[lines]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("lines to MongoDB", total=total, lines="")
        path = backfill.buffer_path()
        for last in backfill.follow(path, lambda: _check(supervisor)):
            bar.update(
                task,
                completed=min(last.read_bytes, total),
                lines=f"{last.delivered:,} lines, {last.queued:,} waiting",
            )
    say(f"{last.delivered:,} lines of {last.files:,} files are in MongoDB.")
    if not last.complete:
        say("Some bytes are still to come; `just status` says why.")


def _check(supervisor: Supervisor) -> None:
    for process in supervisor.processes():
        watched = process.name in wanted() and process.name != "pipeline"
        if watched and process.state in ("FATAL", "BACKOFF"):
            raise Failure(
                f"{process.name} does not stay up:"
                f" {supervisor.last_words(process.name)}",
                f"Its log: just logs {process.name}",
            )


def _first_run(supervisor: Supervisor, say: Say) -> None:
    say("Building the lake, gold and the exports ...")
    command = [str(Path(sys.executable).parent / "pipeline"), "run"]
    if subprocess.run(command, check=False).returncode:
        supervisor.start("pipeline")
        raise Failure(
            "the pipeline failed; the archive itself is complete and goes on",
            "The reason stands above; it is tried again in the background."
            " See: just logs pipeline",
        )
