"""Forgetting old snapshots, and later deleting what only they needed."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
from pyiceberg.table import Table, Transaction
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update.snapshot import ExpireSnapshots

from cclake_extract.care.reach import needed, present, reachable
from cclake_extract.commit import assert_unmoved, commit, remove
from cclake_extract.names import LAST_RUN
from cclake_extract.state import last_run

# pyiceberg copies all kept snapshots several times in each commit.
KEEP = 15
HOURS, DAYS = 24, 30
GRACE = timedelta(hours=1)
MARK = "cclake-doomed-"


@dataclass
class Expiry:
    """What an expiry did.

    Attributes:
        snapshots: Snapshots forgotten.
        marked: Files that wait for their deletion because of it.
        deleted: Files deleted that an earlier expiry had marked.
    """

    snapshots: int = 0
    marked: int = 0
    deleted: int = 0


def expire(table: Table, keep: int = KEEP, grace: timedelta = GRACE) -> Expiry:
    """Forget snapshots that the policy does not keep; delete what has had its grace.

    Kept are the newest `keep`, then the newest of each hour for a day and of
    each day for a month, and whatever a branch or a tag names. The files that
    nothing needs any more are written to a list first and deleted by the first
    expiry that comes after `grace`: a reader that planned on a forgotten
    snapshot has that long to finish.
    """
    result = Expiry()
    victims = {snapshot.snapshot_id for snapshot in doomed(table, keep)}
    if victims:
        result.marked = _mark(table, victims)
        commit(table, lambda transaction: _forget(table, transaction, victims))
        result.snapshots = len(victims)
    result.deleted = sweep(table, grace)
    return result


def doomed(table: Table, keep: int) -> list[Snapshot]:
    """The snapshots that the policy does not keep."""
    newest_first = sorted(
        table.metadata.snapshots, key=lambda s: s.sequence_number or 0, reverse=True
    )
    named = {ref.snapshot_id for ref in table.metadata.refs.values()}
    kept = named | {s.snapshot_id for s in newest_first[:keep]}
    kept |= set(_thinned(newest_first))
    return [s for s in newest_first if s.snapshot_id not in kept]


def sweep(table: Table, grace: timedelta = GRACE) -> int:
    """Delete the files on lists older than `grace` that are still not needed."""
    now = datetime.now(UTC)
    lists = [found for found in present(table, "metadata") if MARK in found.path]
    ripe = [found.path for found in lists if now - found.modified >= grace]
    if not ripe:
        return 0
    wanted: set[str] = set()
    for path in ripe:
        wanted.update(_listed(table, path))
    wanted -= needed(table)
    remove(table, sorted(wanted))
    remove(table, ripe)
    return len(wanted)


def waiting(table: Table) -> set[str]:
    """The files on the lists that `sweep` has not deleted yet, and the lists."""
    lists = [found.path for found in present(table, "metadata") if MARK in found.path]
    paths = set(lists)
    for path in lists:
        paths.update(_listed(table, path))
    return paths


def _listed(table: Table, path: str) -> list[str]:
    """The files on a list; none on one that a kill left half, they are orphans then."""
    with table.io.new_input(path).open() as stream:
        try:
            return list(orjson.loads(stream.read()))
        except orjson.JSONDecodeError:
            return []


def _thinned(newest_first: list[Snapshot]) -> Iterator[int]:
    now = datetime.now(UTC)
    seen: set[str] = set()
    for snapshot in newest_first:
        at = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
        slots = []
        if now - at < timedelta(hours=HOURS):
            slots.append(f"{at:%Y-%m-%d %H}")
        if now - at < timedelta(days=DAYS):
            slots.append(f"{at:%Y-%m-%d}")
        if any(slot not in seen for slot in slots):
            yield snapshot.snapshot_id
        seen.update(slots)


def _mark(table: Table, victims: set[int]) -> int:
    """Write the list before the commit: a crash between the two loses nothing."""
    snapshots = table.metadata.snapshots
    stay = reachable(table, (s for s in snapshots if s.snapshot_id not in victims))
    gone = reachable(table, (s for s in snapshots if s.snapshot_id in victims)) - stay
    if gone:
        name = f"{MARK}{uuid.uuid4()}.json"
        path = table.location_provider().new_metadata_location(name)
        with table.io.new_output(path).create() as stream:
            stream.write(orjson.dumps(sorted(gone)))
    return len(gone)


def _forget(table: Table, transaction: Transaction, victims: set[int]) -> None:
    """Stage the removal; refused when the head moves, since a rollback may need one."""
    named = {ref.snapshot_id for ref in table.metadata.refs.values()}
    known = {snapshot.snapshot_id for snapshot in table.metadata.snapshots}
    transaction.set_properties({LAST_RUN: str(last_run(table))})
    ExpireSnapshots(transaction).by_ids(sorted((victims & known) - named)).commit()
    assert_unmoved(table, transaction)
