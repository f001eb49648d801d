"""Find a real mongod and the command that runs it privately."""

import importlib.util
import os
import shutil
from pathlib import Path

from cclake_common.failure import Failure


def find_mongod() -> Path:
    """The mongod to run: `$MONGOD`, the one on PATH, or the one of the PyPI wheel.

    Raises:
        Failure: None of the three is there.
    """
    chosen = os.environ.get("MONGOD")
    if chosen:
        path = Path(chosen).expanduser()
        if os.access(path, os.X_OK):
            return path
        raise Failure(f"MONGOD={chosen} cannot be run", "Name a mongod, or unset it.")
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path)
    embedded = _embedded()
    if embedded and os.access(embedded, os.X_OK):
        return embedded
    raise Failure(
        "no mongod found",
        "Install MongoDB, or set MONGOD to a mongod, or MONGO_URI to a server.",
    )


def private_command(dbpath: Path, port: int, logpath: Path | None = None) -> list[str]:
    """The command line of a private mongod (5.0 or later): loopback only, journaled."""
    command = [
        str(find_mongod()),
        *("--dbpath", str(dbpath), "--port", str(port)),
        *("--bind_ip", "127.0.0.1", "--nounixsocket"),
        *("--wiredTigerCacheSizeGB", "0.5"),
        *("--wiredTigerCollectionBlockCompressor", "zstd"),
        # Level 3 takes half the CPU of the default 6 for the same size here.
        *("--zstdDefaultCompressionLevel", "3"),
        "--setParameter=diagnosticDataCollectionEnabled=false",
    ]
    if logpath:
        command += ["--logpath", str(logpath), "--logappend"]
    return command


def _embedded() -> Path | None:
    spec = importlib.util.find_spec("fiftyone")
    for place in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(place) / "db" / "bin" / "mongod"
        if binary.exists():
            return binary
    return None
