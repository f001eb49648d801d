"""One extraction: everything acknowledged that the table does not have yet."""

import itertools
from contextlib import closing

from cclake_archive.client import Document
from cclake_archive.watermarks import acknowledged
from cclake_common.failure import TRY_LATER, Failure
from cclake_lake.catalog import open_catalog
from cclake_lake.settings import Lake
from pyiceberg.table import Table
from pymongo.database import Database

from cclake_extract import mongo
from cclake_extract.bronze import ensure_table
from cclake_extract.calm import undisturbed
from cclake_extract.commit import Moved, append, refresh
from cclake_extract.datafile import described
from cclake_extract.outcome import Outcome
from cclake_extract.source import Advance, Source
from cclake_extract.state import State, last_run, state_of

TRIES = 50


def extract(
    lake: Lake,
    database: Database[Document],
    advance: Advance = lambda _: None,
) -> Outcome:
    """Take over what is new, exactly once, even beside other extractors.

    Raises:
        Failure: The catalog can't be reached or stays busy.
        PyMongoError: MongoDB fails; what was committed before stays right.
    """
    catalog = open_catalog(lake)
    table = ensure_table(lake, catalog)
    source = Source(database, advance)
    outcome = Outcome()
    for _ in range(TRIES):
        try:
            _extract(table, source, outcome)
            break
        except Moved:
            refresh(table)
    else:
        raise Failure(
            "other extractions were faster each time: not all is extracted",
            "run it again: it resumes from what they have committed",
            TRY_LATER,
        )
    return finish(table, database, outcome)


def _extract(table: Table, source: Source, outcome: Outcome) -> None:
    state = state_of(table)
    ranges = mongo.behind(acknowledged(source.database), state.watermarks)
    if not ranges:
        return
    runs = itertools.count(last_run(table) + 1)
    marks = dict(state.watermarks)
    with closing(source.read(table, ranges, runs)) as found:
        for share, piece in found:
            outcome.dead += piece.dead
            marks |= {buffer: seq for buffer, _, seq in share.ranges}
            if not piece.files:
                continue  # nothing to add: no commit for a watermark alone
            after = State(dict(marks), share.run, state.base)
            with undisturbed():  # from here on the files are nobody's but ours
                files = [described(table, file) for file in piece.files]
                append(table, files, state, after)
            state = after
            outcome.rows += piece.rows
            outcome.commits += 1


def finish(table: Table, database: Database[Document], outcome: Outcome) -> Outcome:
    """Complete the outcome with where the table stands now."""
    state = state_of(table)
    acked = acknowledged(database)
    head = table.current_snapshot()
    outcome.run = state.run
    outcome.snapshot_id = head.snapshot_id if head else None
    outcome.watermarks = state.watermarks
    outcome.ahead = sorted(
        buffer for buffer, seq in state.watermarks.items() if seq > acked.get(buffer, 0)
    )
    return outcome
