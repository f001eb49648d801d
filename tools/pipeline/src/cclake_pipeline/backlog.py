"""Load most of a backlog while it is still being archived."""

import os
import select
from contextlib import suppress

from cclake_common.stop import Stop

from cclake_pipeline.stages import Stages
from cclake_pipeline.watermarks import Unreachable, Watermarks

MANY = 50_000
"""Number of new lines that are worth the start of two processes."""


def follow(
    stages: Stages,
    watermarks: Watermarks,
    done: int,
    end: int,
    stop: Stop,
    many: int = MANY,
) -> bool:
    """Extract and load what is archived, until a file descriptor is readable.

    Args:
        stages: Runs single stages.
        watermarks: How far MongoDB is.
        done: The watermark of the last run.
        end: The file descriptor.
        stop: Ends it as well.
        many: Number of new lines to wait for.

    Returns:
        Whether everything is archived; false if the file descriptor has ended, since
        its writer has, and if a stop was requested.
    """
    failed = False
    while not select.select([end, stop.fd], [], [], 0.5)[0]:
        with suppress(Unreachable):  # the run reports it
            total = watermarks.total()
            if total - done >= many and not failed:
                failed = not stages.before(stop)
                done = total
    return not stop and bool(os.read(end, 1))
