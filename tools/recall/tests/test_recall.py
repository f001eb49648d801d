"""The command line of `recall`, on an export that has one of everything."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE
from sample import FORK, GITHUB_TOKEN, HOSTILE, LONG, MAIN

KEY = "the key is"
HERE = "77777777-aaaa-4111-8111-777777777777"


def ran(
    exports: Path, *arguments: str, **settings: Any
) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"EXPORT_DIR": str(exports), "CCLAKE_TIMEZONE": "UTC"}
    return subprocess.run(
        ["recall", *arguments],
        env=environ | settings.pop("env", {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **settings,
    )


def recall(exports: Path, *arguments: str, **settings: Any) -> str:
    done = ran(exports, *arguments, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(exports: Path, *arguments: str) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in recall(exports, *arguments, "--json").splitlines()
    ]


@pytest.mark.parametrize("port", ["abc", "99999", "-3", "0"])
def test_a_port_of_the_pages_that_cannot_be_is_named(exports: Path, port: str) -> None:
    done = ran(exports, "show", MAIN, "--html", env={"WEB_PORT": port})
    assert (done.returncode, done.stderr) == (
        2, f"recall: WEB_PORT is not a port: {port}\n",
    )  # fmt: skip


def test_all_words_must_occur(exports: Path) -> None:
    found = rows(exports, "parser", "fixed")
    assert [row["session"] for row in found] == [MAIN]
    assert "row parser fixed" in found[0]["excerpt"]
    assert found[0]["url"] == (
        f"http://127.0.0.1:3000/session/{MAIN}?at={found[0]['message']}"
    )
    assert rows(exports, "parser fixed") == found
    assert rows(exports, "search", "parser", "fixed") == found


def test_a_phrase_and_a_beginning(exports: Path) -> None:
    assert rows(exports, '"row parser fixed"')
    done = ran(exports, '"fixed parser row"')
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing found" in done.stderr
    assert rows(exports, "compil*")[0]["title"] == "Upgrade the build"


def test_some_of_the_words_are_better_than_nothing(exports: Path) -> None:
    done = ran(exports, "parser", "unheard")
    assert done.returncode == 0
    assert done.stdout
    assert "some of them" in done.stderr


def test_a_hit_is_one_line_on_a_pipe(exports: Path) -> None:
    for one in recall(exports, "-k", "all", "window", "-n", "50").splitlines():
        assert len(one.split("\t")) == 6
        assert one.isprintable() or one.replace("\t", "").isprintable()


@pytest.mark.parametrize(
    ("options", "sessions"),
    [
        (["-p", "GAMMA"], {LONG}),
        (["-p", "/home/me/gam"], {LONG}),
        (["-m", "opus", "-p", "gamma"], {LONG}),
        (["--host", "laptop", "-p", "gamma"], {LONG}),
        (["--branch", "main", "-p", "gamma"], {LONG}),
    ],
)
def test_filters_keep_what_they_name(
    exports: Path, options: list[str], sessions: set[str]
) -> None:
    assert {row["session"] for row in rows(exports, "module", *options)} == sessions
    listed = {row["session"] for row in rows(exports, "list", *options)}
    assert sessions <= listed
    done = ran(exports, "module", *options, "--until", "2020-01-01")
    assert done.returncode == 1
    assert rows(exports, "module", *options, "--since", "2020-01-01")


def test_a_filter_is_a_value_and_never_sql(exports: Path) -> None:
    for option in ("--host", "--model", "--branch"):
        for command in ("search", "list"):
            done = ran(exports, command, "row", option, "' or '1'='1")
            assert (done.returncode, done.stdout) == (1, "")


def test_the_best_and_the_newest_differ_in_order_only(exports: Path) -> None:
    newest = rows(exports, "module", "-n", "1000")
    best = rows(exports, "module", "-n", "1000", "--best")
    assert newest != best
    assert {row["message"] for row in newest} == {row["message"] for row in best}
    times = [row["at"] for row in newest]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize(
    "command", [["search", KEY], ["show", MAIN], ["show", MAIN, "--full"]]
)
def test_secrets_are_masked(exports: Path, command: list[str], form: list[str]) -> None:
    printed = recall(exports, *command, *form)
    assert KEY in printed
    assert GITHUB_TOKEN[4:] not in printed


def test_nothing_of_a_log_controls_the_terminal(exports: Path) -> None:
    commands = (
        ["search", "-k", "all", "31mred"], ["show", HOSTILE, "--full"],
        ["show", HOSTILE, "--markdown"], ["list"], ["files", "/home/me/alpha/"],
        ["show", HOSTILE, "--json"],
    )  # fmt: skip
    for command in commands:
        printed = recall(exports, *command, "-z", "UTC")
        for odd in ("\x1b", "\x07", "\x9b", "\u202e", "\x00", "\u200b", "\ue000"):
            assert odd not in printed, command


def on_a_terminal(exports: Path, *arguments: str, typed: str = "", **env: str) -> str:
    parent, child = pty.openpty()
    environ = os.environ | {
        "EXPORT_DIR": str(exports), "TERM": "xterm", "PAGER": "",
        "CCLAKE_TIMEZONE": "UTC", **env,
    }  # fmt: skip
    with subprocess.Popen(
        ["recall", *arguments], env=environ, stdin=child, stdout=child, stderr=child
    ) as process:
        os.close(child)
        os.write(parent, typed.encode())
        printed = b""
        try:
            while some := os.read(parent, 65536):
                printed += some
        except OSError:  # Linux: the terminal has no other end any more
            pass
        process.wait(PATIENCE)
    os.close(parent)
    return printed.decode().replace("\r\n", "\n")


def test_a_terminal_shows_groups_with_marked_words(exports: Path) -> None:
    printed = on_a_terminal(exports, "parser", "fixed")
    assert printed.startswith("\x1b[1mFix the row parser\x1b[0m")
    assert "\x1b[1;33mparser\x1b[0m" in printed
    plain = on_a_terminal(exports, "parser", "fixed", NO_COLOR="1")
    assert "\x1b" not in plain
    hostile = on_a_terminal(exports, "-k", "all", "31mred", NO_COLOR="1")
    assert "\x1b" not in hostile
    assert "\\x1b[31m" in hostile


def test_a_conversation_is_folded_until_it_is_asked_for(exports: Path) -> None:
    folded = recall(exports, "show", MAIN[:6])
    assert "  > Bash pytest -q\n" in folded
    assert "  ! Exit code 1" in folded
    assert "[agent a1b2c3d4]" in folded
    assert "def read_rows(lines):" not in folded
    full = recall(exports, "show", MAIN, "--full")
    assert "def read_rows(lines):" in full
    agent = recall(exports, "show", MAIN, "--agent", "a1b2c3d4")
    assert "Two callers" in agent


def test_a_turn_alone(exports: Path) -> None:
    found = rows(exports, "show", MAIN, "--turn", "2")
    assert {row["turn"] for row in found} == {2}
    every = rows(exports, "show", MAIN)
    assert [row for row in every if row["turn"] == 2] == found
    assert ran(exports, "show", MAIN, "--turn", "99").returncode == 1


def test_what_a_fork_copied_is_shown(exports: Path) -> None:
    found = rows(exports, "show", FORK)
    assert [row["copied"] for row in found[:3]] == [True] * 3
    assert "loses a row" in found[0]["blocks"][0]["text"]


def test_the_beginning_of_an_id_must_be_enough(exports: Path) -> None:
    assert "no session has the id" in ran(exports, "show", "zzz").stderr
    assert "several sessions begin" in ran(exports, "show", "66666666").stderr
    assert ran(exports, "show", "").returncode == 1


def test_markdown_keeps_what_looks_like_a_fence_inside_it(exports: Path) -> None:
    printed = recall(exports, "show", HOSTILE, "--markdown")
    assert "````" in printed
    assert recall(exports, "show", MAIN, "--markdown").startswith("# Fix the row")


def test_sessions_are_sorted(exports: Path) -> None:
    costs = [row["cost_usd"] for row in rows(exports, "list", "--sort", "cost")]
    assert costs == sorted(costs, reverse=True)
    ends = [row["ended_at"] for row in rows(exports, "list")]
    assert ends == sorted(ends, reverse=True)
    assert [row["session"] for row in rows(exports, "list", "REFACTORING")] == [LONG]


def test_the_edits_of_a_file(exports: Path) -> None:
    parser = "/home/me/alpha/src/parser.py"
    (edit,) = rows(exports, "files", parser)
    assert (edit["operation"], edit["session"], edit["path"]) == ("edit", MAIN, parser)
    assert edit["message"]
    assert rows(exports, "files", "src/parser.py") == [edit]
    assert len(rows(exports, "files", parser, "--reads")) == 2
    below = rows(exports, "files", "/home/me/alpha/src")
    assert {row["path"].rpartition("/")[2] for row in below} == {
        "parser.py", "my_parser.py",
    }  # fmt: skip
    assert rows(exports, "files", "alpha/src") == below
    assert ran(exports, "files", "arser.py").returncode == 1


def test_resume_prints_the_command_without_a_terminal(exports: Path) -> None:
    laptop = {"env": {"CCLAKE_HOST": "laptop"}}
    command = f"cd /home/me/alpha && claude --resume {MAIN}\n"
    assert recall(exports, "resume", MAIN[:8], **laptop) == command
    assert recall(exports, "resume", "screenshot", **laptop) == command
    assert recall(exports, "resume", "off-by-one", "slice", **laptop) == command
    elsewhere = ran(exports, "resume", "screenshot", env={"CCLAKE_HOST": "other"})
    assert elsewhere.returncode == 1
    assert ran(exports, "resume", **laptop).returncode == 1  # this folder has none
    here = recall(exports, "resume", cwd=exports, **laptop)
    assert here == f"cd {exports} && claude --resume {HERE}\n"


def test_resume_becomes_claude_in_the_folder(exports: Path, tmp_path: Path) -> None:
    claude = tmp_path / "claude"
    claude.write_text('#!/bin/sh\necho "in $PWD: $*"\n')
    claude.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    env = {"PATH": path, "CCLAKE_HOST": "laptop"}
    printed = on_a_terminal(exports, "resume", "we", "here", **env)
    assert f"in {exports}: --resume {HERE}" in printed
    printed = on_a_terminal(exports, "resume", "row", "parser", typed="2\n", **env)
    assert "Fix the row parser, another way" in printed
    assert "/home/me/alpha does not exist on this machine" in printed


@pytest.mark.parametrize(
    ("session", "folder"),
    [("--help", "/tmp"), ("$(id)", "/tmp"), ("a" * 8, "/tmp/\x1b[2J"), ("a" * 8, "x")],
)
def test_what_a_log_says_never_becomes_an_option(session: str, folder: str) -> None:
    from cclake_common.failure import Failure
    from cclake_recall.resume import command

    with pytest.raises(Failure):
        command({"session": session, "folder": folder})


def test_a_folder_is_quoted() -> None:
    from cclake_recall.resume import as_shell, command

    found = as_shell(*command({"session": MAIN, "folder": "/tmp/a b; rm -rf $HOME"}))
    assert found == f"cd '/tmp/a b; rm -rf $HOME' && claude --resume {MAIN}"


def test_resume_starts_where_the_session_ran(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom cclake_recall.resume import execute\n"
        "execute(sys.argv[1], ['pwd'])"
    )
    folder = tmp_path / "a folder"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(folder)


def test_a_search_imports_little(exports: Path) -> None:
    code = (
        "import sys\nsys.argv[1:] = ['compiler']\n"
        "from cclake_recall.cli import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"EXPORT_DIR": str(exports)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "newest compiler" in done.stdout
    slow = {"typer", "click", "rich", "detect_secrets", "orjson", "asyncio", "mcp"}
    assert not slow & set(done.stderr.split())


def test_a_reader_that_leaves_is_no_error(exports: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", 'recall module -n 2000 | head -1; echo "${PIPESTATUS[0]}"'],
        env=os.environ | {"EXPORT_DIR": str(exports)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, code = done.stdout.splitlines()
    assert first.count("\t") == 5
    assert code in ("0", "141")
    assert done.stderr == ""


def test_an_ascii_terminal_is_enough(exports: Path) -> None:
    env = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    assert recall(exports, "show", MAIN, env=env)


def test_wrong_usage_and_a_missing_export(exports: Path, tmp_path: Path) -> None:
    assert ran(exports, "row", "--since", "monday").returncode == 2
    assert ran(exports, "row", "-z", "Nowhere/Land").returncode == 2
    assert ran(exports, "show", MAIN, "--json", "--markdown").returncode == 2
    done = ran(tmp_path, "row")
    assert done.returncode == 1
    assert "does not exist" in done.stderr
    assert recall(exports).startswith("Usage: recall")


def test_a_list_fits_a_narrow_terminal(exports: Path) -> None:
    from cclake_recall.render import Style, session_row

    for row in rows(exports, "list"):
        if row["host"] == "laptop":  # names of others are as long as they like
            assert len(session_row(row, Style(False), None, 60)) <= 60


def test_an_account_restricts_the_search_and_the_list(
    exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path))
    (tmp_path / "accounts.toml").write_text(
        '[[account]]\nname = "Work"\nfolder = "/home/me/alpha"\n'
    )
    everything = rows(exports, "row")
    work = rows(exports, "row", "account:wor")
    assert {row["project"] for row in work} == {"alpha"}
    assert work == [row for row in everything if row["project"] == "alpha"]
    assert work == rows(exports, "row", "--account", "work")
    assert {row["project"] for row in rows(exports, "list", "--account", "WORK")} == {
        "alpha"
    }
    others = {row["project"] for row in rows(exports, "list", "--account", "none")}
    assert others
    assert "alpha" not in others
    done = ran(exports, "list", "--account", "wrk")
    assert done.returncode == 2
    assert "there is no account 'wrk'" in done.stderr
