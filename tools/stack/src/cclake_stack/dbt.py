"""Run dbt with the settings of this data directory, and serve its documentation."""

import functools
import http.server
import os
import sys
from pathlib import Path
from typing import NoReturn

from cclake_common import settings
from cclake_common.dbt_project import dbt_project
from cclake_common.loopback import ADDRESS, Handler, Server

from cclake_stack.validate import lock_pipeline

# Commands of dbt that do not open the database; all others need the pipeline's lock.
_WITHOUT_DATABASE = {
    "serve",
    "ls",
    "list",
    "parse",
    "deps",
    "clean",
    "-h",
    "--help",
    "--version",
}


def dbt_command() -> list[str]:
    """Set the environment variables of dbt, and return its command."""
    home = settings.home()
    project = dbt_project()
    os.environ.update(
        DBT_PROJECT_DIR=str(project),
        DBT_PROFILES_DIR=str(project),
        DBT_TARGET_PATH=str(home / "dbt" / "target"),
        DBT_LOG_PATH=str(home / "dbt" / "logs"),
        DBT_USE_COLORS=str(sys.stdout.isatty() and "NO_COLOR" not in os.environ),
        DUCKDB_PATH=str(settings.in_home("DUCKDB_PATH", "analytics.duckdb")),
    )
    return [str(Path(sys.executable).parent / "dbt")]


def become_dbt(arguments: list[str]) -> NoReturn:
    """Replace this process with dbt; the pipeline waits while it uses the database."""
    command = dbt_command()
    if not _WITHOUT_DATABASE & set(arguments):
        lock_pipeline(f"dbt {' '.join(arguments)}").keep()
    os.execv(command[0], [*command, *arguments])


def serve(folder: Path, port: int) -> None:
    """Serve a folder on the loopback interface until Ctrl-C."""
    handler = functools.partial(_Files, directory=str(folder))
    with Server((ADDRESS, port), handler) as server:
        server.serve_forever()


class _Files(Handler, http.server.SimpleHTTPRequestHandler):
    """The files of a folder, for this machine only."""
