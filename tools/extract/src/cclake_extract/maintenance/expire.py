"""Expire old snapshots, and later delete the files that only they needed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
from cclake_lake.files import needed, readable_from
from cclake_lake.properties import FORGOTTEN, LAST_RUN
from pyiceberg.table import Table, Transaction
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update.snapshot import ExpireSnapshots

from cclake_extract.commit import commit, remove, require_same_head
from cclake_extract.watermark import last_run

# pyiceberg copies all kept snapshots several times in each commit.
KEEP = 15
HOURS, DAYS = 24, 30
GRACE = timedelta(hours=1)


@dataclass
class Expiry:
    """The outcome of an expiry.

    Attributes:
        snapshots: Number of expired snapshots.
        deleted: Number of deleted files that only expired snapshots needed.
    """

    snapshots: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class Expired:
    """Snapshots that one expiry removed from the table, and whose files still exist.

    Attributes:
        at: The time of the expiry, in milliseconds since 1970.
        lists: Their manifest lists.
    """

    at: int
    lists: tuple[str, ...]


def expire(table: Table, keep: int = KEEP, grace: timedelta = GRACE) -> Expiry:
    """Expire snapshots that the policy does not keep; delete files after their grace.

    The policy keeps the newest `keep`, then the newest of each hour for a day and of
    each day for a month, and whatever a branch or a tag names. The commit that expires
    snapshots records their manifest lists in a property of the table. The first expiry
    after `grace` deletes the files that only those lists need. A reader that planned
    its scan on an expired snapshot has that long to finish.

    After a kill, the property or the orphan sweep leads the next expiry to the files.
    Nothing is stored in a file of its own, since some catalogs accept only Iceberg's.
    """
    result = Expiry()
    for _ in range(2):  # without grace, the second pass deletes what the first expired
        now = datetime.now(UTC)
        ripe = [one for one in expired(table) if now - _moment(one.at) >= grace]
        victims = {snapshot.snapshot_id for snapshot in expirable(table, keep)}
        if not (ripe or victims):
            break
        result.deleted += _sweep(table, ripe)
        commit(table, partial(_expire_snapshots, table, victims=victims, swept=ripe))
        result.snapshots += len(victims)
    return result


def expirable(table: Table, keep: int) -> list[Snapshot]:
    """Return the snapshots that the policy does not keep."""
    newest_first = sorted(
        table.metadata.snapshots, key=lambda s: s.sequence_number or 0, reverse=True
    )
    named = {ref.snapshot_id for ref in table.metadata.refs.values()}
    kept = named | {s.snapshot_id for s in newest_first[:keep]}
    kept |= set(_thinned(newest_first))
    return [s for s in newest_first if s.snapshot_id not in kept]


def expired(table: Table) -> list[Expired]:
    """Return what earlier expiries removed and did not delete yet."""
    try:
        return [
            Expired(int(at), tuple(_address(table, name) for name in names))
            for at, names in orjson.loads(table.properties.get(FORGOTTEN, "[]"))
        ]
    except (ValueError, TypeError, AttributeError):
        return []  # written by another tool: the orphan sweep deletes the files


def _address(table: Table, name: str) -> str:
    is_address = name.startswith("/") or "://" in name
    return name if is_address else f"{table.location()}/{name}"


def expired_files(table: Table) -> set[str]:
    """Return the files of expired snapshots, as far as they can still be read."""
    return readable_from(table, _lists(expired(table)))


def _lists(entries: Iterable[Expired]) -> list[str]:
    return [path for one in entries for path in one.lists]


def _sweep(table: Table, ripe: list[Expired]) -> int:
    """Delete the files of expired snapshots that nothing needs.

    The lists are deleted last, so that the next expiry can resume after a kill.
    """
    if not ripe:
        return 0
    lists = set(_lists(ripe))
    files = readable_from(table, lists) - needed(table)
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


def _expire_snapshots(
    table: Table, transaction: Transaction, victims: set[int], swept: list[Expired]
) -> None:
    """Stage the removal; it fails if the head moves, since a rollback may need one."""
    named = {ref.snapshot_id for ref in table.metadata.refs.values()}
    removed = [
        snapshot
        for snapshot in table.metadata.snapshots
        if snapshot.snapshot_id in victims - named
    ]
    recorded = [one for one in expired(table) if one not in swept]
    if removed:
        at = int(datetime.now(UTC).timestamp() * 1000)
        recorded.append(Expired(at, tuple(one.manifest_list for one in removed)))
    below = f"{table.location()}/"
    short = [(e.at, [name.removeprefix(below) for name in e.lists]) for e in recorded]
    text = orjson.dumps(short).decode()
    transaction.set_properties({LAST_RUN: str(last_run(table)), FORGOTTEN: text})
    if removed:
        ExpireSnapshots(transaction).by_ids(
            [one.snapshot_id for one in removed]
        ).commit()
    require_same_head(table, transaction)
