"""Command line of metabase."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from cclake_common.cli import Json, make_app
from cclake_common.failure import Failure, run
from cclake_common.settings import home, in_home

from cclake_metabase import serve as serving
from cclake_metabase.apply import Apply
from cclake_metabase.check import Checked
from cclake_metabase.check import check as check_all
from cclake_metabase.client import Client
from cclake_metabase.ledger import Ledger
from cclake_metabase.model import load

app = make_app(
    """Metabase dashboards over the SQLite export, kept as code.

    Metabase reads the export, so it never has to be paused.

    Examples:

        metabase check                 # run every query on the export

        metabase serve --jar metabase.jar

        METABASE_EMAIL=me@example.com METABASE_PASSWORD=... metabase apply
    """,
    no_args_is_help=True,
)

Url = Annotated[
    str | None,
    typer.Option(
        envvar="METABASE_URL",
        show_default="http://127.0.0.1:$METABASE_PORT",
        help="Address of Metabase.",
    ),
]
Port = Annotated[int, typer.Option(envvar="METABASE_PORT", help="Port on 127.0.0.1.")]
Key = Annotated[
    str, typer.Option("--api-key", envvar="METABASE_API_KEY", help="An API key.")
]
Email = Annotated[
    str,
    typer.Option(
        envvar="METABASE_EMAIL",
        help="Email of an administrator; in a new Metabase, this user is created.",
    ),
]
Password = Annotated[
    str, typer.Option(envvar="METABASE_PASSWORD", help="Password of that user.")
]
Wait = Annotated[
    float, typer.Option("--wait", help="Maximum seconds to wait for Metabase.")
]
Export = Annotated[
    Path | None,
    typer.Option(
        "--export",
        show_default="$EXPORT_DIR/conversations.db",
        help="The SQLite export, as Metabase sees it.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--dashboards",
        envvar="METABASE_DASHBOARDS",
        show_default="the built-in dashboards",
        help="Folder with dashboards of your own.",
    ),
]


@app.command()
def check(export: Export = None, folder: Folder = None, as_json: Json = False) -> None:
    """Run every query on the export and match columns with the settings."""
    found = check_all(load(folder), _export(export))
    if as_json:
        print(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
    else:
        for each in found:
            print(_line(each))
    if any(each.problem for each in found):
        raise typer.Exit(1)


@app.command()
def apply(
    url: Url = None,
    port: Port = 3001,
    key: Key = "",
    email: Email = "",
    password: Password = "",
    wait: Wait = 180,
    export: Export = None,
    folder: Folder = None,
    pages: Annotated[
        str | None,
        typer.Option(
            envvar="CCLAKE_PAGES_URL",
            show_default="http://127.0.0.1:$WEB_PORT",
            help="Address of the pages, for links to sessions.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create or update the database, the collection, the questions and the dashboards.

    A second run changes nothing. A dashboard that was edited by hand is overwritten
    only if its code has changed.
    """
    address = _address(url, port)
    dashboards = load(folder)
    with Client(address, key) as client:
        _sign_in(client, wait, key, email, password)
        ledger = Ledger(_ledger(), address)
        work = Apply(client, ledger, pages or _pages())
        try:
            work.run(dashboards, _export(export))
        finally:
            if as_json:
                changes = [dataclasses.asdict(each) for each in work.changes]
                print(json.dumps(changes, indent=2))
            else:
                for each in work.changes:
                    print(f"{each.what:9} {each.name}")
    if not work.changes and not as_json:
        print("nothing to change", file=sys.stderr)


@app.command()
def refresh(
    url: Url = None,
    port: Port = 3001,
    key: Key = "",
    email: Email = "",
    password: Password = "",
    wait: Wait = 180,
    export: Export = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Do so after each new export.")
    ] = False,
) -> None:
    """Make Metabase reopen the export after it was replaced."""
    address = _address(url, port)
    made = Ledger(_ledger(), address).get("database")
    if made is None:
        raise Failure("nothing has been applied", "Run `metabase apply` first.")
    with Client(address, key) as client:
        _sign_in(client, wait, key, email, password)
        if follow:
            serving.watch(client, made.id, _export(export), 2.0)
        else:
            serving.refresh(client, made.id)


@app.command()
def serve(
    jar: Annotated[
        Path,
        typer.Option(envvar="METABASE_JAR", help="metabase.jar, version 50 or later."),
    ],
    port: Port = 3001,
    java: Annotated[
        str, typer.Option(envvar="JAVA", help="Java 21 or later.")
    ] = "java",
) -> None:
    """Run Metabase on 127.0.0.1, with its own data in the data directory."""
    serving.serve(jar, port, home() / "metabase", java)


def _sign_in(client: Client, wait: float, key: str, email: str, password: str) -> None:
    client.wait(wait)
    if key:
        return
    if not (email and password):
        raise Failure(
            "no Metabase credentials",
            "Set METABASE_API_KEY, or METABASE_EMAIL and METABASE_PASSWORD.",
        )
    client.sign_in(email, password)


def _address(url: str | None, port: int) -> str:
    return url or f"http://127.0.0.1:{port}"


def _pages() -> str:
    return f"http://127.0.0.1:{os.environ.get('WEB_PORT') or 3000}"


def _export(path: Path | None) -> Path:
    return path or in_home("EXPORT_DIR", "exports") / "conversations.db"


def _ledger() -> Path:
    return home() / "metabase" / "applied.json"


def _line(each: Checked) -> str:
    verdict = each.problem or f"{each.rows} rows"
    return f"{each.dashboard} / {each.card}: {verdict}"


def main() -> None:
    """Run the console script."""
    run("metabase", app)
