"""`buffer append`: a checkpoint and its lines are one transaction."""

import base64
import contextlib
import fcntl
import functools
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE, wait_for

BUFFER = Path(sys.executable).parent / "buffer"
PATH = "-home-me/a.jsonl"


def key(path: str = PATH, host: str = "laptop") -> str:
    return blake2b(f"{host}\0{path}".encode(), digest_size=8).hexdigest()


def line(
    off: int, body: bytes, path: str = PATH, host: str = "laptop", gen: int = 0
) -> bytes:
    head: dict[str, Any] = {
        "kind": "line",
        "host": host,
        "path": path,
        "file": key(path, host),
    }
    head |= {"gen": gen, "off": off, "len": len(body) + 1}
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False)
    return text[:-1].encode() + b',"entry":' + body + b"}\n"


def raw(off: int, body: bytes, kind: str = "line", **more: Any) -> bytes:
    head: dict[str, Any] = {
        "kind": kind,
        "host": "laptop",
        "path": PATH,
        "file": key(),
        "gen": 0,
    }
    head |= {"off": off, "len": len(body) + (kind == "line")}
    head |= {"raw": base64.b64encode(body).decode()} | more
    return json.dumps(head, separators=(",", ":")).encode() + b"\n"


def checkpoint(
    off: int, path: str = PATH, host: str = "laptop", gen: int = 0, **more: Any
) -> bytes:
    record: dict[str, Any] = {"kind": "checkpoint", "host": host, "path": path}
    record |= {"root": "/r"}
    record |= {"file": key(path, host), "gen": gen, "off": off, "size": off}
    record |= {"state": "live"} | more
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def run(
    home: Path, *arguments: str, stdin: bytes = b""
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [BUFFER, *arguments],
        input=stdin,
        capture_output=True,
        env=os.environ | {"CCLAKE_HOME": str(home)},
        timeout=PATIENCE,
        check=False,
    )


def append(home: Path, *records: bytes, options: tuple[str, ...] = ()) -> str:
    done = run(home, "append", *options, stdin=b"".join(records))
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


def query(home: Path, sql: str) -> list[Any]:
    with sqlite3.connect(home / "buffer.db") as connection:
        rows = connection.execute(sql).fetchall()
    connection.close()
    return rows


def test_lines_enter_the_queue_with_their_verbatim_bytes(tmp_path: Path) -> None:
    odd = '{"b":1,  "a":"é\u2028","a":2}'.encode()
    append(
        tmp_path,
        line(0, odd),
        raw(len(odd) + 1, b"\0\xff broken", error="not JSON"),
        checkpoint(len(odd) + 1 + 10),
    )
    rows = query(tmp_path, "select seq, kind, off, len, body from queue order by seq")
    assert rows == [
        (1, "line", 0, len(odd) + 1, odd),
        (2, "line", len(odd) + 1, 10, b"\0\xff broken"),
    ]
    counters = Counter(dict(query(tmp_path, "select name, value from counters")))
    assert counters["lines_read"] == 2
    assert counters["bytes_read"] == len(odd) + 11


def test_a_chunk_enters_as_a_chunk(tmp_path: Path) -> None:
    append(tmp_path, raw(0, b"any\nbytes", kind="chunk"), checkpoint(9))
    rows = query(tmp_path, "select kind, len, body from queue")
    assert rows == [("chunk", 9, b"any\nbytes")]


def test_lines_without_their_checkpoint_are_dropped(tmp_path: Path) -> None:
    append(tmp_path, line(0, b"{}"), checkpoint(3), line(3, b'{"a":1}'))
    assert query(tmp_path, "select body from queue") == [(b"{}",)]
    assert query(tmp_path, "select off from files") == [(3,)]


def test_a_torn_last_record_is_dropped(tmp_path: Path) -> None:
    append(tmp_path, line(0, b"{}"), checkpoint(3), line(3, b"{}"), checkpoint(6)[:-5])
    assert query(tmp_path, "select off from files") == [(3,)]


