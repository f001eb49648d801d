"""Start everything in order, archive all logs, and build the lake once."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from cclake_common import settings
from cclake_common.failure import TRY_LATER, Failure
from cclake_common.lock import Lock
from cclake_common.visible import visible
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from cclake_stack import checks, config, ingestion, start_settings, state
from cclake_stack.mongod import find_mongod
from cclake_stack.supervise import Supervisor

ORPHAN_SECONDS = 120.0
STARTS = 4
Say = Callable[[str], None]


class Terminated(BaseException):
    """SIGTERM was received: this process must end, whatever it is doing."""


def end_on_sigterm() -> None:
    """Make SIGTERM raise `Terminated`."""
    signal.signal(signal.SIGTERM, _ask)


def _ask(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def wanted() -> list[str]:
    """Return the processes that should run with the current settings."""
    private = [] if config.environ_or("MONGO_URI", "") else ["mongod"]
    return [*private, *config.ROLES[config.role()]]


def is_up(supervisor: Supervisor) -> bool:
    """Return whether every wanted process runs."""
    if not supervisor.running():
        return False
    running = {p.name for p in supervisor.processes() if p.state == "RUNNING"}
    return running.issuperset(wanted())


@contextmanager
def exclusive(console: Console) -> Iterator[None]:
    """Hold the lock for starts and stops of this data directory; wait for it.

    Args:
        console: Where to print which process is waited for.

    Raises:
        Failure: The data directory can't be used, or `just down` ended the wait.
    """
    with Lock(checks.check_data_directory() / "up.lock") as lock:
        waits = False
        while not lock.take("just up"):
            if not waits:
                _print(console, f"stack: waiting for the end of {lock.holder()} ...")
            waits = True
            time.sleep(0.1)
        yield


def up(say: Say, console: Console, supervisor: Supervisor) -> None:
    """Start missing processes, archive all logs and build the lake once.

    Args:
        say: Prints one sentence.
        console: Where progress bars go (stderr).
        supervisor: The supervisord of the data directory; started if necessary.

    Raises:
        Failure: A check, a process or a pipeline stage failed. Processes that this call
            started are stopped again, unless logs are already being archived.
    """
    work = config.ROLES[config.role()]
    roots = checks.check_roots() if "ingest" in work else []
    mine = not supervisor.running()
    if not mine:
        check_settings()
    else:
        checks.check_numbers()
        _check_ports(work, console)
        if config.environ_or("MONGO_URI", ""):
            checks.check_mongo()
        settings.keep_host()
        start_settings.record()
        supervisor.start_daemon()
    try:
        _start_mongo(supervisor, say, console)
        supervisor.start(*(name for name in work if name != "pipeline"))
    except Failure:
        if mine:
            supervisor.shutdown()
        raise
    archived = None
    if "pipeline" in work:
        with ExitStack() as runs:
            # While `pipeline watch` runs, a run that waits would keep it from working.
            run = runs.enter_context(_pipeline("--backlog")) if mine else None
            if "ingest" in work:
                archived = _archive(supervisor, roots, say, console)
            _first_run(run or runs.enter_context(_pipeline()), supervisor, say)
        supervisor.start("pipeline")
        _say_what_is_missing(archived, say)
    elif "ingest" in work:
        archived = _archive(supervisor, roots, say, console)
        if archived and archived.missing():
            say(f"Not in MongoDB yet: {archived.missing()}. `just status` says more.")


def check_settings() -> None:
    """Check that the running stack was started with the current settings.

    Raises:
        Failure: Some settings have changed.
    """
    if others := start_settings.changed():
        raise Failure(
            f"cclake is already running, started with another {', '.join(others)}",
            "Run `just down` and then `just up` to apply the current settings.",
        )


def _check_ports(work: tuple[str, ...], console: Console) -> None:
    # A killed supervisord leaves its pid file. Its children end by themselves, but
    # draining may take them some seconds.
    killed = (settings.home() / "supervisord.pid").exists()
    deadline = time.monotonic() + (ORPHAN_SECONDS if killed else 0)
    reminder = _Reminder()
    while True:
        try:
            return _check_ports_now(work)
        except Failure as failure:
            if time.monotonic() >= deadline:
                raise
            if reminder.is_due():
                _print(console, f"waiting for the end of a killed stack: {failure}")
        time.sleep(0.2)


def _check_ports_now(work: tuple[str, ...]) -> None:
    if "flusher" in work:
        checks.check_port(config.port("HEALTH_PORT", 9090), "HEALTH_PORT", "health")
    if "web" in work:
        checks.check_port(config.port("WEB_PORT", 3000), "WEB_PORT", "pages")
    if "pipeline" in work and (port := config.port("PIPELINE_PORT", 9091)):
        checks.check_port(port, "PIPELINE_PORT", "health of the pipeline")


def _start_mongo(supervisor: Supervisor, say: Say, console: Console) -> None:
    if "mongod" in wanted():
        find_mongod()
        supervisor.start("mongod")
        version = _private_mongo(supervisor, console)
        say(f"MongoDB {version} runs, private to this user.")
    else:
        version = checks.check_mongo()
        say(f"MongoDB {version} at {settings.mask(settings.mongo_uri())} answers.")


def _private_mongo(supervisor: Supervisor, console: Console) -> str:
    """Wait until the private MongoDB answers, however long its recovery takes."""
    monitor = _ProcessMonitor(supervisor)
    while True:
        try:
            return checks.check_mongo()
        except Failure:
            monitor.check()
        _print(console, "waiting for MongoDB to start ...")


def _archive(
    supervisor: Supervisor, roots: list[Path], say: Say, console: Console
) -> ingestion.Progress | None:
    """Wait until all logs are in MongoDB; return None if there are no logs."""
    total = ingestion.tree_bytes(roots)
    names = ", ".join(str(root) for root in roots)
    if not total:
        say(f"No logs in {names} yet; they are archived as soon as they appear.")
        return None
    say(f"Archiving {names} ...")
    last, monitor, reminder = (
        ingestion.Progress(),
        _ProcessMonitor(supervisor),
        _Reminder(),
    )

    def check(now: ingestion.Progress) -> None:
        monitor.check(now.read_bytes + now.delivered)
        if not console.is_terminal and reminder.is_due():
            _print(console, f"waiting for {now.waits_for()}")

    with Progress(
        TextColumn("  {task.description}", markup=False),
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
        for last in ingestion.follow(ingestion.buffer_path(), check):
            bar.update(
                task,
                description=visible(f"waiting for {last.waits_for()}"),
                completed=min(last.read_bytes, total),
                lines=f"{last.delivered:,} lines, {last.queued:,} waiting",
            )
    say(f"{last.delivered:,} lines of {last.files:,} files are in MongoDB.")
    return last


class _ProcessMonitor:
    """Check whether the started processes keep running."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._pids: dict[str, set[int]] = {}
        self._done = -1

    def check(self, done: int = 0) -> None:
        """Check all processes.

        Args:
            done: A number that grows with their work; processes that make progress may
                restart any number of times.

        Raises:
            Failure: A process keeps ending.
        """
        if done != self._done:
            self._done, self._pids = done, {}
        for process in self._supervisor.processes():
            if process.name not in wanted() or process.name == "pipeline":
                continue
            pids = self._pids.setdefault(process.name, set())
            pids.update([process.pid] if process.pid else [])
            if process.state in ("FATAL", "BACKOFF") or len(pids) > STARTS:
                raise Failure(
                    f"{process.name} does not stay up:"
                    f" {self._supervisor.log_tail(process.name)}",
                    f"Its log: just logs {process.name}",
                )


