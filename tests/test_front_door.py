"""The README's first command, as a new user runs it, with all real parts."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cclake_backup.cli import app as backup
from cclake_buffer.cli import app as buffer
from cclake_extract.cli import app as extract
from cclake_flusher.cli import app as flusher
from cclake_pipeline.cli import app as pipeline
from cclake_report.commands import app as report
from cclake_restore.cli import app as restore
from cclake_stack.cli import app as stacking
from cclake_verify.cli import app as verify
from front_door import ROOT, Stack
from harness import BIN, PATIENCE, free_port, wait_for
from typer.testing import CliRunner

PRICING = ROOT / "tests" / "fixtures" / "pricing" / "projects"
SESSION = "-home-me-alpha/11111111-1111-4111-8111-111111111111.jsonl"


# Sets the clipboard, turns red, turns the text around, and hides a part of itself.
HOSTILE = "\x1b]52;c;eA==\x07\x9b31m\u202e\u200b"
SEEN = r"\x1b]52;c;eA==\x07\x9b31m\u202e\u200b"
CONTROLS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
EVIL = "44444444-4444-4444-8444-444444444444"
TERMINAL = {
    "report daily": (report, True),
    "report weekly": (report, True),
    "report session": (report, True),
    "report blocks": (report, True),
    "report models": (report, True),
    "report projects": (report, True),
    "report tools": (report, True),
    "report errors": (report, True),
    "report explain msg_evil": (report, True),
    "stack status": (stacking, True),
    "stack config": (stacking, True),
    "stack logs": (stacking, False),
    "stack logs evil": (stacking, True),
    "pipeline runs": (pipeline, False),
    "verify": (verify, False),  # it names what does not hold
    "restore --dry-run": (restore, True),
    "backup save {tmp}": (backup, False),
    "extract table info": (extract, False),
    "extract dead-letters": (extract, False),
    "buffer status": (buffer, False),
    "buffer dead-letters list": (buffer, False),
    "flusher health": (flusher, False),
}
"""Commands that print what others wrote, and whether they print names of it."""


def write_hostile_session(logs: Path) -> None:
    base: dict[str, Any] = {
        "sessionId": EVIL,
        "cwd": f"/home/me/evil{HOSTILE}",
        "version": f"9.9{HOSTILE}",
        "isSidechain": False,
        f"field{HOSTILE}": 1,
    }
    call = {"type": "tool_use", "id": "t1", "name": f"Tool{HOSTILE}", "input": {}}
    wrong = f"Error: evil{HOSTILE}"
    result = {"type": "tool_result", "tool_use_id": "t1", "content": wrong}
    usage = {"input_tokens": 1, "output_tokens": 2}
    answer = {
        "id": "msg_evil",
        "role": "assistant",
        "model": f"glm-evil{HOSTILE}",
        "content": [call],
        "usage": usage,
        "stop_reason": "tool_use",
    }
    says: list[tuple[str, dict[str, Any]]] = [
        ("user", {"role": "user", "content": f"a title{HOSTILE} of it"}),
        ("assistant", answer),
        ("user", {"role": "user", "content": [result | {"is_error": True}]}),
    ]
    folder = logs / f"-home-me-evil{HOSTILE}"
    folder.mkdir()
    lines = [
        base
        | {
            "type": kind,
            "uuid": f"44444444-4444-4444-8444-44444444444{number}",
            "parentUuid": None,
            "timestamp": f"2026-08-09T10:00:0{number}.000Z",
            "message": message,
        }
        for number, (kind, message) in enumerate(says)
    ]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (folder / f"{EVIL}.jsonl").write_text(text)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("front-door"))
    made.environment["CCLAKE_HOST"] = f"testhost{HOSTILE}"
    shutil.copytree(PRICING, made.logs)
    write_hostile_session(made.logs)
    yield made
    made.just("down")
    made.kill_all()


class Ups:
    """Two `just up` at once, while the buffer is kept from its work for a while."""

    def __init__(self, stack: Stack) -> None:
        stack.home.mkdir(mode=0o700)
        with (stack.home / "buffer.db.setup.lock").open("w") as slow:
            fcntl.flock(slow, fcntl.LOCK_EX)
            self.first, self.second = stack.begin("up"), None
            self.waited = self.first.until("waiting for the tailer")
            self.second = stack.begin("up")
            self.queued = self.second.until("waiting for the end of")
        self.first.end()
        self.second.end()


@pytest.fixture(scope="module")
def ups(stack: Stack) -> Ups:
    return Ups(stack)


@pytest.fixture(scope="module")
def running(stack: Stack, ups: Ups) -> Stack:
    assert ups.first.returncode == 0, ups.first.out + ups.first.err
    return stack


@pytest.mark.slow
def test_up_brings_the_logs_as_far_as_the_pages(running: Stack, ups: Ups) -> None:
    assert f"http://127.0.0.1:{running.ports['WEB_PORT']}/" in ups.first.out
    assert "27 lines of 5 files are in MongoDB." in ups.first.out
    assert len(running.documents()) == running.lines() == 27
    page = running.page("/")
    assert "11111111-1111-4111-8111-111111111111" in page
    session = running.page("/session/11111111-1111-4111-8111-111111111111")
    assert "opus 4.6" in session


@pytest.mark.slow
def test_up_says_what_it_waits_for_until_it_has_come(ups: Ups) -> None:
    assert "waiting for the tailer, which is scanning the files" in ups.waited
    assert "Not in gold yet" not in ups.first.out


@pytest.mark.slow
def test_a_second_up_waits_for_the_first_and_says_that_all_runs(
    running: Stack, ups: Ups
) -> None:
    assert ups.second
    assert "stack: waiting for the end of `just up` (process " in ups.queued
    assert "cclake is already running." in ups.second.out
    assert ups.second.returncode == 0


@pytest.mark.slow
def test_status_is_well_and_names_every_process(running: Stack) -> None:
    wait_for(lambda: running.just("status").returncode == 0, "status is well")
    found = json.loads(running.just("status", "--json").stdout)
    names = {process["name"] for process in found["processes"]}
    assert names == {"mongod", "flusher", "ingest", "pipeline", "web"}
    assert found["ingestion"]["queued"] == 0
    assert found["export"]["published_at"]


@pytest.mark.slow
def test_a_new_line_is_in_mongodb_soon_and_on_the_page_after_a_run(
    running: Stack,
) -> None:
    path = running.logs / SESSION
    words = "a marmot asks for the newest page"
    entry = {
        "type": "user",
        "uuid": "99999999-9999-4999-8999-999999999999",
        "parentUuid": None,
        "sessionId": path.stem,
        "timestamp": "2026-08-09T10:11:12.000Z",
        "cwd": "/home/me/alpha",
        "version": "2.1.100",
        "isSidechain": False,
        "message": {"role": "user", "content": words},
    }
    before = len(running.documents())
    torn = 0 if path.read_bytes().endswith(b"\n") else 1
    with path.open("ab") as file:
        file.write(
            b"\n" * torn + json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        )
    wait_for(lambda: len(running.documents()) == before + 1 + torn, "in MongoDB")
    assert running.just("pipeline").returncode == 0
    wait_for(lambda: words in running.page(f"/session/{path.stem}"), "on the page")


@pytest.mark.slow
def test_validate_holds(running: Stack) -> None:
    ended = running.just("validate", "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    checks = json.loads(ended.stdout)
    assert {check["name"] for check in checks} >= {"dbt tests", "verify --full"}


@pytest.mark.slow
def test_every_card_of_metabase_has_its_columns_in_the_export(running: Stack) -> None:
    ended = running.just("check-metabase")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Dearest sessions: 4 rows" in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", TERMINAL)
def test_no_name_of_the_logs_controls_the_terminal(
    running: Stack, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app, names = TERMINAL[command]
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    (running.home / "logs" / "evil.log").write_text(f"evil{HOSTILE}\n")
    words = command.format(tmp=tmp_path / f"to{HOSTILE}").split()[1:]
    ended = CliRunner().invoke(app, words)
    assert isinstance(ended.exception, SystemExit | None), ended.exception
    assert ended.output.strip()
    assert CONTROLS.findall(ended.output) == []
    assert (SEEN in ended.output) >= names, ended.output


@pytest.mark.slow
@pytest.mark.fault
def test_kill_9_of_supervisord_and_up_again_loses_and_doubles_nothing(
    running: Stack,
) -> None:
    leader = int((running.home / "supervisord.pid").read_text())
    os.kill(leader, signal.SIGKILL)
    path = running.logs / SESSION
    with path.open("ab") as file:
        file.write(b'{"type":"mode","mode":"x","sessionId":"after-the-kill"}\n')
    ended = running.just("up")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    wait_for(lambda: len(running.documents()) == running.lines(), "all lines")
    ids = [bytes(document["_id"]) for document in running.documents()]
    assert len(set(ids)) == running.lines()


@pytest.mark.slow
def test_down_ends_the_runs_that_were_started_by_hand_and_names_them(
    running: Stack,
) -> None:
    run = running.begin("full-refresh")
    run.until("extract ")
    ended = running.just("down")
    assert ended.returncode == 0, ended.stderr
    assert "Ending `pipeline run --full` (process " in ended.stdout
    assert "cclake has stopped" in ended.stdout
    assert_nothing_runs(running)
    run.end()
    assert run.returncode == 130, run.err
    assert "interrupted" in run.out
    assert "is not running" in running.just("down").stdout


@pytest.mark.slow
def test_down_ends_an_up_that_is_not_done(running: Stack) -> None:
    up = running.begin("up")
    up.until("extract ")
    ended = running.just("down")
    assert ended.returncode == 0, ended.stderr
    assert "Ending `just up` (process " in ended.stdout
    assert_nothing_runs(running)
    up.end()
    assert up.returncode == 130
    assert "stack: interrupted by `just down` or SIGTERM" in up.err
    assert "Traceback" not in up.err


def assert_nothing_runs(stack: Stack) -> None:
    """No process is left that writes, at once; a shell may just be saying good-bye."""
    with (stack.home / "pipeline.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    wait_for(lambda: not stack.processes(), "no process is left")


@pytest.mark.slow
def test_up_with_no_logs_at_all_says_so_and_keeps_watching(tmp_path: Path) -> None:
    empty = Stack(tmp_path)
    empty.logs.mkdir(parents=True)
    try:
        ended = empty.just("up")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "No logs in" in ended.stdout
        assert "<html" in empty.page("/")
        project = empty.logs / "-home-me-new"
        project.mkdir()
        (project / "s.jsonl").write_text('{"type":"mode","sessionId":"s"}\n')
        wait_for(lambda: len(empty.documents()) == 1, "the first line arrives")
    finally:
        empty.just("down")


def up_fails(stack: Stack, sentence: str, **more: str) -> None:
    ended = subprocess.run(
        [str(BIN / "stack"), "up"],
        env=stack.environment | more,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not stack.processes()


def test_up_names_a_missing_folder(tmp_path: Path) -> None:
    up_fails(Stack(tmp_path), "does not exist")


def test_up_names_a_port_in_use(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.logs.mkdir(parents=True)
    with socket.socket() as other:
        other.bind(("127.0.0.1", stack.ports["WEB_PORT"]))
        other.listen()
        up_fails(stack, f"cannot use port {stack.ports['WEB_PORT']} (pages)")


def test_up_names_an_unreachable_mongodb(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.logs.mkdir(parents=True)
    uri = f"mongodb://127.0.0.1:{free_port()}/"
    up_fails(stack, "does not answer", MONGO_URI=uri)
