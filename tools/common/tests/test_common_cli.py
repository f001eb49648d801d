"""The look of every tool: its help, its shared options, its bars."""

import os
import pty
import re
import subprocess
import sys

import pytest
from cclake_common.cli import DATABASE, Json, MongoDb, MongoUri, make_app
from typer.testing import CliRunner

BARS = """
from cclake_common.progress import bars
with bars({unit!r}, hidden={hidden}) as shown:
    shown.start("reading", 3000)
    shown.advance("reading", 1500)
    shown.move("writing [b]", 7, 9)
print("done", shown.shown)
"""


def run(*words: str, **environ: str) -> str:
    app = make_app("Look after things.", no_args_is_help=True)

    @app.command()
    def look(
        mongo_uri: MongoUri = None, mongo_db: MongoDb = DATABASE, as_json: Json = False
    ) -> None:
        """Look at a thing for so long that its sentence does not fit into one line.

        The rest is in its own help.
        """
        print(mongo_uri, mongo_db, as_json)

    app.command("leave")(lambda: None)
    return CliRunner().invoke(app, words, env={"COLUMNS": "60", **environ}).stdout


def test_help_is_plain_text_with_whole_sentences() -> None:
    for word in ("-h", "--help"):
        text = run(word)
        assert "Look after things." in text
        assert "│" not in text
        sentence = " ".join(text.split())
        assert "so long that its sentence does not fit into one line" in sentence
        assert "The rest is" not in text
    assert "The rest is in its own help." in run("look", "-h")


def test_an_option_wins_over_its_variable() -> None:
    assert run("look") == "None claude_logs False\n"
    environ = {"MONGO_URI": "mongodb://there", "MONGO_DB": "logs"}
    assert run("look", **environ) == "mongodb://there logs False\n"
    given = ("look", "--mongo-uri", "mongodb://here", "--json")
    assert run(*given, **environ) == "mongodb://here logs True\n"


@pytest.mark.parametrize(
    ("unit", "shows"), [("rows", "1,500 of 3,000 rows"), ("bytes", "1.5 kB of 3.0 kB")]
)
def test_a_bar_shows_what_is_done_on_a_terminal(unit: str, shows: str) -> None:
    here, there = pty.openpty()
    command = [sys.executable, "-c", BARS.format(unit=unit, hidden=False)]
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=there, env=environ)
    os.close(there)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(here, 65536).decode())
    os.close(here)
    assert done.stdout == b"done True\n"
    assert shows in drawn
    assert "writing [b]" in drawn


@pytest.mark.parametrize("hidden", [True, False])
def test_nothing_is_shown_elsewhere(hidden: bool) -> None:
    command = [sys.executable, "-c", BARS.format(unit="rows", hidden=hidden)]
    done = subprocess.run(command, capture_output=True)
    assert (done.stdout, done.stderr) == (b"done False\n", b"")
