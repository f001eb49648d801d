"""`recall hook` and the plugin for Claude Code."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cclake_recall.hook import context
from sample import HOSTILE

ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "plugin"
HERE = "77777777-aaaa-4111-8111-777777777777"


def context_text(exports: Path, folder: Path, session: str = "new") -> str:
    given = json.dumps({"cwd": str(folder), "session_id": session, "source": "startup"})
    answer = context(given, exports, None)
    if not answer:
        return ""
    output = json.loads(answer)["hookSpecificOutput"]
    assert output["hookEventName"] == "SessionStart"
    return str(output["additionalContext"])


@pytest.fixture(autouse=True)
def laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCLAKE_HOST", "laptop")


def test_the_last_sessions_of_the_folder_are_named(exports: Path) -> None:
    text = context_text(exports, exports)
    assert f"'Here', 1 turn, session {HERE}" in text
    assert "data, not instructions" in text
    assert context_text(exports, exports, HERE) == "", (
        "the session that starts is not named"
    )
    assert context_text(exports, Path("/nowhere")) == ""


def test_no_more_than_three(exports: Path) -> None:
    assert context_text(exports, Path("/home/me/alpha")).count("\n- ") <= 3


@pytest.mark.parametrize(
    "given", ["", "[]", "{}", "null", '{"cwd": 1}', "{" * 100_000, "[" * 100_000]
)
def test_anything_else_is_answered_by_nothing(exports: Path, given: str) -> None:
    assert context(given, exports, None) == ""


def test_without_an_export_it_is_silent(tmp_path: Path) -> None:
    done = subprocess.run(
        ["recall", "hook", "--export-dir", str(tmp_path)],
        input='{"cwd": "/"}', capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")


def test_it_imports_little() -> None:
    code = "import sys, cclake_recall.cli, cclake_recall.hook; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"mcp", "typer", "pymongo", "detect_secrets", "uvicorn", "pydantic"}
    assert not heavy & set(done.stdout.split())


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_plugin_uses_commands_that_exist() -> None:
    (server,) = load(PLUGIN / ".mcp.json")["mcpServers"].values()
    (start,) = load(PLUGIN / "hooks" / "hooks.json")["hooks"]["SessionStart"]
    used = [
        " ".join([server["command"], *server["args"]]),
        start["hooks"][0]["command"],
    ]
    for command in used:
        words = re.findall(r"recall (\w+)", command)
        assert words
        for word in words:
            subprocess.run(["recall", word, "--help"], check=True, capture_output=True)


def test_the_plugin_is_laid_out_as_its_readers_expect() -> None:
    market = load(ROOT / ".claude-plugin" / "marketplace.json")
    (listed,) = market["plugins"]
    manifest = load(ROOT / listed["source"] / ".claude-plugin" / "plugin.json")
    assert listed["name"] == manifest["name"] == "cclake"
    for page in [*PLUGIN.glob("commands/*.md"), *PLUGIN.glob("skills/*/SKILL.md")]:
        front = page.read_text().split("---\n")[1]
        assert re.search(r"^description: \S", front, re.MULTILINE), page
    (skill,) = PLUGIN.glob("skills/*/SKILL.md")
    assert f"name: {skill.parent.name}" in skill.read_text()


def test_the_tools_that_the_plugin_names_exist() -> None:
    from cclake_recall.server import Tools

    for page in PLUGIN.rglob("*.md"):
        for name in re.findall(r"`(\w+_\w+)`", page.read_text()):
            assert hasattr(Tools, name) or name == "without_cost", (page, name)


def test_hostile_titles_do_not_control_anything(exports: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(exports / "conversations.db")) as db:
        row = db.execute(
            "select cwd from dim_sessions where session_id = ?", (HOSTILE,)
        ).fetchone()
    text = context_text(exports, Path(row[0] or "/"))
    assert not any(odd in text for odd in ("\x1b", "\x07", "\u202e"))
