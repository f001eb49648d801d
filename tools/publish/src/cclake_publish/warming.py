"""Bringing pages of an export into memory before they are needed, many at a time.

The keys of messages are random, so each new row goes into another page of each index.
SQLite reads these pages one after the other; a disk gives many at once.
"""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

from cclake_publish.changes import Changed
from cclake_publish.gold import Gold, Table, quote
from cclake_publish.indexes import INDEXES

THREADS = 8
KEYS = 200

# Indexes over random keys; where other columns come first, new rows lie together.
RANDOM = {"message_id", "tool_use_id", "uuid"}


def warm(gold: Gold, path: Path, found: list[tuple[Table, Changed | None]]) -> int:
    """Look the new rows up in the indexes that they will go into.

    Args:
        gold: The gold tables.
        path: The SQLite export that will be brought up to date.
        found: What has changed, by table.

    Returns:
        The number of keys that were looked up.
    """
    lookups = list(_lookups(gold, found))

    def look_up(one: tuple[str, str, list[str]]) -> None:
        name, column, keys = one
        table, key = f"{quote(name)} as t", f"t.{quote(column)}"
        address = f"{path.absolute().as_uri()}?mode=ro"
        # What is damaged is told by who writes.
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(address, uri=True)) as file,
        ):
            file.execute(
                "select count(*) from json_each(?) as k where exists"
                f" (select 1 from {table} where {key} = k.value)",
                [json.dumps(keys)],
            ).fetchone()

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(look_up, lookups))
    return sum(len(keys) for _name, _column, keys in lookups)


def _lookups(
    gold: Gold, found: list[tuple[Table, Changed | None]]
) -> Iterator[tuple[str, str, list[str]]]:
    for table, changed in found:
        if not changed or changed.above is None:
            continue  # few rows, or most of them
        for column in sorted(_random_keys(table)):
            rows = gold.connection.execute(
                f"select distinct t.{quote(column)} from {gold.source(table.name)} as t"
                f" semi join {changed.name} as c on {changed.in_gold('t', 'c')}"
                f" where t.{quote(column)} is not null"
            ).fetchall()
            keys = [key for (key,) in rows]
            for place in range(0, len(keys), KEYS):
                yield table.name, column, keys[place : place + KEYS]


def _random_keys(table: Table) -> set[str]:
    first = {index.split(",")[0] for name, index in INDEXES if name == table.name}
    return {column for column in first & RANDOM if table.has(column)}
