import errno
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from cclake_common.failure import COMMAND, INTERRUPTED, Failure, run, typed
from cclake_common.lock import Lock
from cclake_common.settings import (
    home,
    host,
    in_home,
    keep_host,
    mask,
    mongo_uri,
    roots,
    socket_path,
)
from cclake_common.visible import visible, visible_lines
from harness import PATIENCE


def test_a_failure_is_one_line_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def app() -> None:
        raise Failure("port 3000 is in use", "Set WEB_PORT to another port.", code=75)

    with pytest.raises(SystemExit) as exit_info:
        run("stack", app)
    assert exit_info.value.code == 75
    assert capsys.readouterr().err == (
        "stack: port 3000 is in use\n       Set WEB_PORT to another port.\n"
    )


def test_a_file_that_may_not_be_written_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def app() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/data/buffer.db.lock")

    with pytest.raises(SystemExit) as exit_info:
        run("flusher", app)
    assert exit_info.value.code == 1
    said = capsys.readouterr().err
    assert said == "flusher: /data/buffer.db.lock: Permission denied\n"


def test_an_argument_that_is_not_text_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["recall", "list", "caf\udce9"])
    with pytest.raises(SystemExit) as exit_info:
        run("recall", lambda: sys.argv[-1].encode())
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == "recall: not UTF-8: caf\\udce9\n"
    monkeypatch.setattr(sys, "argv", ["recall", "list", "caf\u00e9"])
    with pytest.raises(UnicodeEncodeError):
        run("recall", lambda: "\udce9".encode())


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("See `just logs`.", "See `cclake logs`."),
        ("start it with: just up", "start it with: cclake up"),
        ("run `./just backfill`", "run `cclake pipeline run --backfill`"),
        ("`just pipeline` rebuilds", "`cclake pipeline run` rebuilds"),
        ("just now", "just now"),
    ],
)
def test_hints_name_commands_that_exist_without_a_checkout(
    text: str, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(COMMAND, raising=False)
    assert typed(text) == text
    monkeypatch.setenv(COMMAND, "cclake")
    assert typed(text) == printed


def test_what_a_tool_writes_is_for_its_user_alone(tmp_path: Path) -> None:
    code = (
        "import os; os.umask(0o022)\nfrom cclake_common.failure import run\n"
        "run('load', lambda: open('made', 'w').close())"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        run("stack", lambda: open("/nowhere/at/all"))  # noqa: PTH123, SIM115
    with pytest.raises(ZeroDivisionError):
        run("stack", lambda: 1 / 0)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://me:secret@h/db", "mongodb://me:***@h/db"),
        ("mongodb+srv://me:s:3%40c@h", "mongodb+srv://me:***@h"),
        ("mongodb://me:p@ss@h/db", "mongodb://me:***@h/db"),
        ("mongodb://127.0.0.1:27117", "mongodb://127.0.0.1:27117"),
    ],
)
def test_passwords_are_masked(uri: str, shown: str) -> None:
    assert mask(f"cannot reach {uri}") == f"cannot reach {shown}"


def test_settings_follow_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path))
    monkeypatch.setenv("CLAUDE_DIR", f"{tmp_path}/a:{tmp_path}/b")
    monkeypatch.delenv("MONGO_URI", raising=False)
    assert home() == tmp_path
    assert in_home("SQLITE_PATH", "buffer.db") == tmp_path / "buffer.db"
    assert roots() == [tmp_path / "a", tmp_path / "b"]
    socket = quote(f"{tmp_path}/mongo.sock", safe="")
    assert mongo_uri() == f"mongodb://{socket}"
    monkeypatch.setenv("MONGO_URI", "mongodb://db.example.com/")
    assert mongo_uri() == "mongodb://db.example.com/"


@pytest.mark.parametrize("name", ["x" * 120, "a,b"])
def test_a_path_that_is_no_address_of_a_socket_has_one_among_the_temporary_files(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / name))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    path = socket_path("mongo.sock")
    assert path.parent.parent == tmp_path
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert socket_path("other.sock").parent == path.parent
    path.parent.rmdir()
    path.parent.symlink_to(tmp_path)  # as somebody else might place it
    with pytest.raises(Failure, match="belongs to another user"):
        socket_path("mongo.sock")


def test_a_lock_names_who_has_it_and_sends_away_who_waited(tmp_path: Path) -> None:
    path = tmp_path / "home" / "run.lock"
    with Lock(path) as run, Lock(path) as waiting, Lock(path) as ender:
        assert run.take("pipeline run")
        assert not waiting.take("pipeline run --full")
        assert str(waiting.holder()) == f"`pipeline run` (process {os.getpid()})"
        assert not ender.take("just down", stop_others=True)
        run.close()
        assert ender.take("just down", stop_others=True)
        with Lock(path) as later:
            assert not later.take("pipeline run")
            ender.close()
            with pytest.raises(Failure, match="stopped by `just down`") as failure:
                waiting.take("pipeline run --full")
            assert failure.value.code == INTERRUPTED
            assert later.take("pipeline run")


