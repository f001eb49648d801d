"""The README's first command, as a new user runs it, with all real parts."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_door import ROOT, Stack
from harness import BIN, PATIENCE, free_port, wait_for

PRICING = ROOT / "tests" / "fixtures" / "pricing" / "projects"
SESSION = "-home-me-alpha/11111111-1111-4111-8111-111111111111.jsonl"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("front-door"))
    shutil.copytree(PRICING, made.logs)
    yield made
    made.just("down")
    made.kill_all()


@pytest.fixture(scope="module")
def running(stack: Stack) -> Stack:
    ended = stack.just("up")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    stack.first_words = ended.stdout  # type: ignore[attr-defined]
    return stack


@pytest.mark.slow
def test_up_brings_the_logs_as_far_as_the_pages(running: Stack) -> None:
    words = running.first_words  # type: ignore[attr-defined]
    assert f"http://127.0.0.1:{running.ports['WEB_PORT']}/" in words
    assert len(running.documents()) == running.lines() == 24
    page = running.page("/")
    assert "11111111-1111-4111-8111-111111111111" in page
    session = running.page("/session/11111111-1111-4111-8111-111111111111")
    assert "opus 4.6" in session


@pytest.mark.slow
def test_a_second_up_says_that_all_runs(running: Stack) -> None:
    ended = running.just("up")
    assert ended.returncode == 0
    assert "runs already" in ended.stdout


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
    assert {check["name"] for check in checks} >= {"dbt tests", "verify"}


@pytest.mark.slow
def test_every_card_of_metabase_has_its_columns_in_the_export(running: Stack) -> None:
    ended = running.just("check-metabase")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Dearest sessions: 3 rows" in ended.stdout


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
def test_down_leaves_no_process(running: Stack) -> None:
    ended = running.just("down")
    assert ended.returncode == 0, ended.stderr
    wait_for(lambda: not running.processes(), "no process is left")
    assert "does not run" in running.just("down").stdout


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
    started = time.monotonic()
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
    assert time.monotonic() - started < 30
    assert not stack.processes()


def test_up_names_a_missing_folder(tmp_path: Path) -> None:
    up_fails(Stack(tmp_path), "is not there")


def test_up_names_a_port_in_use(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.logs.mkdir(parents=True)
    with socket.socket() as other:
        other.bind(("127.0.0.1", stack.ports["WEB_PORT"]))
        other.listen()
        up_fails(stack, f"port {stack.ports['WEB_PORT']} (pages) cannot be used")


def test_up_names_an_unreachable_mongodb(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.logs.mkdir(parents=True)
    uri = f"mongodb://127.0.0.1:{free_port()}/"
    up_fails(stack, "does not answer", MONGO_URI=uri)
