"""Forget old snapshots, and later delete what only they needed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
from pyiceberg.table import Table, Transaction
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update.snapshot import ExpireSnapshots

from cclake_extract.care.reach import found_in, needed
from cclake_extract.commit import assert_unmoved, commit, remove
from cclake_extract.names import FORGOTTEN, LAST_RUN
from cclake_extract.state import last_run

# pyiceberg copies all kept snapshots several times in each commit.
KEEP = 15
HOURS, DAYS = 24, 30
GRACE = timedelta(hours=1)


@dataclass
class Expiry:
    """What an expiry did.

    Attributes:
        snapshots: Snapshots forgotten.
        deleted: Files deleted that only forgotten snapshots needed.
    """

    snapshots: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class Forgotten:
    """Snapshots that one expiry took out of the table, and whose files still lie there.

    Attributes:
        at: When, in milliseconds since 1970.
        lists: Their manifest lists.
    """

    at: int
    lists: tuple[str, ...]


def expire(table: Table, keep: int = KEEP, grace: timedelta = GRACE) -> Expiry:
    """Forget snapshots that the policy does not keep; delete what has had its grace.

    Kept are the newest `keep`, then the newest of each hour for a day and of
    each day for a month, and whatever a branch or a tag names. The commit that
    forgets snapshots notes their manifest lists in a property of the table; the first
    expiry that comes after `grace` deletes what those lead to and nothing else needs.
    A reader that planned on a forgotten snapshot has that long to finish.

    Whenever it is killed, the note or the orphan sweep leads the next one to the files.
    No file of ours is needed: some catalogs accept none but Iceberg's.
    """
    result = Expiry()
    for _ in range(2):  # without grace, what the first forgets the second deletes
        now = datetime.now(UTC)
        ripe = [one for one in forgotten(table) if now - _moment(one.at) >= grace]
        victims = {snapshot.snapshot_id for snapshot in doomed(table, keep)}
        if not (ripe or victims):
            break
        result.deleted += _sweep(table, ripe)
        commit(table, partial(_forget, table, victims=victims, swept=ripe))
        result.snapshots += len(victims)
    return result


def doomed(table: Table, keep: int) -> list[Snapshot]:
    """Return the snapshots that the policy does not keep."""
    newest_first = sorted(
        table.metadata.snapshots, key=lambda s: s.sequence_number or 0, reverse=True
    )
    named = {ref.snapshot_id for ref in table.metadata.refs.values()}
    kept = named | {s.snapshot_id for s in newest_first[:keep]}
    kept |= set(_thinned(newest_first))
    return [s for s in newest_first if s.snapshot_id not in kept]


def forgotten(table: Table) -> list[Forgotten]:
    """Return what earlier expiries have forgotten and not deleted yet."""
    try:
        return [
            Forgotten(int(at), tuple(_whole(table, name) for name in names))
            for at, names in orjson.loads(table.properties.get(FORGOTTEN, "[]"))
        ]
    except (ValueError, TypeError, AttributeError):
        return []  # written by another tool: the orphan sweep deletes the files


def _whole(table: Table, name: str) -> str:
    is_whole = name.startswith("/") or "://" in name
    return name if is_whole else f"{table.location()}/{name}"


def waiting(table: Table) -> set[str]:
    """Return the files of forgotten snapshots, as far as they can still be read."""
    return found_in(table, _lists(forgotten(table)))


def _lists(entries: Iterable[Forgotten]) -> list[str]:
    return [path for one in entries for path in one.lists]


def _sweep(table: Table, ripe: list[Forgotten]) -> int:
    """Delete the files of forgotten snapshots that nothing needs.

    The lists go last: a kill on the way leaves them for the next expiry.
    """
    if not ripe:
        return 0
    lists = set(_lists(ripe))
    files = found_in(table, lists) - needed(table)
    return remove(table, [*sorted(files - lists), *sorted(files & lists)])


def _thinned(newest_first: list[Snapshot]) -> Iterator[int]:
    now = datetime.now(UTC)
    seen: set[str] = set()
    for snapshot in newest_first:
        at = _moment(snapshot.timestamp_ms)
        slots = []
        if now - at < timedelta(hours=HOURS):
            slots.append(f"{at:%Y-%m-%d %H}")
        if now - at < timedelta(days=DAYS):
            slots.append(f"{at:%Y-%m-%d}")
        if any(slot not in seen for slot in slots):
            yield snapshot.snapshot_id
        seen.update(slots)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _forget(
    table: Table, transaction: Transaction, victims: set[int], swept: list[Forgotten]
) -> None:
    """Stage the removal; refused when the head moves, since a rollback may need one."""
    named = {ref.snapshot_id for ref in table.metadata.refs.values()}
    gone = [
        snapshot
        for snapshot in table.metadata.snapshots
        if snapshot.snapshot_id in victims - named
    ]
    noted = [one for one in forgotten(table) if one not in swept]
    if gone:
        at = int(datetime.now(UTC).timestamp() * 1000)
        noted.append(Forgotten(at, tuple(one.manifest_list for one in gone)))
    below = f"{table.location()}/"
    short = [(e.at, [name.removeprefix(below) for name in e.lists]) for e in noted]
    text = orjson.dumps(short).decode()
    transaction.set_properties({LAST_RUN: str(last_run(table)), FORGOTTEN: text})
    if gone:
        ExpireSnapshots(transaction).by_ids([one.snapshot_id for one in gone]).commit()
    assert_unmoved(table, transaction)
