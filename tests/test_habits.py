"""Check the habits that every tool has: help, version, completion, odd outputs."""

import importlib
import json
import os
import pty
import re
import shutil
import sqlite3
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cclake_report.commands import app
from cclake_report.render import size
from harness import BIN
from sample import MAIN, sample
from typer import Typer
from typer.main import get_command
from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
SCRIPTS = {
    name: where.partition(":")[0]
    for path in (*ROOT.glob("tools/*/pyproject.toml"), ROOT / "metabase/pyproject.toml")
    for name, where in tomllib.loads(path.read_text())["project"]
    .get("scripts", {})
    .items()
}
TOOLS = sorted(SCRIPTS)
# Standard outputs that can't show every character.
ASCII = {"PYTHONIOENCODING": "ascii"}
ODD_OUTPUTS = (
    ASCII,
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
)
REPORTS = (
    "daily", "daily -b", "weekly", "monthly", "session -b", "blocks", "models",
    "projects", "tools", "errors", "budget",
)  # fmt: skip
# Commands that show what the logs have, in every way that they print.
SHOWING = (
    "report session", "report session --csv", "report session --json",
    "report digest", "recall list", "recall the", "recall list --json",
    f"recall show {MAIN}", "recall files /home", "stack status", "stack config",
    "pipeline runs",
)  # fmt: skip


