"""Check the preconditions of a start; each failure says what to do."""

import os
import shutil
import socket
import stat
from pathlib import Path

from cclake_archive.client import connect, unreachable
from cclake_common import settings
from cclake_common.failure import Failure
from pymongo.errors import PyMongoError

MIN_FREE_BYTES = 512 * 2**20
MONGO_WAIT_MS = 5000


def check_data_directory() -> Path:
    """Create the data directory if it is missing; check that it is usable.

    Raises:
        Failure: It can't be created or written, or the disk is full.
    """
    home = settings.home()
    # supervisord takes % for the start of a variable, and dbt's adapter takes # and ?
    # for parts of a URL.
    if odd := [sign for sign in "%#?" if sign in str(home)]:
        raise Failure(
            f"the data directory {home} has a {odd[0]} in its name",
            f"Set CCLAKE_HOME to a folder without {odd[0]}.",
        )
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Failure(
            f"cannot create the data directory {home}: {error.strerror}",
            "Set CCLAKE_HOME to a folder that you can write.",
        ) from None
    if not os.access(home, os.W_OK):
        raise Failure(
            f"the data directory {home} is not writable",
            "Set CCLAKE_HOME to a folder that you can write.",
        )
    if home.stat().st_mode & stat.S_IWOTH:
        raise Failure(
            f"the data directory {home} is writable by everybody",
            f"Run: chmod o-w '{home}'",
        )
    free = shutil.disk_usage(home).free
    if free < MIN_FREE_BYTES:
        raise Failure(
            f"only {free // 2**20} MB are free on the disk of {home}",
            "Free at least 512 MB, or set CCLAKE_HOME to another disk.",
        )
    return home


def check_roots() -> list[Path]:
    """Return the folders to archive; only the default one may be missing.

    Raises:
        Failure: A folder that `CLAUDE_DIR` names does not exist.
    """
    for root in settings.roots():
        if not root.is_dir() and os.environ.get("CLAUDE_DIR"):
            raise Failure(
                f"the folder {root} does not exist",
                "Create it, or set CLAUDE_DIR to the folder of your Claude Code logs.",
            )
    return settings.roots()


def check_numbers() -> None:
    """Check the settings that must be numbers.

    Raises:
        Failure: One of them is not a positive number.
    """
    kinds = {"SYNC_INTERVAL_MS": int, "BATCH_SIZE": int, "PIPELINE_INTERVAL_S": float}
    for name, kind in kinds.items():
        given = os.environ.get(name) or "1"
        try:
            good = kind(given) > 0
        except ValueError:
            good = False
        if not good:
            what = "a whole number" if kind is int else "a number"
            raise Failure(f"{name} is {given!r}", f"Set it to {what} above 0.")


def check_port(port: int, variable: str, purpose: str) -> None:
    """Check that a port of the loopback interface is free.

    Raises:
        Failure: A program listens on it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Failure(
                f"cannot use port {port} ({purpose}): {error.strerror}",
                f"Stop the program that listens there, or set {variable} to a free"
                " port.",
            ) from None


def check_mongo(wait_ms: int = MONGO_WAIT_MS) -> str:
    """MongoDB answers; returns its version.

    Raises:
        Failure: It does not, or `MONGO_URI` is wrong.
    """
    uri = settings.mongo_uri()
    hint = "Start it, or correct MONGO_URI, or unset MONGO_URI for the private one."
    try:
        with connect(uri, "stack", serverSelectionTimeoutMS=wait_ms) as client:
            return str(client.server_info()["version"])
    except PyMongoError as error:
        raise unreachable(uri, error, hint, code=1) from None