class _Reminder:
    """Decide when to print that this process is still waiting: less and less often."""

    def __init__(self) -> None:
        self._next = time.monotonic()
        self._pause = 3.0

    def is_due(self) -> bool:
        """Return whether it is time to print; if so, start a longer pause."""
        if time.monotonic() < self._next:
            return False
        self._next, self._pause = time.monotonic() + self._pause, self._pause * 2
        self._pause = min(self._pause, 60.0)
        return True


def _print(console: Console, text: str) -> None:
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _pipeline(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run of the pipeline; `--backlog`: it waits for a line on its stdin."""
    command = [str(Path(sys.executable).parent / "pipeline"), "run", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as run:
        try:
            yield run
        except BaseException:
            run.terminate()  # also ends its stage; leaving the block waits for it
            raise


def _first_run(run: subprocess.Popen[bytes], supervisor: Supervisor, say: Say) -> None:
    say("Building the lake, gold and the exports: extract, load, dbt, publish ...")
    run.communicate(b"\n")
    if run.returncode:
        supervisor.start("pipeline")
        raise Failure(
            "the pipeline failed; archiving continues",
            "See the reason above. The pipeline is tried again in the background;"
            " `just logs pipeline` shows its log.",
        )


def _say_what_is_missing(archived: ingestion.Progress | None, say: Say) -> None:
    """Print what is not in gold yet.

    Raises:
        Failure: The wait was given up, because the tailer sent no stats.
    """
    missing = not_in_gold()
    if archived and not archived.complete:
        raise Failure(
            f"gold is incomplete: {missing or archived.missing()}",
            "See `just status` and `just logs`; it continues in the background.",
            TRY_LATER,
        )
    if missing:
        say(f"Not in gold yet: {missing}. `just status` says more.")


def not_in_gold() -> str:
    """Return in words what is not in gold yet; empty if everything is."""
    parts = state.behind_archive()
    if "ingest" in config.ROLES[config.role()]:
        now = ingestion.snapshot(ingestion.buffer_path())
        parts += [now.missing()] if now.missing() else []
    return ", ".join(parts)
