"""Only its user can use the private mongod, whoever else uses the machine."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from cclake_common import settings
from cclake_stack import state
from cclake_stack.mongod import private_command
from harness import BIN, PATIENCE, connect, free_port, wait_for
from pymongo.errors import PyMongoError

NOBODY = 65534


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data directory that everybody may look into, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="cclake-test-"))
    folder.chmod(0o755)
    made = folder / "data"
    made.mkdir(0o755)
    monkeypatch.setenv("CCLAKE_HOME", str(made))
    yield made
    shutil.rmtree(folder)


def answers(uri: str) -> bool:
    try:
        with connect(uri, serverSelectionTimeoutMS=500) as client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True


def end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)


def as_nobody(act: Callable[[], object]) -> str:
    """Return the name of the error that another user gets for an action."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        said = "nothing"
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            act()
        except BaseException as error:
            said = type(error).__name__
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as end_of_pipe:
        return end_of_pipe.read()


def test_an_old_data_directory_is_served_to_its_user_and_to_nobody_else(
    home: Path,
) -> None:
    (home / "mongo").mkdir(0o700)
    port = free_port()
    listening = ("--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket")
    former = subprocess.Popen(
        private_command(home / "mongo", *listening), stdout=subprocess.DEVNULL
    )
    with connect(f"mongodb://127.0.0.1:{port}") as client:
        client.claude_logs.conversations.insert_one({"_id": "old"})
    end(former)
    mine = subprocess.Popen([BIN / "stack", "mongod"], stdout=subprocess.DEVNULL)
    try:
        uri = settings.mongo_uri()
        wait_for(lambda: answers(uri), "the private mongod answers")
        with connect(uri) as client:
            assert client.claude_logs.conversations.count_documents({}) == 1
        assert "--bind_ip" in psutil.Process(mine.pid).cmdline()
        listens = {c.laddr for c in psutil.Process(mine.pid).net_connections("inet")}
        assert listens == set()
        if os.getuid() == 0:
            check_another_user(home)
    finally:
        end(mine)


def check_another_user(home: Path) -> None:
    path = settings.socket_path("mongo.sock")
    assert path.parent == home
    assert as_nobody(path.stat) == "nothing"  # the folder alone does not hide it
    assert as_nobody(lambda: open_socket(path)) == "PermissionError"
    assert as_nobody(lambda: list((home / "mongo").iterdir())) == "PermissionError"
    assert as_nobody((home / "mongo.lock").open) == "PermissionError"


def journal_bytes(home: Path) -> int:
    journal = home / "mongo" / "journal"
    return sum(path.stat().st_blocks * 512 for path in journal.iterdir())


def open_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(str(path))


def test_a_second_one_waits_and_counts_all_that_the_killed_first_had(
    home: Path,
) -> None:
    first = subprocess.Popen([BIN / "stack", "mongod"], stdout=subprocess.DEVNULL)
    uri = settings.mongo_uri()
    wait_for(lambda: answers(uri), "the first answers")
    second = subprocess.Popen(
        [BIN / "stack", "mongod"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        assert second.stderr
        said = second.stderr.readline().decode()
        assert said == f"waiting for the end of `stack mongod` (process {first.pid})\n"
        # One record of the journal that is larger than a file of it.
        documents = [{"_id": n, "bytes": os.urandom(5_000_000)} for n in range(9)]
        with connect(uri, journal=True) as client:
            client.claude_logs.conversations.insert_many(documents)
        first.kill()
        first.wait()
        wait_for(lambda: answers(uri), "the second answers")
        assert state.archived_lines() == 9
        with connect(uri) as client:
            for stored in client.claude_logs.conversations.find():
                assert stored == documents[stored["_id"]]
            client.admin.command("fsync")
        wait_for(lambda: journal_bytes(home) < 2e6, "the journal is short")
    finally:
        end(second)
        if second.stderr:
            second.stderr.close()
        if first.poll() is None:
            end(first)