def test_checkpoints_come_back_verbatim(tmp_path: Path) -> None:
    mine = checkpoint(3, mtime_ns=12345678901234567890, more={"of": ["ours"]})
    append(tmp_path, line(0, b"{}"), mine)
    append(tmp_path, line(0, b"{}", host="desk"), checkpoint(3, host="desk"))
    both = run(tmp_path, "checkpoints").stdout
    assert both == mine + checkpoint(3, host="desk"), "in the order of first sight"
    assert run(tmp_path, "checkpoints", "--host", "laptop").stdout == mine


def test_checkpoints_without_a_buffer_prints_and_creates_nothing(
    tmp_path: Path,
) -> None:
    done = run(tmp_path / "home", "checkpoints")
    assert (done.returncode, done.stdout) == (0, b"")
    assert not (tmp_path / "home").exists()


def test_unknown_records_and_keys_are_skipped_and_counted(tmp_path: Path) -> None:
    said = append(
        tmp_path,
        b'{"kind":"weather","text":"rain"}\n' * 2,
        line(0, b"{}").replace(b'"gen"', b'"new":[{}],"gen"'),
        checkpoint(3),
    )
    assert "2 records of unknown kind 'weather'" in said
    assert query(tmp_path, "select count(*) from queue") == [(1,)]


def test_stats_of_the_tailer_are_stored(tmp_path: Path) -> None:
    stats = {"kind": "stats", "host": "laptop", "behind_bytes": 7, "reasons": []}
    append(tmp_path, json.dumps(stats).encode() + b"\n")
    status = json.loads(run(tmp_path, "status", "--json").stdout)
    assert status["tailer"] == stats
    append(tmp_path)
    status = json.loads(run(tmp_path, "status", "--json").stdout)
    assert status["tailer"] is None, "another tailer has not reported anything yet"


@pytest.mark.parametrize(
    "garbage",
    [b"hello\n", b"{}\n", b'{"kind":"line"}\n', b"[1]\n", b"\xff\n", b"\n"],
)
def test_garbage_on_the_pipe_stops_append_before_the_next_checkpoint(
    tmp_path: Path, garbage: bytes
) -> None:
    done = run(tmp_path, "append", stdin=garbage + line(0, b"{}") + checkpoint(3))
    assert done.returncode == 1
    assert done.stderr.startswith(b"buffer: ")
    assert b"Traceback" not in done.stderr
    assert query(tmp_path, "select count(*) from files") == [(0,)]


GAPS = {
    "a line is missing at the start": (line(3, b"{}"), checkpoint(6)),
    "a line is missing in the middle": (line(0, b"{}"), line(6, b"{}"), checkpoint(9)),
    "a line is missing at the end": (line(0, b"{}"), checkpoint(6)),
    "all lines are missing": (checkpoint(6),),
    "a new generation starts behind 0": (line(3, b"{}", gen=1), checkpoint(6, gen=1)),
}


@pytest.mark.parametrize("records", GAPS.values(), ids=GAPS.keys())
def test_a_checkpoint_over_missing_bytes_is_refused(
    tmp_path: Path, records: tuple[bytes, ...]
) -> None:
    done = run(tmp_path, "append", stdin=b"".join(records))
    assert done.returncode == 75
    assert b"are missing" in done.stderr
    assert query(tmp_path, "select count(*) from files") == [(0,)]
    append(tmp_path, *records, options=("--allow-gaps",))
    assert query(tmp_path, "select count(*) from files") == [(1,)]


def test_reading_resumes_at_the_checkpoint(tmp_path: Path) -> None:
    append(tmp_path, line(0, b"{}"), checkpoint(3))
    append(tmp_path, line(3, b"{}"), checkpoint(6))
    append(tmp_path, checkpoint(6, state="gone"))
    append(tmp_path, line(0, b"[]", gen=1), checkpoint(3, gen=1))
    assert query(tmp_path, "select gen, off, state from files") == [(1, 3, "live")]
    assert query(tmp_path, "select gen, off from queue") == [(0, 0), (0, 3), (1, 0)]