def run(
    command: str, stdout: int | None = None, **env: str
) -> "subprocess.CompletedProcess[bytes]":
    tool, *options = command.split()
    return subprocess.run(
        [BIN / tool, *options],
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


def run_unread(command: str, **env: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command whose output nobody reads, as `| head -1` after its line."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return run(command, writer, **env)
    finally:
        os.close(writer)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("habits") / "conversations.db"
    sample().write(path)
    names = "block_start, block_end, first_response_at, last_response_at, models"
    numbers = (
        "api_responses", "unpriced_responses", "input_tokens", "output_tokens",
        "total_tokens", "cost_usd", "tokens_per_minute", "usd_per_hour",
    )  # fmt: skip
    times = [f"2026-11-01T0{hour}:00:00.000Z" for hour in (1, 6, 2, 3)]
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"create table agg_usage_blocks ({names}, {', '.join(numbers)})")
        row = [*times, "claude-opus-4-6, claude-haiku-4-5", *range(2, 10)]
        db.execute(f"insert into agg_usage_blocks values ({', '.join('?' * 13)})", row)
    return path.parent


@pytest.fixture
def lake(export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An export and a budget; nothing runs."""
    home = tmp_path / "cclake"
    home.mkdir()
    budget = '[[budget]]\nname = "Überall"\nperiod = "day"\nusd = 20\n'
    (home / "budgets.toml").write_text(budget)
    monkeypatch.setenv("EXPORT_DIR", str(export))
    monkeypatch.setenv("HEALTH_PORT", "1")
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:1/")
    return home


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_says_its_version(tool: str) -> None:
    done = run(f"{tool} --version")
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.fullmatch(rf"{tool} \d+\.\d+\.\d+\n", done.stdout.decode())


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_explains_itself_on_any_output(tool: str) -> None:
    shown = run(f"{tool} --help", None, **ASCII)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert shown.stdout.startswith(f"Usage: {tool} ".encode())
    cut = run_unread(f"{tool} -h")
    assert cut.returncode == (0 if tool == "recall" else 141)  # argparse ignores it
    assert cut.stderr == b""


def commands(command: Any, name: str, parent: Any = None) -> Iterator[Any]:
    """Yield the context of a command, and those of the commands below it."""
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    yield context
    for one, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, one, context)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_command_of_a_tool_explains_itself(tool: str) -> None:
    module = importlib.import_module(SCRIPTS[tool])
    if tool == "cclake":  # its commands are the other tools
        return
    if tool == "recall":
        choices = module.parser()._subparsers._group_actions[0].choices
        assert all("-h, --help" in one.format_help() for one in choices.values())
        return
    found = app if tool == "report" else module.app
    assert isinstance(found, Typer)
    for context in commands(get_command(found), tool):
        if context.command_path == "stack dbt":  # all its options are for dbt
            continue
        asked = context.command.get_help_option_names(context)
        assert set(asked) == {"-h", "--help"}, context.command_path
        assert context.command.get_short_help_str(), context.command_path


@pytest.mark.parametrize("command", SHOWING)
def test_every_character_can_be_printed_anywhere(command: str, lake: Path) -> None:
    usual = run(command)
    assert usual.stdout
    odd = ODD_OUTPUTS[SHOWING.index(command) % len(ODD_OUTPUTS)]
    shown = run(command, None, **odd)
    assert (shown.returncode, shown.stderr) == (usual.returncode, usual.stderr)
    if "--json" in command:
        one, other = (
            map(json.loads, one.stdout.splitlines()) for one in (usual, shown)
        )
        assert list(one) == list(other)
    for buffered in ({}, {"PYTHONUNBUFFERED": "1"}):
        cut = run_unread(command, **buffered)
        assert (cut.returncode, cut.stderr) == (141, usual.stderr)


@pytest.mark.parametrize("command", REPORTS)
def test_tables_fit_the_terminal(command: str, lake: Path) -> None:
    shown = {}
    for width in (40, 72, 120, 200):
        done = CliRunner().invoke(app, command.split(), env={"COLUMNS": str(width)})
        assert done.exit_code == 0
        shown[width] = done.stdout
        lines = done.stdout.splitlines()
        assert len(lines) > 2
        assert max(map(size, lines)) <= width
    assert "Columns left out: " in shown[40]
    assert "Columns left out: " not in shown[200]


@pytest.mark.parametrize("command", ["recall list", "stack config", "report daily"])
def test_a_terminal_that_is_narrow_is_not_overrun(command: str, lake: Path) -> None:
    import fcntl
    import struct
    import termios

    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    done = run(command, writer, TERM="xterm", COLUMNS="")
    os.close(writer)
    assert done.returncode == 0
    shown = bytearray()
    while chunk := read_pty(reader):
        shown += chunk
    os.close(reader)
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).splitlines()
    assert len(lines) > 3
    assert max(map(size, lines)) <= 40


def read_pty(reader: int) -> bytes:
    try:
        return os.read(reader, 65_536)
    except OSError:  # the end of a terminal
        return b""


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_commands() -> None:
    """By the script of `just completions`, sourced by a shell."""
    source = {"_REPORT_COMPLETE": "source_bash"}
    script = subprocess.run(
        ["report"], env=os.environ | source, capture_output=True, text=True, check=True
    ).stdout
    ask = 'COMP_WORDS=(report dai); COMP_CWORD=1; _report_completion report; echo "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "daily\n"


def test_the_recipe_names_all_tools_that_can_complete() -> None:
    recipe = (ROOT / "justfile").read_text()
    named = re.search(r"for tool in ([a-z ]+); do \\\n\s+env \"_", recipe)
    assert named
    # Both are built without typer, which makes the completion.
    assert named[1].split() == [
        tool for tool in TOOLS if tool not in ("cclake", "recall")
    ]


@pytest.mark.parametrize("recipe", ["config", "report", "recall", "pipeline", "dbt"])
def test_every_recipe_gives_its_tool_the_same_dotenv(
    recipe: str, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "justfile", tmp_path)
    (tmp_path / ".env").write_text("CCLAKE_PRICES='a $HOME'\nWEB_PORT=4000\n")
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for tool in ("stack", "report", "recall", "pipeline"):
        (tools / tool).write_text('#!/bin/sh\necho "$CCLAKE_PRICES $WEB_PORT $PWD"\n')
        (tools / tool).chmod(0o755)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [BIN / "just", "--justfile", tmp_path / "justfile", recipe],
        env=os.environ | {"JUST_CALLER": str(elsewhere), "WEB_PORT": "5000"},
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    given, _, folder = done.stdout.strip().rpartition(" ")
    assert given == "a $HOME 5000"  # the environment goes before the file
    caller = elsewhere if recipe in ("report", "recall") else tmp_path
    assert folder == str(caller)
