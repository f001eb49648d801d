"""Wait until data is on the disk."""

import contextlib
import fcntl
import os
import sys
from pathlib import Path


def sync(descriptor: int) -> None:
    """Wait until an open file, or the entries of an open folder, are on the disk."""
    if sys.platform == "darwin":
        # There fsync returns when the drive has the data in its cache.
        with contextlib.suppress(OSError):  # file systems of other machines lack it
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_path(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
