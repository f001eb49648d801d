"""Find a mongod, and run it privately."""

import importlib.util
import os
import shutil
import sys
import time
from pathlib import Path
from typing import NoReturn

from cclake_common import settings
from cclake_common.failure import Failure
from cclake_common.lock import Lock
from cclake_common.visible import visible

# Memory above 15 % of the cache is returned once the work that needed it is done; a
# smaller cache stalls on documents of 16 MB. Room for 33,000 sessions, the default,
# takes 45 MB. A journal file takes its full size from the start, and each of 128
# buffers up to a tenth of it: files of 100 MB, the default, and spare ones are for
# servers with more to write. With 1 MB instead of 10, mongod takes 27 MB less after
# use, and as much CPU time. A record of 45 MB fits in.
ENGINE = "eviction_target=15,session_max=1000,log=(prealloc=false,file_max=1MB)"


def find_mongod() -> Path:
    """Return the mongod to run: `$MONGOD`, the one on PATH, or that of the PyPI wheel.

    Raises:
        Failure: None of them exists.
    """
    chosen = os.environ.get("MONGOD")
    if chosen:
        path = Path(chosen).expanduser()
        if os.access(path, os.X_OK):
            return path
        raise Failure(f"cannot run MONGOD={chosen}", "Set it to a mongod, or unset it.")
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


def private_command(dbpath: Path, *address: str) -> list[str]:
    """Return the command line of a mongod (5.0 or later) with its data in a folder.

    Args:
        dbpath: The folder.
        address: Options for the address to listen on.
    """
    return [
        str(find_mongod()),
        *("--dbpath", str(dbpath), *address),
        *("--wiredTigerCacheSizeGB", "0.25"),  # the minimum; 0.5 was not faster
        *("--wiredTigerEngineConfigString", ENGINE),
        # Writes ask for the journal by themselves; this only wakes an idle server.
        *("--journalCommitInterval", "500"),
        "--setParameter=ttlMonitorSleepSecs=3600",  # only its own sessions expire
        "--setParameter=maxIndexBuildMemoryUsageMegabytes=100",
        *("--wiredTigerCollectionBlockCompressor", "zstd"),
        # Level 3 takes half the CPU of the default 6 for the same size here.
        *("--zstdDefaultCompressionLevel", "3"),
        "--setParameter=diagnosticDataCollectionEnabled=false",
    ]


def become_private() -> NoReturn:
    """Replace this process with the data directory's mongod, once no other one runs.

    It listens on a unix socket that only this user can open, and on no port. So other
    users of this machine have no access, and no password is needed.
    """
    dbpath = settings.home() / "mongo"
    dbpath.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A second mongod would take the socket from the first before it fails.
    lock = Lock(settings.home() / "mongo.lock")
    waits = False
    while not lock.take("stack mongod"):
        if not waits:
            print(visible(f"waiting for the end of {lock.holder()}"), file=sys.stderr)
        waits = True
        time.sleep(0.1)
    lock.keep()
    socket = settings.socket_path("mongo.sock")
    listening = ("--bind_ip", str(socket), "--nounixsocket")
    command = private_command(dbpath, *listening, "--filePermissions", "0700")
    # tcmalloc returns what is freed to the system at once, where mongod has it.
    os.execve(command[0], command, {**os.environ, "TCMALLOC_AGGRESSIVE_DECOMMIT": "1"})


def _embedded() -> Path | None:
    spec = importlib.util.find_spec("fiftyone")
    for place in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(place) / "db" / "bin" / "mongod"
        if binary.exists():
            return binary
    return None
