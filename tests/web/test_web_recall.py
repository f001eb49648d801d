"""`recall show` gives what the pages give to download."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cclake_common.kept import Store
from harness import PATIENCE
from sample import FORK, GITHUB_TOKEN, HOSTILE, LONG, MAIN, sample
from webface import Web, serving

TOKEN = "a-token-of-sixteen-characters"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Pages that open only with the token, and keep a star."""
    home = tmp_path_factory.mktemp("recall")
    sample().write(home / "exports" / "conversations.db")
    (home / "web-token").write_text(f"{TOKEN}\n")
    settings = {"CCLAKE_HOME": str(home), "CCLAKE_WEB_TOKEN": "yes"}
    with serving(home / "exports", home / "web.log", **settings) as web:
        web.client.headers["authorization"] = f"Bearer {TOKEN}"
        yield web


def recall(web: Web, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    home = web.exports.parent
    given = {
        "EXPORT_DIR": str(web.exports), "CCLAKE_HOME": str(home),
        "WEB_PORT": str(web.port), "CCLAKE_WEB_TOKEN": "yes", **env,
    }  # fmt: skip
    return subprocess.run(
        ["recall", *arguments], env=os.environ | given, capture_output=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_the_html_is_the_file_that_the_page_offers(locked: Web) -> None:
    for session in (MAIN, HOSTILE):
        done = recall(locked, "show", session[:10], "--html")
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == locked.get(f"/session/{session}/export.html").content
        assert GITHUB_TOKEN[4:].encode() not in done.stdout


def test_why_there_is_no_html(locked: Web, tmp_path: Path) -> None:
    away = recall(locked, "show", MAIN, "--html", WEB_PORT="9")
    assert away.returncode == 1
    assert b"the pages on 127.0.0.1:9 do not answer" in away.stderr
    (tmp_path / "web-token").write_text("another-token-of-this-length")
    wrong = recall(locked, "show", MAIN, "--html", CCLAKE_HOME=str(tmp_path))
    assert wrong.returncode == 1
    assert b"the pages refuse" in wrong.stderr
    assert recall(locked, "show", MAIN, "--html", "--turn", "1").returncode == 2
    assert recall(locked, "show", MAIN, "--html", "--json").returncode == 2


NAMES = {
    "session": "session_id", "message": "entry_key", "position": "position",
    "turn": "turn", "at": "said_at", "role": "kind", "agent": "agent_id",
    "response": "message_id", "copied": "is_copy", "line": "doc_id",
    "starred": "starred", "labels": "labels", "note": "note",
}  # fmt: skip
BLOCK = {
    "kind": "kind", "text": "text", "tool": "tool_name", "call": "tool_use_id",
    "input": "input", "result": "result", "image": "image_key",
}  # fmt: skip


@pytest.mark.parametrize("session", [MAIN, FORK, HOSTILE, LONG])
def test_the_json_says_what_the_download_says(locked: Web, session: str) -> None:
    message = json.loads(recall(locked, "show", MAIN, "--json").stdout.splitlines()[0])
    Store(locked.exports.parent / "kept.db").change(
        MAIN, message["message"], starred=True, labels=("one", "two"), note="A note"
    )
    lines = locked.get(f"/session/{session}/export.jsonl").text.rstrip("\n").split("\n")
    done = recall(locked, "show", session, "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(lines) > 0
    for row, record in zip(rows, map(json.loads, lines), strict=True):
        assert renamed(row, NAMES) == {n: record.get(n) for n in NAMES.values()}
        for block, other in zip(row["blocks"], record["blocks"], strict=True):
            assert renamed(block, BLOCK) == {n: other.get(n) for n in BLOCK.values()}
            assert bool(block.get("failed")) == bool(other.get("is_error"))


def renamed(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {name: row.get(own) for own, name in names.items()}
