"""Taking up where an earlier run ended."""

import sys
from pathlib import Path

from cclake_common.failure import Failure

from cclake_tailer.catalog import Catalog
from cclake_tailer.records import decode


def load(source: str, catalog: Catalog) -> None:
    """Put checkpoint records into a catalog.

    Args:
        source: A file with records, or '-' for standard input. Records of other
            kinds and of other hosts are passed over.
        catalog: Where they go.

    Raises:
        Failure: The file can't be read, or holds something else than records.
    """
    try:
        with sys.stdin.buffer if source == "-" else Path(source).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                _take(line, f"{source}:{number}", catalog)
    except OSError as error:
        raise Failure(
            f"cannot read checkpoints from {source}: {error.strerror}",
            "Leave --resume out to read everything from the start.",
        ) from error


def _take(line: bytes, where: str, catalog: Catalog) -> None:
    if not line.strip():
        return
    try:
        known = decode(line)
    except ValueError as error:
        raise Failure(
            f"{where} is not a record: {error}",
            "Give the output of 'buffer checkpoints' or of an earlier tailer.",
        ) from error
    if known is not None and known.host == catalog.host:
        catalog.resume(known)