def test_a_last_line_may_be_sent_again_with_its_newline(tmp_path: Path) -> None:
    unended = line(0, b"{}").replace(b'"len":3', b'"len":2')
    append(tmp_path, unended, checkpoint(2, unended=2))
    append(tmp_path, line(0, b"{}"), checkpoint(3))
    assert query(tmp_path, "select off, len from queue") == [(0, 2), (0, 3)]


def test_repeated_old_records_never_move_a_checkpoint_back(tmp_path: Path) -> None:
    append(tmp_path, line(0, b"{}"), line(3, b"{}"), checkpoint(6))
    append(tmp_path, line(0, b"{}"), checkpoint(3))
    assert query(tmp_path, "select off from files") == [(6,)]


def test_interleaved_files_wait_for_their_own_checkpoints(tmp_path: Path) -> None:
    other = "-home-me/b.jsonl"
    append(
        tmp_path,
        line(0, b'{"a":1}'),
        line(0, b'{"b":1}', path=other),
        checkpoint(8, path=other),
    )
    assert query(tmp_path, "select path, body from queue") == [(other, b'{"b":1}')]


def test_a_run_of_many_reads_and_a_line_of_many_megabytes(tmp_path: Path) -> None:
    body = b'{"a":"' + b"x" * 5_000_000 + b'"}'
    append(tmp_path, line(0, body), checkpoint(len(body) + 1))
    assert query(tmp_path, "select length(body) from queue") == [(len(body),)]


STARTED: list["subprocess.Popen[bytes]"] = []


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stderr):
            with contextlib.suppress(BrokenPipeError):
                assert stream is not None
                stream.close()


def start(home: Path, **environ: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [BUFFER, "append"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"CCLAKE_HOME": str(home)} | environ,
    )
    STARTED.append(process)
    assert process.stdin is not None
    # A test must be able to send although nobody reads.
    fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, 1 << 20)
    return process


