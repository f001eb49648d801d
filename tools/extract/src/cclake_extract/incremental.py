"""Extract the acknowledged documents that the table does not have yet."""

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
from cclake_extract.commit import Moved, append, refresh
from cclake_extract.data_files import data_file
from cclake_extract.outcome import Outcome
from cclake_extract.reader import Advance, Source
from cclake_extract.schema import ensure_table
from cclake_extract.signals import defer_sigint
from cclake_extract.watermark import State, last_run, state_of

TRIES = 50


def extract(
    lake: Lake,
    database: Database[Document],
    advance: Advance = lambda _: None,
) -> Outcome:
    """Extract what is new, exactly once, even beside other extractors.

    Raises:
        Failure: The catalog can't be reached or stays busy.
        PyMongoError: MongoDB fails; what was committed before stays valid.
    """
    catalog = open_catalog(lake)
    table = ensure_table(lake, catalog)
    source = Source(database, advance)
    outcome = Outcome()
    lost = 0
    while lost < TRIES:
        before = state_of(table).watermarks
        try:
            _extract(table, source, outcome)
            break
        except Moved:
            refresh(table)
            # Where another extractor takes lines, ever fewer are left.
            lost = lost + 1 if state_of(table).watermarks == before else 0
    else:
        raise Failure(
            f"lost the commit race {TRIES} times; extraction is incomplete",
            "Run it again: it resumes from what the others have committed.",
            TRY_LATER,
        )
    return finish(table, database, outcome)


def _extract(table: Table, source: Source, outcome: Outcome) -> None:
    state = state_of(table)
    ranges = mongo.missing_ranges(acknowledged(source.database), state.watermarks)
    if not ranges:
        return
    runs = itertools.count(last_run(table) + 1)
    marks = dict(state.watermarks)
    with closing(source.read(table, ranges, runs)) as found:
        for split, piece in found:
            outcome.dead += piece.dead
            marks |= {buffer: seq for buffer, _, seq in split.ranges}
            if not piece.files:
                continue  # no commit for a watermark alone
            after = State(dict(marks), split.run, state.base)
            with defer_sigint():  # the files are in no list but ours
                piece.taken = True
                files = [data_file(table, file) for file in piece.files]
                append(table, files, state, after)
            state = after
            outcome.rows += piece.rows
            outcome.commits += 1


def finish(table: Table, database: Database[Document], outcome: Outcome) -> Outcome:
    """Complete the outcome with the current state of the table."""
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
