"""Test each promise of the product: a test for each row in docs/architecture.md.

One real stack serves all of them. `pipeline watch` rests after the first run, so that a
test decides what is published. Other tests look at each promise more closely.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from html import unescape
from pathlib import Path
from typing import Any

import forkserver
import psutil
import pytest
from cclake_common.sqlite import connect_readonly
from front_door import ROOT, Stack
from harness import BIN, PATIENCE, wait_for
from pymongo.errors import PyMongoError

PRICING = ROOT / "tests" / "fixtures" / "pricing"
SESSION = "11111111-1111-4111-8111-111111111111"
FRESH = "77777777-7777-4777-8777-777777777777"
REWRITTEN = "88888888-8888-4888-8888-888888888888"
KILLED = ("mongod", "flusher", "tailer", "buffer")
pytestmark = pytest.mark.slow


class Promised(Stack):
    """A stack with lines to append, and its tools."""

    written = 0

    def line(self, words: str, session: str = SESSION, at: str = "2026-08-09") -> bytes:
        """Return the next prompt of a session as a line of a log."""
        self.written += 1
        entry = {
            "type": "user",
            "uuid": f"99999999-9999-4999-8999-{self.written:012}",
            "parentUuid": None,
            "sessionId": session,
            "timestamp": f"{at}T10:11:12.000Z",
            "cwd": "/home/me/alpha",
            "version": "2.1.100",
            "isSidechain": False,
            "message": {"role": "user", "content": words},
        }
        return json.dumps(entry, separators=(",", ":")).encode() + b"\n"

    def path(self, session: str) -> Path:
        """Return the log file of a session."""
        return self.logs / "-home-me-alpha" / f"{session}.jsonl"

    def append(
        self, words: str, session: str = SESSION, at: str = "2026-08-09"
    ) -> None:
        """Append a prompt to the log of a session."""
        with self.path(session).open("ab") as file:
            file.write(self.line(words, session, at))

    def begin_tool(self, *command: str, **more: str) -> "subprocess.Popen[str]":
        """Start a tool of the stack."""
        return subprocess.Popen(
            [BIN / command[0], *command[1:]],
            env=self.environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tool(self, *command: str) -> str:
        """Run a tool to its end, which must be good; return what it printed."""
        running = self.begin_tool(*command, **forkserver.environment())
        out, err = running.communicate(timeout=PATIENCE)
        assert running.returncode == 0, out + err
        return out

    def archived(self) -> list[bytes]:
        """Return the ids of all documents of lines; none while MongoDB is away."""
        with suppress(PyMongoError):
            return [bytes(document["_id"]) for document in self.documents()]
        return []

    def wait_archived(self, lines: int) -> None:
        """Wait until so many lines are in MongoDB."""
        wait_for(lambda: len(self.archived()) >= lines, "the lines are in MongoDB")

    def rows(self) -> int:
        """Return the number of entries in the export."""
        export = self.home / "exports" / "conversations.db"
        with closing(connect_readonly(export)) as db:
            return int(db.execute("select count(*) from fct_messages").fetchone()[0])

    def publish(self) -> dict[str, dict[str, Any]]:
        """Run the pipeline; return its stages by name."""
        run = json.loads(self.tool("pipeline", "run", "--json"))
        return {stage["stage"]: stage for stage in run["stages"]}

    def published_rows(self) -> int:
        """Publish what earlier tests left; return the number of entries then."""
        self.publish()
        return self.rows()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Promised]:
    made = Promised(tmp_path_factory.mktemp("promises"))
    made.environment |= {"PIPELINE_QUIET_S": "86400", "PIPELINE_INTERVAL_S": "86400"}
    shutil.copytree(PRICING / "projects", made.logs)
    for path in made.logs.rglob("*.jsonl"):
        if not path.read_bytes().endswith(b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")
    try:
        made.tool("stack", "up")
        yield made
    finally:
        made.begin_tool("stack", "down").communicate(timeout=PATIENCE)
        made.kill_all()


def test_the_numbers_are_right(stack: Promised) -> None:
    expected = json.loads((PRICING / "expected.json").read_text())
    totals = json.loads(stack.tool("report", "daily", "--json"))["totals"]
    assert f"{totals['cost_usd']:.4f}" == expected["cost_usd"]
    for kind in ("input_tokens", "output_tokens"):
        assert totals[kind] == expected[kind]


def test_archived_lines_are_visible_at_once(stack: Promised) -> None:
    before = stack.rows()
    stack.append("an okapi crosses the page")
    stack.append("a brand new tapir", FRESH)
    stack.wait_archived(stack.lines())
    wait_for(lambda: "a brand new tapir" in stack.page("/"), "the list has the session")
    assert "an okapi crosses" in stack.page(f"/session/{SESSION}")
    assert "a brand new tapir" in stack.page(f"/session/{FRESH}")
    assert "<mark>okapi</mark>" in stack.page("/search?q=okapi")
    assert stack.rows() == before


@pytest.fixture(scope="module")
def killed(stack: Promised) -> Promised:
    """The stack after everything before the lake was killed while lines came."""
    for _ in range(2):
        for number in range(300):
            stack.append(f"written before a kill {number}")
        for process in stack.processes():
            with suppress(psutil.Error):
                words = " ".join(process.cmdline()[:3])
                if any(f"/{name}" in words for name in KILLED):
                    process.send_signal(signal.SIGKILL)
        stack.append("written after a kill")
        stack.wait_archived(stack.lines())
    return stack


def test_no_line_is_lost(killed: Promised) -> None:
    assert len(set(killed.archived())) == killed.lines()


def test_no_line_is_stored_twice(killed: Promised) -> None:
    ids = killed.archived()
    assert len(ids) == len(set(ids))
    with closing(connect_readonly(killed.home / "buffer.db")) as buffer:
        left = "select count(*) from pending_entries"
        wait_for(lambda: buffer.execute(left).fetchone() == (0,), "all is delivered")
    assert sorted(killed.archived()) == sorted(ids)


def test_all_bytes_can_be_restored(stack: Promised, tmp_path: Path) -> None:
    lines = len(stack.archived())
    first = stack.line("the first wording", REWRITTEN)
    stack.path(REWRITTEN).write_bytes(first)
    stack.append("soon deleted", FRESH)
    deleted = stack.path(FRESH).read_bytes()
    stack.wait_archived(lines + 2)
    stack.path(REWRITTEN).write_bytes(
        stack.line("the second, longer wording", REWRITTEN)
    )
    stack.path(FRESH).unlink()
    stack.wait_archived(lines + 3)
    for name, more in {"now": (), "before": ("--generation", "0")}.items():
        stack.tool("restore", "--out", str(tmp_path / name), *more)
    now, before = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.jsonl")}
        for name in ("now", "before")
    )
    for path in stack.logs.rglob("*.jsonl"):
        assert now[path.name] == path.read_bytes()
    assert now[f"{FRESH}.jsonl"] == deleted
    assert before[f"{REWRITTEN}.jsonl"] == first


def test_a_run_costs_only_what_is_new(stack: Promised) -> None:
    stack.publish()
    lines = len(stack.archived())
    stack.append("one more line")
    stack.wait_archived(lines + 1)
    stages = stack.publish()
    assert (stages["extract"]["rows"], stages["load"]["rows"]) == (1, 1)
    stages = stack.publish()
    assert {stage["detail"] for stage in stages.values()} == {"nothing new"}


def test_nothing_new_is_missed_and_no_clock_is_needed(stack: Promised) -> None:
    lines, before = len(stack.archived()), stack.published_rows()
    stack.append("a line from long ago", at="2001-01-01")
    os.utime(stack.path(SESSION), (0, 0))
    stack.append("a line from the future", at="2099-01-01")
    stack.wait_archived(lines + 2)
    stack.publish()
    assert stack.rows() == before + 2
    stack.tool("verify")


def test_a_reader_never_waits_and_never_locks_anybody_out(stack: Promised) -> None:
    lines, before = len(stack.archived()), stack.published_rows()
    stack.append("written while a reader reads")
    stack.wait_archived(lines + 1)
    export = stack.home / "exports" / "conversations.db"
    count = "select count(*) from fct_messages"
    with closing(connect_readonly(export, wait_s=0)) as reader:
        reader.execute("begin")
        assert reader.execute(count).fetchone() == (before,)
        stack.publish()
        assert reader.execute(count).fetchone() == (before,)
        reader.execute("commit")
        assert reader.execute(count).fetchone() == (before + 1,)


def test_two_extractors_do_no_harm(stack: Promised) -> None:
    lines, before = len(stack.archived()), stack.published_rows()
    for number in range(50):
        stack.append(f"wanted by two {number}")
    stack.wait_archived(lines + 50)
    both = [stack.begin_tool("extract", "run") for _ in range(2)]
    for extractor in both:
        _, err = extractor.communicate(timeout=PATIENCE)
        assert extractor.returncode == 0, err
    stack.publish()
    assert stack.rows() == before + 50


def test_text_of_logs_never_runs(stack: Promised) -> None:
    stack.append("<script>alert('hostile')</script> from a log")
    stack.wait_archived(stack.lines())
    link = re.compile(f'href="(/session/{SESSION}[^"]*at=[^"#]*)')
    wait_for(lambda: link.search(stack.page("/search?q=hostile")), "the hit")
    found = stack.page("/search?q=hostile")
    (place,) = set(link.findall(found))
    thread = stack.page(unescape(place))
    assert "hostile" in thread
    assert "<script>alert(" not in found + thread


def test_the_stores_have_the_same_content(stack: Promised) -> None:
    stack.publish()
    stack.tool("verify", "--full")


def test_conversations_stay_on_this_machine(stack: Promised) -> None:
    for process in stack.processes():
        with suppress(psutil.Error):
            for connection in process.net_connections(kind="inet"):
                for end in (connection.laddr, connection.raddr):
                    assert not end or end.ip in ("127.0.0.1", "::1"), process.cmdline()
    for path in (stack.home, *stack.home.rglob("*")):
        with suppress(FileNotFoundError):  # a journal that was just deleted
            assert path.is_symlink() or not path.stat().st_mode & 0o077, path


def test_log_files_are_never_changed(stack: Promised) -> None:
    """The files are those of this module; nothing else was created beside them."""
    names = {path.name for path in stack.logs.parent.rglob("*") if path.is_file()}
    ours = {path.name for path in (PRICING / "projects").rglob("*") if path.is_file()}
    assert names == ours | {f"{REWRITTEN}.jsonl"}
    for process in stack.processes():
        with suppress(psutil.Error):
            for file in process.open_files():
                assert str(stack.logs) not in file.path or file.mode == "r"
