"""Load most of a backlog while it is still being archived."""

import os
import select
from contextlib import suppress

from cclake_common.stop import Stop

from cclake_pipeline.stages import Stages
from cclake_pipeline.watermarks import Unreachable, Watermarks

MANY = 25_000
"""Number of new lines to extract at once."""
FULL = 122_880
"""Number of new lines to load at once: a row group of DuckDB.

Each load compresses the last row group again."""


def follow(
    stages: Stages,
    watermarks: Watermarks,
    done: int,
    end: int,
    stop: Stop,
    many: int = MANY,
    full: int = FULL,
) -> bool:
    """Extract and load what is archived, until a file descriptor is readable.

    Args:
        stages: Runs single stages.
        watermarks: How far MongoDB is.
        done: The watermark of the last run.
        end: The file descriptor.
        stop: Ends it as well.
        many: Number of new lines to wait for before they are extracted.
        full: The same before they are loaded.

    Returns:
        Whether everything is archived; false if the file descriptor has ended, since
        its writer has, and if a stop was requested.
    """
    failed, loaded = False, done
    while not select.select([end, stop.fd], [], [], 0.5)[0]:
        with suppress(Unreachable):  # the run reports it
            total = watermarks.total()
            if total - done >= many and not failed:
                failed = not stages.before("extract", stop)
                done = total
            if done - loaded >= full and not failed:
                failed = not stages.before("load", stop)
                loaded = done
    return not stop and bool(os.read(end, 1))
