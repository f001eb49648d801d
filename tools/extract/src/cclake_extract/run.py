"""One extraction: everything acknowledged that the table does not have yet."""

import itertools
from collections.abc import Callable
from typing import Any

from cclake_lake.lake import Lake
from pyiceberg.table import Table
from pymongo.database import Database

from cclake_extract import mongo
from cclake_extract.bronze import ensure_table
from cclake_extract.commit import Moved, append
from cclake_extract.dead import DeadLetters
from cclake_extract.outcome import Outcome
from cclake_extract.reader import Reader
from cclake_extract.state import State, last_run, state_of

Document = dict[str, Any]
TRIES = 50


Advance = Callable[[int], None]


def extract(
    lake: Lake, database: Database[Document], advance: Advance = lambda _: None
) -> Outcome:
    """Take over what is new, exactly once, whoever else does the same.

    Raises:
        Failure: The catalog can't be reached or stays busy.
        PyMongoError: MongoDB fails; what was committed before stays right.
    """
    catalog = lake.catalog()
    table = ensure_table(lake, catalog)
    outcome = Outcome()
    for _ in range(TRIES):
        try:
            _extract(table, database, outcome, advance)
            break
        except Moved:
            table.refresh()
    return finish(table, database, outcome)


def _extract(
    table: Table, database: Database[Document], outcome: Outcome, advance: Advance
) -> None:
    state = state_of(table)
    ranges = mongo.behind(mongo.acknowledged(database), state.watermarks)
    if not ranges:
        return
    dead = DeadLetters(database)
    runs = itertools.count(last_run(table) + 1)
    for piece in Reader(database, dead, advance).pieces(
        table, ranges, state.watermarks, runs
    ):
        dead.write()
        if piece.file is None:
            continue  # nothing to add: no commit for a watermark alone
        after = State(piece.watermarks, piece.run, state.base)
        append(table, [piece.file], state, after)
        state = after
        outcome.rows += piece.rows
        outcome.commits += 1
    outcome.dead += dead.count


def finish(table: Table, database: Database[Document], outcome: Outcome) -> Outcome:
    """Complete the outcome with where the table stands now."""
    state = state_of(table)
    acked = mongo.acknowledged(database)
    head = table.current_snapshot()
    outcome.run = state.run
    outcome.snapshot_id = head.snapshot_id if head else None
    outcome.watermarks = state.watermarks
    outcome.ahead = sorted(
        buffer for buffer, seq in state.watermarks.items() if seq > acked.get(buffer, 0)
    )
    return outcome
