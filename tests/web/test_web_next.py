"""The pages on a Datasette 1.0 alpha, where one is at hand.

`CCLAKE_DATASETTE_NEXT` names its `datasette` command, of an environment in which
this plugin is installed too; without it the test is skipped.
"""

import os
import subprocess
from pathlib import Path

import httpx
import pytest
from harness import PATIENCE, free_port, wait_for
from sample import GITHUB_TOKEN, HOSTILE, LONG, MAIN, sample

NEXT = os.environ.get("CCLAKE_DATASETTE_NEXT", "")
METADATA = Path(__file__).parents[2] / "datasette/src/cclake_web/metadata.yaml"
TABLE = "/conversations/thread_blocks"


@pytest.mark.skipif(not NEXT, reason="CCLAKE_DATASETTE_NEXT is not set")
def test_every_page_works_on_the_next_datasette(tmp_path: Path) -> None:
    sample().write(tmp_path / "exports" / "conversations.db")
    port = free_port()
    env = {
        "HOME": str(tmp_path), "EXPORT_DIR": str(tmp_path / "exports"), "TZ": "UTC",
        "MONGO_URI": "mongodb://127.0.0.1:9", "PATH": os.environ["PATH"],
    }  # fmt: skip
    command = [NEXT, "serve", "--metadata", str(METADATA), "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE
        ) as client:
            wait_for(lambda: _answers(client), "it answers")
            _look(client)
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code == 200
    except httpx.TransportError:
        return False


def _look(client: httpx.Client) -> None:
    for path in (
        "/", "/?sort=cost", f"/session/{MAIN}", f"/session/{LONG}?page=3", "/search?q=row",
        f"/session/{HOSTILE}", "/dashboard?period=30", "/palette.json?q=row", "/conversations",
        f"/session/{MAIN}/export.md", "/export/sessions.csv", TABLE,
    ):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "content-security-policy" in answer.headers
        assert GITHUB_TOKEN not in answer.text, path
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    tools = client.get("/conversations/tools.json").json()
    assert "Bash" in {row["tool_name"] for row in tools["rows"]}
    asked = f"{TABLE}.json?text__contains=the+key+is"
    assert GITHUB_TOKEN not in client.get(asked).text
    assert GITHUB_TOKEN in client.get(f"{asked}&_reveal=1").text