def send(process: "subprocess.Popen[bytes]", *records: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(b"".join(records))
    process.stdin.flush()


def end(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.close()
    said = process.stderr.read().decode()
    return process.wait(PATIENCE), said


def queued(home: Path) -> int:
    if not (home / "buffer.db").exists():
        return -1
    return int(query(home, "select count(*) from queue")[0][0])


def test_a_commit_does_not_wait_for_more(tmp_path: Path) -> None:
    process = start(tmp_path)
    send(process, line(0, b"{}"), checkpoint(3))
    wait_for(lambda: queued(tmp_path) == 1, "committed while the pipe is open")
    assert end(process)[0] == 0


def test_sigterm_reads_to_the_end_of_the_pipe(tmp_path: Path) -> None:
    process = start(tmp_path)
    send(process, line(0, b"{}"), checkpoint(3))
    wait_for(lambda: queued(tmp_path) == 1, "it runs")
    process.send_signal(signal.SIGTERM)
    send(process, line(3, b"{}"), checkpoint(6), line(6, b"{}"))
    assert end(process)[0] == 0
    assert query(tmp_path, "select off from files") == [(6,)]


def test_sigterm_waits_only_for_a_limited_time(tmp_path: Path) -> None:
    process = start(tmp_path, CCLAKE_DRAIN_SECONDS="0.2")
    send(process, line(0, b"{}"), checkpoint(3))
    wait_for(lambda: queued(tmp_path) == 1, "it runs")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert "the tailer is still running" in end(process)[1]


def test_a_second_appender_of_a_host_waits_and_then_asks_to_restart(
    tmp_path: Path,
) -> None:
    first = start(tmp_path)
    send(first, line(0, b"{}"), checkpoint(3))
    wait_for(lambda: queued(tmp_path) == 1, "the first one has the lock")
    second = start(tmp_path)
    send(second, line(0, b"{}"), checkpoint(3))
    other = start(tmp_path)
    send(other, line(0, b"{}", host="desk"), checkpoint(3, host="desk"))
    wait_for(lambda: queued(tmp_path) == 2, "another host has its own lock")
    assert end(other)[0] == 0
    assert second.stderr is not None
    assert b"waiting as its standby" in second.stderr.readline()
    assert second.poll() is None
    first.kill()
    code, said = end(second)
    assert code == 75
    assert "taking over" in said
    assert queued(tmp_path) == 2, "what its tailer sent from old positions is not taken"


def test_at_the_size_limit_reading_pauses_and_nothing_is_dropped(
    tmp_path: Path,
) -> None:
    process = start(tmp_path, CCLAKE_BUFFER_MAX_MB="0.5")
    body = b'{"a":"' + b"x" * 200_000 + b'"}'
    size = len(body) + 1
    for number in range(4):
        send(process, line(number * size, body), checkpoint((number + 1) * size))
        wait_for(functools.partial(taken_or_paused, tmp_path, number))
    wait_for(lambda: paused(tmp_path) == "cap", "it says that it pauses")
    held = queued(tmp_path)
    assert held < 4
    assert deliver(tmp_path) == held
    wait_for(lambda: queued(tmp_path) == 4 - held, "it reads on")
    assert deliver(tmp_path) == 4 - held
    wait_for(lambda: paused(tmp_path) == "no", "it says that too")
    assert end(process)[0] == 0


def deliver(home: Path) -> int:
    with sqlite3.connect(home / "buffer.db", timeout=30) as connection:
        gone = connection.execute("delete from queue").rowcount
    connection.close()
    return gone


def taken_or_paused(home: Path, number: int) -> bool:
    return queued(home) > number or paused(home) == "cap"


def paused(home: Path) -> str:
    if not (home / "buffer.db").exists():
        return ""
    rows = query(home, "select value from meta where name = 'paused'")
    return str(rows[0][0]) if rows else ""


def test_reading_pauses_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    process = start(tmp_path, CCLAKE_MIN_FREE_MB="1e9")
    send(process, line(0, b"{}"), checkpoint(3))
    wait_for(lambda: queued(tmp_path) >= 0 and paused(tmp_path) == "free", "pauses")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 75


def damage(home: Path) -> None:
    append(
        home, *(line(n * 9, b'{"n":%02d}' % n) for n in range(99)), checkpoint(99 * 9)
    )
    with (home / "buffer.db").open("r+b") as file:
        file.seek(16384)
        file.write(os.urandom(16384 * 2))


def test_an_emptied_buffer_gives_its_space_back(tmp_path: Path) -> None:
    process = start(tmp_path)
    body = b'"' + b"x" * 1_000_000 + b'"'
    offset, records = 0, []
    for _ in range(12):
        records.append(line(offset, body))
        offset += len(body) + 1
    send(process, *records, checkpoint(offset))
    wait_for(lambda: queued(tmp_path) == 12, "the lines are stored")
    file = tmp_path / "buffer.db"
    deliver(tmp_path)
    wait_for(lambda: file.stat().st_size < 1 << 20, "the file is small again")
    assert end(process)[0] == 0


def test_a_damaged_buffer_is_set_aside_and_a_new_one_takes_its_place(
    tmp_path: Path,
) -> None:
    damage(tmp_path)
    done = run(tmp_path, "append", stdin=line(0, b"{}") + checkpoint(3))
    assert done.returncode == 75, "the tailer had the old positions"
    assert b"set aside" in done.stderr
    assert list(tmp_path.glob("buffer.db.damaged-*"))
    assert run(tmp_path, "checkpoints").stdout == b"", "all is read again"
    append(tmp_path, line(0, b"{}"), checkpoint(3))
    assert query(tmp_path, "select off from files") == [(3,)]


def test_a_file_that_is_not_a_database_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "buffer.db").write_bytes(b"not a database" * 1000)
    assert run(tmp_path, "checkpoints").stdout == b""
    assert run(tmp_path, "append").returncode == 75
    append(tmp_path, line(0, b"{}"), checkpoint(3))
    assert queued(tmp_path) == 1


def test_readable_lines_of_a_damaged_buffer_are_recovered(tmp_path: Path) -> None:
    body = b'{"a":"' + b"x" * 8000 + b'"}'
    size = len(body) + 1
    append(
        tmp_path, *(line(n * size, body) for n in range(100)), checkpoint(100 * size)
    )
    with (tmp_path / "buffer.db").open("r+b") as file:
        file.seek(16384 * 30)
        file.write(os.urandom(16384 * 3))
    assert run(tmp_path, "append").returncode == 75
    rows = query(tmp_path, "select gen, off, length(body) from queue")
    assert 80 <= len(rows) < 100
    assert {(row[0], row[2]) for row in rows} == {(-1, len(body))}
    offsets = [row[1] for row in rows]
    assert offsets == sorted(set(offsets))
    counters = dict(query(tmp_path, "select name, value from counters"))
    assert counters["lines_read"] == len(rows)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_buffer_that_is_deleted_while_in_use_is_a_clear_failure(
    tmp_path: Path, replaced: bool
) -> None:
    process = start(tmp_path)
    send(process, line(0, b"{}"), checkpoint(3))
    wait_for(lambda: queued(tmp_path) == 1, "it runs")
    (tmp_path / "buffer.db").unlink()
    if replaced:
        (tmp_path / "buffer.db").touch()
    send(process, line(3, b"{}"), checkpoint(6))
    code, said = end(process)
    assert code == 75
    assert "was deleted or replaced" in said


def test_the_file_is_private(tmp_path: Path) -> None:
    append(tmp_path / "home", line(0, b"{}"), checkpoint(3))
    mode = (tmp_path / "home" / "buffer.db").stat().st_mode
    assert mode & 0o077 == 0


def test_the_pragmas_hold(tmp_path: Path) -> None:
    append(tmp_path, line(0, b"{}"), checkpoint(3))
    assert query(tmp_path, "pragma page_size") == [(16384,)]
    assert query(tmp_path, "pragma journal_mode") == [("wal",)]
    assert query(tmp_path, "pragma auto_vacuum") == [(2,)]


def test_the_views_of_earlier_setups_still_work(tmp_path: Path) -> None:
    append(tmp_path, line(0, b"{}"), checkpoint(3))
    sql = "select count(*) from pending_entries where synced = 0"
    assert query(tmp_path, sql) == [(1,)]
    sql = "select file_path, position from file_positions"
    assert query(tmp_path, sql) == [(PATH, 3)]


@pytest.mark.parametrize("exists", [True, False])
def test_empty_results_are_reported_in_words(tmp_path: Path, exists: bool) -> None:
    environ = os.environ | {"SQLITE_PATH": str(tmp_path / "buffer.db")}

    def said(*words: str) -> str:
        command = [str(BUFFER), *words]
        done = subprocess.run(command, env=environ, input=b"", capture_output=True)
        assert done.returncode == 0
        return done.stdout.decode()

    if exists:
        said("append")
    assert said("peek") == "no lines are waiting\n"
    assert said("dead-letters", "list") == "no dead letters\n"
    assert said("peek", "--json") == said("dead-letters", "list", "--json") == ""


def test_a_database_of_another_program_is_left_alone_and_reported(
    tmp_path: Path,
) -> None:
    path = tmp_path / "buffer.db"
    with contextlib.closing(sqlite3.connect(path)) as foreign:
        foreign.execute("create table pending_entries (id integer, synced integer)")
    before = path.read_bytes()
    environ = os.environ | {"SQLITE_PATH": str(path)}
    done = subprocess.run(
        [BUFFER, "append"], env=environ, input=b"", capture_output=True
    )
    assert done.returncode == 1
    assert b"another program created the file, move it away" in done.stderr
    assert path.read_bytes() == before
