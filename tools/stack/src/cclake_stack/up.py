"""Start everything in order, and bring all logs as far as the pages."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from cclake_stack import backfill, checks, config, started, state
from cclake_stack.mongod import find_mongod
from cclake_stack.supervise import Supervisor

ORPHAN_SECONDS = 120.0
STARTS = 4
Say = Callable[[str], None]


class Asked(BaseException):
    """SIGTERM has come: this process must end, whatever it is doing."""


def end_on_sigterm() -> None:
    """Have SIGTERM raise `Asked`."""
    signal.signal(signal.SIGTERM, _ask)


def _ask(_number: int, _frame: FrameType | None) -> None:
    raise Asked


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


@contextmanager
def alone(console: Console) -> Iterator[None]:
    """Hold the lock of starts and stops of this data directory; wait for it.

    Args:
        console: Where to print which process is waited for.

    Raises:
        Failure: The data directory can't be used, or `just down` came meanwhile.
    """
    with Lock(checks.check_data_directory() / "up.lock") as lock:
        waits = False
        while not lock.take("just up"):
            if not waits:
                _tell(console, f"stack: waiting for the end of {lock.holder()} ...")
            waits = True
            time.sleep(0.1)
        yield


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
        started.remember()
        supervisor.start_daemon()
    try:
        _start_mongo(supervisor, say, console)
        for name in work:
            if name != "pipeline":
                supervisor.start(name)
    except Failure:
        if mine:
            supervisor.shutdown()
        raise
    archived = None
    if "ingest" in work:
        archived = _archive(supervisor, roots, say, console)
    if "pipeline" in work:
        _first_run(supervisor, say)
        supervisor.start("pipeline")
        _say_what_is_missing(archived, say)
    elif archived and archived.missing():
        say(f"Not in MongoDB yet: {archived.missing()}. `just status` says more.")


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


def _check_ports(work: tuple[str, ...], console: Console) -> None:
    # A supervisord that was killed left its pid file; its children end by
    # themselves, but a drain may take them some seconds.
    killed = (settings.home() / "supervisord.pid").exists()
    deadline = time.monotonic() + (ORPHAN_SECONDS if killed else 0)
    patience = _Patience()
    while True:
        try:
            return _check_ports_now(work)
        except Failure as failure:
            if time.monotonic() >= deadline:
                raise
            if patience.is_over():
                _tell(console, f"waiting for the end of a killed stack: {failure}")
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
    """Wait until the private MongoDB answers, however long it takes to recover."""
    watched = _Watched(supervisor)
    while True:
        try:
            return checks.check_mongo()
        except Failure:
            watched.check()
        _tell(console, "waiting for MongoDB to start ...")


def _archive(
    supervisor: Supervisor, roots: list[Path], say: Say, console: Console
) -> backfill.Progress | None:
    """Wait until all logs are in MongoDB; None where there are none."""
    total = backfill.tree_bytes(roots)
    names = ", ".join(str(root) for root in roots)
    if not total:
        say(f"No logs in {names} yet; they are archived as soon as they appear.")
        return None
    say(f"Archiving {names} ...")
    last, watched, patience = backfill.Progress(), _Watched(supervisor), _Patience()

    def check(now: backfill.Progress) -> None:
        watched.check(now.read_bytes + now.delivered)
        if not console.is_terminal and patience.is_over():
            _tell(console, f"waiting for {now.waits_for()}")

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
        for last in backfill.follow(backfill.buffer_path(), check):
            bar.update(
                task,
                description=visible(f"waiting for {last.waits_for()}"),
                completed=min(last.read_bytes, total),
                lines=f"{last.delivered:,} lines, {last.queued:,} waiting",
            )
    say(f"{last.delivered:,} lines of {last.files:,} files are in MongoDB.")
    return last


class _Watched:
    """Checks whether the started processes stay up."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._pids: dict[str, set[int]] = {}
        self._done = -1

    def check(self, done: int = 0) -> None:
        """Look at all processes.

        Args:
            done: Grows with their work: processes that make progress may restart often.

        Raises:
            Failure: A process does not stay up.
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
                    f" {self._supervisor.last_words(process.name)}",
                    f"Its log: just logs {process.name}",
                )


class _Patience:
    """Tells when to print that something is still waited for: less and less often."""

    def __init__(self) -> None:
        self._next = time.monotonic()
        self._pause = 3.0

    def is_over(self) -> bool:
        """Return whether it is time to print; then a longer pause begins."""
        if time.monotonic() < self._next:
            return False
        self._next, self._pause = time.monotonic() + self._pause, self._pause * 2
        self._pause = min(self._pause, 60.0)
        return True


def _tell(console: Console, text: str) -> None:
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


def _first_run(supervisor: Supervisor, say: Say) -> None:
    say("Building the lake, gold and the exports ...")
    command = [str(Path(sys.executable).parent / "pipeline"), "run"]
    with subprocess.Popen(command) as run:
        try:
            code = run.wait()
        except BaseException:
            run.terminate()  # it stops its stage, too; leaving the block waits for it
            raise
    if code:
        supervisor.start("pipeline")
        raise Failure(
            "the pipeline failed; the archive itself continues",
            "The reason stands above; it is tried again in the background."
            " See: just logs pipeline",
        )


def _say_what_is_missing(archived: backfill.Progress | None, say: Say) -> None:
    """Print what is not in gold, and how much.

    Raises:
        Failure: The tailer gave no sign of life, so the wait was given up.
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
    """Return what is not in gold, and how much; empty when everything is."""
    parts = state.behind_archive()
    if "ingest" in config.ROLES[config.role()]:
        now = backfill.snapshot(backfill.buffer_path())
        parts += [now.missing()] if now.missing() else []
    return ", ".join(parts)
