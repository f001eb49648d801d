"""Fixtures for every test: a clean environment and a real MongoDB."""

import gc
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import forkserver
import pytest
from chainfixtures import bronze, pricing  # noqa: F401, every test may use them
from harness import BIN, PATIENCE, Mongod, connect
from hypothesis import HealthCheck, settings

import datasette  # noqa: F401, before pytest takes our folder of this name for it

# How long one example takes says nothing on a busy machine.
settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")
ROOT = Path(__file__).parent
SETTINGS = (
    "CCLAKE_", "CLAUDE_", "MONGO", "SQLITE_PATH", "SYNC_INTERVAL_MS", "BATCH_SIZE",
    "HEALTH_PORT", "WEB_PORT", "DUCKDB_PATH", "DBT_", "ICEBERG_", "EXPORT_DIR",
    "PIPELINE_", "METABASE_", "PREFECT_",
)  # fmt: skip

# What a tool may handle in its own way.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1)

# What takes a minute and more comes first, so that no worker is alone at the end.
LONGEST = (
    "tests/lake/test_pipeline_", "tests/cases/", "tests/gold/", "tests/lake/",
    "tests/test_front_door", "tests/test_promises", "tests/web/test_web_browser",
    "tests/ingest/test_live_", "tests/ingest/test_verify_", "tools/publish/",
    "tools/backup/", "tools/verify/",
)  # fmt: skip


# What makes a test slow: fixtures, marks, and folders whose tests start processes.
HEAVY_FIXTURES = {"mongod", "mongo_db", "bronze", "pricing", "web", "browser"}
HEAVY_MARKS = ("slow", "fault", "browser")
HEAVY = (
    "tests/cases/", "tests/contracts/", "tests/gold/", "tests/ingest/", "tests/lake/",
    "tests/web/", "tests/test_front_door", "tests/test_habits", "tests/test_harness",
    "tests/test_promises", "tests/test_wheels", "tools/publish/",
    "tools/buffer/tests/test_append", "tools/pipeline/tests/test_pipeline_dbt_worker",
    "tools/recall/", "tools/stack/tests/test_private_mongod",
)  # fmt: skip


# Their tools are forked by one process, unless a test kills them (`forkserver.py`).
FORKED = (
    "tests/cases/", "tests/gold/", "tests/lake/", "tests/web/", "tests/contracts/",
    "tests/ingest/test_verify_", "tests/test_habits", "metabase/",
    *(f"tools/{name}/" for name in (
        "backup", "common", "extract", "flusher", "lake", "load", "pipeline", "publish",
        "recall", "report", "restore", "verify",
    )),
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Pass the address of the fork server to all workers; let signals end tools.

    A shell ignores SIGINT for what it starts with `&`, and `nohup` SIGHUP; the tools
    that tests start would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if not hasattr(config, "workerinput"):
        folder = forkserver.prepare()
        config.add_cleanup(lambda: shutil.rmtree(folder))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--fast`."""
    parser.addoption(
        "--fast", action="store_true", help="only what needs no MongoDB and no browser"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the folders of heavy tests with `--fast`: to import them takes seconds."""
    name = f"{collection_path.relative_to(ROOT).as_posix()}/"
    return True if config.getoption("--fast") and name.startswith(HEAVY) else None


def is_heavy(item: pytest.Item) -> bool:
    """Return whether a test starts MongoDB, dbt, a browser or many processes."""
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(fixtures & HEAVY_FIXTURES) or any(
        item.get_closest_marker(mark) for mark in HEAVY_MARKS
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Begin with the longest files; end a test that hangs after its own patience."""
    if config.getoption("--fast"):
        config.hook.pytest_deselected(items=[i for i in items if is_heavy(i)])
        items[:] = [item for item in items if not is_heavy(item)]

    def place(item: pytest.Item) -> int:
        of = (at for at, name in enumerate(LONGEST) if item.nodeid.startswith(name))
        return next(of, len(LONGEST))

    items.sort(key=place)
    for item in items:
        if item.get_closest_marker("timeout"):
            continue
        item.add_marker(pytest.mark.timeout(3 * PATIENCE))


@pytest.fixture(autouse=True)
def clean_environ(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No setting of the caller leaks in, and nothing of a test leaks out."""
    for name in os.environ:
        if name.startswith(SETTINGS) and name != "MONGOD":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / "cclake"))
    monkeypatch.setenv("CCLAKE_HOST", "testhost")
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    # Where it is set, each process would compile all our modules again.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    item = request.node
    if item.nodeid.startswith(FORKED) and not item.get_closest_marker("fault"):
        for name, value in forkserver.environment().items():
            monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def same_process() -> Iterator[None]:
    """Restore what tools that run within a test set for their whole process."""
    umask = os.umask(0o022)
    os.umask(umask)
    folder, depth, garbage = Path.cwd(), sys.getrecursionlimit(), gc.get_threshold()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    os.umask(umask)
    os.chdir(folder)
    sys.setrecursionlimit(depth)
    gc.set_threshold(*garbage)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """One real mongod for the session; do not kill it: start your own for that."""
    server = Mongod(tmp_path_factory.mktemp("mongod")).start()
    yield server
    server.kill()


@pytest.fixture
def mongo_db(mongod: Mongod, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a fresh database; MONGO_URI and MONGO_DB point to it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("MONGO_URI", mongod.uri)
    monkeypatch.setenv("MONGO_DB", name)
    yield name
    with connect(mongod.uri) as client:
        client.drop_database(name)
