"""Lock files, SQLite files of others, and points where a test kills a process."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from cclake_common.lock import exclusive, hold, try_lock
from cclake_common.sqlite import (
    KEYS_PER_QUERY,
    connect_readonly,
    file_identity,
    rows_with_keys,
)
from cclake_common.stop import Stop

HOLD = """
import sys
from pathlib import Path
from cclake_common.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold a lock file in another process."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        yield other
        other.kill()


def test_a_lock_is_refused_while_another_process_has_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path) as other:
        with pytest.raises(BlockingIOError), exclusive(path, wait=False):
            pass
        other.kill()  # the kernel releases it
        other.wait()
        with exclusive(path, wait=False), path.open() as again:
            assert not try_lock(again.fileno())
    assert path.stat().st_size == 0


@pytest.fixture
def stop() -> Iterator[Stop]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield Stop()
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_standby_waits_until_the_other_process_ends(
    tmp_path: Path, stop: Stop
) -> None:
    path = tmp_path / "lock"
    with held(path) as other:
        assert hold(path, stop, other.kill)


def test_a_standby_that_is_asked_to_stop_leaves(tmp_path: Path, stop: Stop) -> None:
    path = tmp_path / "lock"
    with held(path):
        assert not hold(path, stop, lambda: os.kill(os.getpid(), 15))


def test_a_database_is_read_and_not_written_or_created(tmp_path: Path) -> None:
    path = tmp_path / "a ?#%.db"
    with pytest.raises(sqlite3.OperationalError), closing(connect_readonly(path)) as db:
        db.execute("select 1 from sqlite_schema")
    assert not path.exists()
    with closing(sqlite3.connect(path)) as db:
        db.execute("create table t (n)")
    with closing(connect_readonly(path)) as db:
        assert db.execute("select count(*) from t").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("insert into t values (1)")


def test_a_file_keeps_its_identity_until_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert file_identity(path) is None
    path.write_text("one")
    first = file_identity(path)
    path.write_text("two")
    assert file_identity(path) == first
    new = tmp_path / "new"
    new.write_text("three")
    new.replace(path)
    assert file_identity(path) not in (None, first)


@pytest.mark.parametrize(("named", "code"), [("here", 137), ("there", 0), (None, 0)])
def test_a_process_dies_at_the_point_that_is_named(
    named: str | None, code: int
) -> None:
    script = "from cclake_common.failpoint import failpoint; failpoint('here')"
    fault = {"CCLAKE_FAULT": named} if named else {}
    ended = subprocess.run([sys.executable, "-c", script], env=os.environ | fault)
    assert ended.returncode == code


def test_more_keys_than_a_query_may_have_are_all_found() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("create table rows (key, side)")
        keys = [str(number) for number in range(2 * KEYS_PER_QUERY + 1)]
        rows = [(key, side) for key in keys for side in ("a", "b")]
        db.executemany("insert into rows values (?, ?)", rows)
        sql = "select key from rows where side = ? and key in ({})"
        found = rows_with_keys(db, sql, keys[1:], "a")
        assert sorted(row[0] for row in found) == sorted(keys[1:])
        assert list(rows_with_keys(db, sql, [], "a")) == []