def test_a_broken_connection_is_not_taken_for_a_reader_that_has_gone() -> None:
    code = (
        "import os, typer\n"
        "from cclake_common.failure import run\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def ask() -> None:\n"
        "    here, there = os.pipe()\n"
        "    os.close(here)\n"
        "    os.write(there, b'?')\n"
        "run('ask', app)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == "ask: a process or server closed its connection\n"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\x1b]52;c;eA==\x07b", r"a\x1b]52;c;eA==\x07b"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("one\r\ntwo\t", r"one\r\ntwo\t"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        ("a\u200b\u2060\ufeff\u00ad\u3164b", r"a\u200b\u2060\ufeff\xad\u3164b"),
        ("\u2028\U000e0041\udc80", r"\u2028\U000e0041\udc80"),
        ("Grüße 日本語 ❤️ \u00a0é", "Grüße 日本語 ❤️ \u00a0é"),
    ],
)
def test_what_would_control_the_terminal_is_seen(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert visible_lines(text) == seen.replace(r"\n", "\n")


def test_an_error_does_not_control_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def app() -> None:
        raise Failure("no file \x1b]0;x\x07", "Look at \u202eit.")

    with pytest.raises(SystemExit):
        run("stack", app)
    said = "stack: no file \\x1b]0;x\\x07\n       Look at \\u202eit.\n"
    assert capsys.readouterr().err == said


def test_a_machine_that_is_renamed_keeps_its_name_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path))
    monkeypatch.delenv("CCLAKE_HOST")
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")
    keep_host()
    monkeypatch.setattr("socket.gethostname", lambda: "dhcp-17")
    keep_host()
    assert host() == "laptop"
    monkeypatch.setenv("CCLAKE_HOST", "desk")
    assert host() == "desk"


def test_stop_wakes_a_poll_at_the_first_signal() -> None:
    code = (
        "import os, select, signal\n"
        "from cclake_common.stop import Stop\n"
        "stop = Stop()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert select.select([stop.fd], [], [], 5)[0] and stop\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=os.environ, timeout=PATIENCE
    )


def test_an_interruption_before_the_tool_begins_is_no_traceback() -> None:
    for bad, said in (("KeyboardInterrupt", False), ("ZeroDivisionError", True)):
        ended = subprocess.run(
            [sys.executable, "-c", f"import cclake_common.failure\nraise {bad}"],
            capture_output=True,
            check=False,
        )
        assert ended.returncode
        assert (b"Traceback" in ended.stderr) is said


def test_a_query_that_duckdb_interrupts_is_an_interruption() -> None:
    for said, code in (("Query interrupted", INTERRUPTED), ("odd", 1)):
        text = (
            "from cclake_common.failure import run\n"
            "def app() -> None:\n"
            f"    raise RuntimeError({said!r})\n"
            "run('tool', app)\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, check=False
        )
        assert ended.returncode == code
        assert (b"Traceback" in ended.stderr) is (code == 1)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("words", ["print", "typer.echo"])
def test_a_reader_that_leaves_ends_the_command_quietly(
    at_once: bool, words: str
) -> None:
    code = (
        "import sys, time, typer\n"
        "from cclake_common.failure import run\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def talk() -> None:\n"
        "    sys.stdin.read()\n"
        f"    for line in range(3): {words}(line)\n"
        f"run('talk', app, at_once={at_once})\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as talker:
        assert talker.stdin and talker.stdout and talker.stderr
        talker.stdout.close()
        talker.stdin.close()
        assert talker.wait(timeout=PATIENCE) == 141
        assert talker.stderr.read() == b""


TALK = "from cclake_common.failure import run\nrun('talk', lambda: print('words'))"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_caller_closed_lead_nowhere(
    tmp_path: Path, closed: str
) -> None:
    made = (
        "open('made', 'w').write('bytes'), print('words'), print('!', file=sys.stderr)"
    )
    code = f"import sys; from cclake_common.failure import run\nrun('talk', lambda: ({made}))"
    script = tmp_path / "talk.py"
    script.write_text(code)
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' talk.py {closed}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made").read_text() == "bytes"
    assert "Traceback" not in done.stderr


def test_output_that_cannot_be_written_is_one_line_and_no_success() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", TALK], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("talk: ")
    assert done.stderr.endswith("the output: No space left on device\n")
    assert len(done.stderr.splitlines()) == 1
