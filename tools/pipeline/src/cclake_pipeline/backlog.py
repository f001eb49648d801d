"""A backlog that is still being archived: most of it is loaded meanwhile."""

import os
import select
from contextlib import suppress

from cclake_common.stop import Stop

from cclake_pipeline.stages import Stages
from cclake_pipeline.watermarks import Unreachable, Watermarks

MANY = 50_000
"""From so many new lines on they are worth the start of two processes."""


def follow(
    stages: Stages,
    watermarks: Watermarks,
    done: int,
    end: int,
    stop: Stop,
    many: int = MANY,
) -> bool:
    """Extract and load what is archived, until something comes from a file descriptor.

    Args:
        stages: Runs single stages.
        watermarks: How far MongoDB is.
        done: The watermark of the last run.
        end: The file descriptor.
        stop: Ends it as well.
        many: How many new lines are waited for.

    Returns:
        Whether all is archived; false where the file descriptor has ended, since who
        would say so is gone, and where it was stopped.
    """
    failed = False
    while not select.select([end, stop.fd], [], [], 0.5)[0]:
        with suppress(Unreachable):  # the run says it
            total = watermarks.total()
            if total - done >= many and not failed:
                failed = not stages.before(stop)
                done = total
    return not stop and bool(os.read(end, 1))
