"""Start Metabase from its jar, and make it reopen a replaced export."""

import os
import select
import shutil
from pathlib import Path
from typing import NoReturn

from cclake_common.failure import Failure
from cclake_common.stop import Stop

from cclake_metabase.client import Client


def serve(jar: Path, port: int, data: Path, java: str) -> NoReturn:
    """Replace this process with Metabase, on loopback and without tracking.

    Raises:
        Failure: There is no such jar, or no Java.
    """
    program = shutil.which(java)
    if program is None:
        raise Failure(f"no {java} on the PATH", "Metabase needs Java 21 or later.")
    if not jar.is_file():
        raise Failure(
            f"no jar at {jar}", "Download metabase.jar, and name it with --jar."
        )
    data.mkdir(parents=True, exist_ok=True)
    settings = {
        "MB_JETTY_HOST": "127.0.0.1",
        "MB_JETTY_PORT": str(port),
        "MB_DB_TYPE": "h2",
        "MB_DB_FILE": str(data / "metabase.db"),
        "MB_PLUGINS_DIR": str(data / "plugins"),
        "MB_ANON_TRACKING_ENABLED": "false",
        "MB_CHECK_FOR_UPDATES": "false",
        "MB_LOAD_SAMPLE_CONTENT": "false",
    }
    arguments = [program, "-jar", str(jar)]
    os.execve(program, arguments, os.environ | settings)


def refresh(client: Client, database: int) -> None:
    """Make Metabase reopen the export and read its tables.

    Otherwise its connection pool keeps the replaced file open for a while.
    """
    path = f"/api/database/{database}"
    found = client.get(path)
    client.put(path, {"details": found["details"]})
    client.post(f"{path}/sync_schema", {})


def watch(client: Client, database: int, export: Path, every_s: float) -> None:
    """Refresh now, and whenever the export is replaced, until asked to stop."""
    stop = Stop()
    seen = _identity(export)  # before the refresh, so that no replacement is missed
    refresh(client, database)
    while not select.select([stop.fd], [], [], every_s)[0]:
        now = _identity(export)
        if now is not None and now != seen:
            refresh(client, database)
            seen = now


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
