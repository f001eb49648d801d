import subprocess
from pathlib import Path

import pytest
from cclake_command import cli, manual
from cclake_command.parts import STACK, tools
from cclake_common.failure import COMMAND, Failure, typed
from cclake_stack.cli import app
from harness import BIN
from typer.main import get_command


def cclake(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [BIN / "cclake", *arguments], capture_output=True, text=True, check=False
    )


def test_it_becomes_the_tool_that_is_named() -> None:
    named = subprocess.run(
        [BIN / "report", "daily", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert cclake("report", "daily", "--help").stdout == named


def test_it_knows_the_commands_of_the_stack_and_all_tools() -> None:
    commands = set(getattr(get_command(app), "commands"))  # noqa: B009
    assert set(STACK) == commands - {"mongod"}  # supervisord alone runs that
    assert not set(STACK) & set(tools())
    shown = cclake("--help").stdout
    assert all(f"\n  {name} " in shown for name in (*STACK, *tools()))


def test_what_it_does_not_know_is_wrong_usage() -> None:
    done = cclake("rport")
    assert done.returncode == 2
    assert done.stderr.startswith("cclake: 'rport' is not a command\n")


def test_what_to_type_is_its_name_and_not_that_of_a_recipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEALTH_PORT", "1")
    assert "start it with: cclake up" in cclake("status").stdout
    text = "Run `just down`, then `./just up`. That is just so. Its log: just logs web"
    assert typed(text) == text
    monkeypatch.setenv("CCLAKE_COMMAND", "cclake")
    assert typed(text) == (
        "Run `cclake down`, then `cclake up`. That is just so. Its log: cclake logs web"
    )


def test_a_manual_page_is_the_help_of_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual, "tools", lambda: {"backup": ""})
    monkeypatch.setattr(manual, "path", lambda tool: BIN / tool)
    assert manual.write(tmp_path) == len(list((tmp_path / "man1").iterdir())) > 3
    text = (tmp_path / "man1" / "backup-save.1").read_text()
    assert text.startswith(".TH BACKUP\\-SAVE 1\n.SH NAME\nbackup\\-save \\- ")
    assert "Usage: backup save" in text


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = cclake("man", str(tmp_path / "file"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"cclake: cannot write {tmp_path / 'file' / 'man1'}:")
    assert done.stderr.count("\n") == 1


def test_a_tool_that_is_not_beside_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "path", lambda tool: tmp_path / tool)
    monkeypatch.setattr("sys.argv", ["cclake", "report"])
    monkeypatch.setenv(COMMAND, "")
    with pytest.raises(Failure, match="report does not exist"):
        cli._run()


def test_lines_of_help_are_no_commands_of_roff() -> None:
    shown = manual.page("x", "Usage: x\n\n  About it.\n\n.so /etc/passwd\n'a \\n\n")
    assert "\n\\&.so /etc/passwd\n\\&'a \\en\n.fi\n" in shown
