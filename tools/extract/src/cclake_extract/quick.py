"""The answer to "anything new?" without loading the lake's libraries."""

from typing import Any

import orjson
from cclake_lake.metadata import UNREADABLE, read_metadata
from cclake_lake.settings import Lake

from cclake_extract.mongo import behind
from cclake_extract.names import RUN, WATERMARKS
from cclake_extract.outcome import Outcome


def nothing_new(lake: Lake, acked: dict[str, int]) -> dict[str, Any] | None:
    """The outcome of a run that would find nothing; None when it must look itself.

    Args:
        lake: The table.
        acked: How far each buffer is acknowledged.
    """
    try:
        head = _head(lake)
        summary = head["summary"]
        marks: dict[str, int] = orjson.loads(summary[WATERMARKS])
        run = int(summary[RUN])
    except UNREADABLE:
        return None
    if behind(acked, marks):
        return None
    outcome = Outcome(run=run, snapshot_id=head["snapshot-id"], watermarks=marks)
    outcome.ahead = sorted(b for b, seq in marks.items() if seq > acked.get(b, 0))
    return outcome.as_dict() | {"care": None}


def _head(lake: Lake) -> dict[str, Any]:
    table = read_metadata(lake)
    (head,) = (
        snapshot
        for snapshot in table["snapshots"]
        if snapshot["snapshot-id"] == table["current-snapshot-id"]
    )
    return dict(head)
