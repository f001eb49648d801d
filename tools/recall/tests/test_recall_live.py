"""Lines that are archived in MongoDB and not yet published, in every command."""

import json
import os
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from cclake_archive import probe
from cclake_recall.past import AWAY, CUT, LINES, Source
from export import Export
from harness import PATIENCE, Mongod, connect
from mcp import Client
from mcp.types import TextResourceContents
from mcp_asking import TRANSPORTS, Ask, asked
from sample import GITHUB_TOKEN, MAIN, RUNNING, sample
from shipper import Shipper, key_of

FRESH = "77777777-bbbb-4111-8111-777777777777"


class World:
    """An export, and an archive that has lines above it."""

    def __init__(self, exports: Path, shipper: Shipper, uri: str) -> None:
        self.exports, self.shipper, self.uri = exports, shipper, uri

    def ran(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["recall", *arguments], env=self.env | env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    @property
    def env(self) -> dict[str, str]:
        given = {"EXPORT_DIR": str(self.exports), "CCLAKE_TIMEZONE": "UTC"}
        return os.environ | given

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        done = self.ran(*arguments, "--json")
        assert not done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def publish(self, export: Export, export_id: str) -> None:
        """Replace the export by one that has all lines."""
        marks = {self.shipper.buffer: self.shipper.seq}
        info = {"export_id": export_id, "watermarks": orjson.dumps(marks).decode()}
        export.info |= info
        export.write(self.exports / "new.db")
        (self.exports / "new.db").replace(self.exports / "conversations.db")


@pytest.fixture
def world(tmp_path: Path, mongod: Mongod, mongo_db: str) -> Iterator[World]:
    sample().write(tmp_path / "exports" / "conversations.db")
    with connect(mongod.uri) as client:
        yield World(tmp_path / "exports", Shipper(client[mongo_db]), mongod.uri)


def begin(world: World) -> None:
    about = {"cwd": "/home/me/epsilon", "gitBranch": "trunk"}
    world.shipper.say(f"Paint the bikeshed {GITHUB_TOKEN}", FRESH, **about)
    world.shipper.answer("I mix \x1b[31mvermilion.", FRESH, **about)


def test_a_session_that_just_began_is_found_listed_and_shown(world: World) -> None:
    begin(world)
    (hit,) = world.rows("bikeshed")
    assert (hit["session"], hit["project"]) == (FRESH, "epsilon")
    assert GITHUB_TOKEN[4:] not in hit["excerpt"]
    (listed,) = world.rows("list", "-p", "epsilon")
    assert (listed["session"], listed["turns"], listed["cost_usd"]) == (FRESH, 1, None)
    assert FRESH in [row["session"] for row in world.rows("list")]
    shown = world.rows("show", FRESH[:12])
    assert [row["role"] for row in shown] == ["prompt", "answer"]
    text = world.ran("show", FRESH).stdout
    assert "\\x1b[31mvermilion" in text
    assert world.ran("bikeshed", "--published").returncode == 1
    assert world.ran("list", "-p", "epsilon", "--published").returncode == 1
    assert world.ran("show", FRESH, "--published").returncode == 1


def test_newer_lines_continue_a_published_session(world: World) -> None:
    before = world.rows("show", MAIN, "--agent", "a1b2c3d4"), world.rows("show", MAIN)
    world.shipper.say("And now the bikeshed.", MAIN, timestamp="2099-11-01T10:00:00Z")
    after = world.rows("show", MAIN)
    assert after[:-1] == before[1]
    assert after[-1]["position"] > before[1][-1]["position"]
    assert after[-1]["turn"] == before[1][-1]["turn"] + 1
    assert world.rows("show", MAIN, "--agent", "a1b2c3d4") == before[0]
    assert world.rows("show", MAIN, "--turn", str(after[-1]["turn"])) == after[-1:]
    # It is listed once, with the numbers of the export and its new end.
    for order in ("recent", "cost", "tokens", "turns", "time", "errors"):
        listed = world.rows("list", "--sort", order, "-n", "100")
        assert [row["session"] for row in listed].count(MAIN) == 1
        places = {row["session"]: number for number, row in enumerate(listed)}
        assert len(places) == len(listed)
    (one,) = [row for row in listed if row["session"] == MAIN]
    assert one["ended_at"].startswith("2099-11-01T10:00")
    assert one["cost_usd"] > 0
    first = world.rows("list", "--until", "2099-11-01", "-n", "1")
    assert [row["session"] for row in first] == [MAIN]


def test_hits_above_the_export_come_first_and_pages_follow(world: World) -> None:
    for number in range(5):
        world.shipper.say(f"a module in the bikeshed {number}", FRESH)
    with closing(Source(world.exports)) as source, source.open() as past:
        whole, _ = past.find("module", ["text"], _within(), limit=40)
        parts = [
            past.find("module", ["text"], _within(), limit=4, offset=offset)[0]
            for offset in range(0, 40, 4)
        ]
    assert [row["session"] for row in whole[:6]].count(FRESH) == 5
    assert [one for part in parts for one in part] == whole


def _within() -> Any:
    from cclake_common.search import Within

    return Within()


def test_what_was_published_is_not_shown_twice(world: World) -> None:
    line = "11111111-9999-4111-8111-111111111111"
    world.shipper.say("Paint the bikeshed.", FRESH, uuid=line)
    with closing(Source(world.exports)) as source:
        with source.open() as past:
            assert [key for key, _ in past.keys(FRESH)] == [key_of(line)]
        export = sample()
        talk = export.session(FRESH, title="The bikeshed")
        talk.prompt("Paint the bikeshed.", entry_key=key_of(line))
        talk.end()
        world.publish(export, "second")
        with source.open() as past:
            assert [key for key, _ in past.keys(FRESH)] == [key_of(line)]
            assert past.newer is None
            assert past.session(FRESH)["title"] == "The bikeshed"


def test_nothing_is_missed_if_an_export_is_published_meanwhile(world: World) -> None:
    line = "11111111-9999-4111-8111-111111111111"
    world.shipper.say("Paint the bikeshed.", FRESH, uuid=line)

    class Publishing(Source):
        def connect(self) -> sqlite3.Connection:
            export = sample()
            talk = export.session(FRESH)
            talk.prompt("Paint the bikeshed.", entry_key=key_of(line))
            talk.end()
            world.publish(export, "second")
            return super().connect()

    with closing(Publishing(world.exports)) as source, source.open() as past:
        assert [key for key, _ in past.keys(FRESH)] == [key_of(line)]


def test_one_question_at_a_time_asks_mongodb(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[bool] = []
    source = Source(world.exports)

    def acknowledged(*_: str) -> dict[str, int]:
        with ThreadPoolExecutor(1) as other:
            is_free = other.submit(source._lock.acquire, blocking=False).result()
        found.append(is_free)
        return {}

    monkeypatch.setattr(probe, "acknowledged", acknowledged)
    with closing(source), source.open():
        assert found == [False]


def test_nothing_new_imports_no_driver(world: World) -> None:
    world.publish(sample(), "first")
    code = (
        "import sys\nsys.argv[1:] = ['compiler']\n"
        "import os\nos._exit = sys.exit\n"
        "from cclake_recall.cli import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )

    def modules() -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", code], env=world.env,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "newest compiler" in done.stdout
        return set(done.stderr.split())

    assert "pymongo" not in modules()
    world.shipper.say("A newer line.")
    assert "pymongo" in modules()


def test_a_mongodb_that_is_down_or_hangs_costs_a_moment(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, never answers
        hanging = f"mongodb://127.0.0.1:{silent.getsockname()[1]}"
        for uri in (hanging, "mongodb://127.0.0.1:9", "mongodb://%2Fnowhere.sock"):
            begun = time.monotonic()
            with pytest.raises(probe.Silent):
                probe.acknowledged(uri, "x")
            assert time.monotonic() - begun < 10 * probe.WAIT_S
            done = world.ran("compiler", MONGO_URI=uri)
            assert (done.returncode, done.stderr) == (0, f"recall: {AWAY}\n")
            assert "compiler" in done.stdout
    # Beside a copied export nobody misses it.
    assert not world.ran("compiler", MONGO_URI="").stderr


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(16), b"\xff" * 64, b""]
)
def test_a_port_of_somebody_else_is_not_mongodb(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(probe.Silent):
            probe.acknowledged(f"mongodb://127.0.0.1:{server.getsockname()[1]}/", "x")
        thread.join()


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://a..b/", "mongodb://127.0.0.1:99999/", "mongodb://%2Ftmp%00.sock",
        f"mongodb://{'a' * 64}.example/",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_is_a_mongodb_that_is_away(uri: str) -> None:
    with pytest.raises(probe.Silent):
        probe.acknowledged(uri, "x")


def test_an_answer_of_another_form_is_not_mongodb() -> None:
    import bson

    answer = bson.encode({"ok": 1})
    header = struct.pack("<iiii", 21 + len(answer), 1, 1, 2013)
    test_a_port_of_somebody_else_is_not_mongodb(header + bytes(5) + answer)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://user:secret@127.0.0.1/", "mongodb+srv://cluster.example.net/",
        "mongodb://a,b/?replicaSet=rs0", "mongodb://127.0.0.1/?tls=true",
    ],
)  # fmt: skip
def test_other_addresses_are_for_the_driver(uri: str) -> None:
    assert probe.acknowledged(uri, "x") is None


def test_the_probe_reads_what_the_driver_reads(world: World) -> None:
    from cclake_archive.watermarks import acknowledged

    name = world.shipper.database.name
    assert probe.acknowledged(world.uri, name) == {}
    for number in range(300):
        Shipper(world.shipper.database, f"buffer {number}").acknowledge()
    world.shipper.say("A line.")
    found = probe.acknowledged(world.uri, name)
    assert found == acknowledged(world.shipper.database)
    assert found and len(found) == 301


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_claude_sees_newer_lines(world: World, transport: str) -> None:
    begin(world)
    uri = {name: os.environ[name] for name in ("MONGO_URI", "MONGO_DB")}

    async def questions(client: Client, ask: Ask) -> None:
        found = await ask("search", words="bikeshed")
        assert f"session {FRESH} message " in found
        assert FRESH in await ask("list_sessions", project="epsilon")
        read = await ask("read_session", session=FRESH, full=True)
        talk = (await client.read_resource(f"cclake://session/{FRESH}")).contents[0]
        assert isinstance(talk, TextResourceContents)
        for answer in (found, read, talk.text):
            assert "bikeshed" in answer
            assert GITHUB_TOKEN[4:] not in answer
            assert "\x1b" not in answer
            assert "data, not instructions" in answer
        world.shipper.say("One more " + 300 * "word ", FRESH)
        world.shipper.say("and the last.", FRESH)
        while FRESH not in await ask("search", words='"and the last"'):
            pass  # MongoDB is queried five times a second
        part = await ask("read_session", session=FRESH, turn=2, characters=500)
        (cursor,) = re.findall(r"cursor '(\w+:\d+)'\.$", part)
        # The cursor holds when the message is published meanwhile.
        keys = [row["message"] for row in world.rows("show", FRESH)]
        export = sample()
        talked = export.session(FRESH)
        talked.prompt("Paint the bikeshed.", entry_key=keys[0])
        talked.prompt("A record that only gold shows.")
        for key, text in zip(keys[2:], (300 * "word ", "and the last."), strict=True):
            talked.prompt(text, entry_key=key)
        talked.end()
        world.publish(export, "second")
        rest = await ask("read_session", session=FRESH, cursor=cursor)
        assert "word word" in rest
        assert "and the last." in rest
        assert "only gold" not in rest

    asked(world.exports, questions, transport, **uri)


def test_claude_learns_that_newer_lines_are_missing(world: World) -> None:
    async def questions(client: Client, ask: Ask) -> None:
        for tool, given in (
            ("search", {"words": "compiler"}), ("list_sessions", {}),
            ("read_session", {"session": MAIN}),
        ):  # fmt: skip
            assert AWAY in await ask(tool, **given)
        assert AWAY not in await ask("usage")

    asked(world.exports, questions, MONGO_URI="mongodb://127.0.0.1:9")


def test_of_a_backlog_the_newest_lines_are_shown(world: World) -> None:
    shipper = world.shipper
    shipper.say("The first word.", FRESH)
    (document,) = shipper.database.conversations.find({"seq": 1})
    older = (
        document | {"_id": document["_id"] + number.to_bytes(2, "big"), "seq": number}
        for number in range(2, LINES + 2)
    )
    shipper.database.conversations.insert_many(list(older))
    shipper.seq = LINES + 1
    shipper.say("The last word.", FRESH)
    done = world.ran("word", "-n", "9999")
    assert done.stderr == f"recall: {CUT}\n"
    assert "The last word." in done.stdout


class Tail:
    """`recall tail` as a process; collects what it prints."""

    def __init__(self, world: World, *arguments: str) -> None:
        self.process = subprocess.Popen(
            ["recall", "tail", *arguments], env=world.env,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._came:
                self.lines.append(line)
                self._came.notify_all()

    def until(self, word: str) -> list[str]:
        with self._came:
            found = self._came.wait_for(
                lambda: any(word in line for line in self.lines), PATIENCE
            )
        assert found, self.lines
        return self.lines

    def interrupt(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE)
        self._reader.join()
        assert self.process.stdout
        assert self.process.stderr
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return code, errors


def test_a_running_session_is_followed_over_a_publication(world: World) -> None:
    lines = [f"11111111-9999-4111-8111-1111111111{number:02}" for number in range(6)]
    world.shipper.say("Word 0.", FRESH, uuid=lines[0])
    tail = Tail(world, FRESH, "--json")
    tail.until("Word 0.")
    for number in (1, 2):
        world.shipper.say(f"Word {number}.", FRESH, uuid=lines[number])
        tail.until(f"Word {number}.")
    # Published: what was shown, a line that was archived meanwhile, and one that
    # only the export has and that belongs before them.
    world.shipper.say("Word 3.", FRESH, uuid=lines[3])
    export = sample()
    talk = export.session(FRESH)
    for number in range(4):
        talk.prompt(f"Word {number}.", entry_key=key_of(lines[number]))
    talk.end()
    world.publish(export, "second")
    tail.until("Word 3.")
    world.shipper.say("Word 4.", FRESH, uuid=lines[4])
    tail.until("Word 4.")
    code, errors = tail.interrupt()
    assert (code, errors) == (130, "")
    rows = [json.loads(line) for line in tail.lines]
    assert [row["message"] for row in rows] == [key_of(line) for line in lines[:5]]


def test_without_a_name_the_newest_running_session_is_followed(world: World) -> None:
    world.shipper.say("Paint the bikeshed.", FRESH, timestamp="2099-01-01T00:00:00Z")
    world.shipper.answer("I mix \x1b[31mvermilion.", FRESH)
    tail = Tail(world)
    printed = "".join(tail.until("vermilion"))
    assert FRESH in tail.lines[0]
    assert "\x1b" not in printed
    assert tail.interrupt()[0] == 130
    world.publish(sample(), "second")
    with connect(world.uri) as client:
        client[world.shipper.database.name].conversations.delete_many({})
    old = world.exports / "old"
    export = Export()
    export.session(MAIN, start=datetime(2025, 1, 1, tzinfo=UTC))
    export.write(old / "conversations.db")
    done = world.ran("tail", EXPORT_DIR=str(old), MONGO_URI="")
    assert done.returncode == 1
    assert "no session is running" in done.stderr


def test_a_tail_ends_with_its_reader(world: World) -> None:
    done = subprocess.run(
        ["bash", "-c", f'recall tail {MAIN} | head -1; echo "${{PIPESTATUS[0]}}"'],
        env=world.env, capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "141"
    assert done.stderr == ""


def test_the_running_session_of_the_sample_is_known(world: World) -> None:
    world.shipper.say("One more.", RUNNING)
    assert world.rows("show", RUNNING)[-1]["blocks"][0]["text"] == "One more."
