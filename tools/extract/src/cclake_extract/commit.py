"""Commit rows and watermark as one snapshot, so that no row is added twice."""

import contextlib
import random
import time
from collections.abc import Callable, Iterable

import orjson
from cclake_common.failure import TRY_LATER, Failure
from cclake_lake.properties import FILES, LAST_RUN
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NoSuchTableError,
    ServiceUnavailableError,
    TooManyRequestsError,
)
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import AssertRefSnapshotId
from pyiceberg.table.update.snapshot import ManageSnapshots
from sqlalchemy.exc import OperationalError

from cclake_extract.signals import defer_sigint
from cclake_extract.watermark import State, last_run, state_of

ATTEMPTS = 20
NAMED_FILES = 50
_BUSY = (OperationalError, ServiceUnavailableError, TooManyRequestsError)


class Moved(Exception):
    """Another run moved the watermark: what was read must be read again."""


def append(table: Table, files: list[DataFile], before: State, after: State) -> None:
    """Add files to the table and move its state from `before` to `after`.

    A commit that loses against maintenance (compaction, expiry) is tried again
    on the new head. One that loses against another extraction is not.

    Raises:
        Moved: The head is no longer at `before`; the files are removed.
        Failure: The catalog stays busy.
    """

    def attempt(transaction: Transaction) -> int:
        if state_of(table) != before or last_run(table) >= after.run:
            raise Moved
        summary = after.summary() | _file_names(table, files)
        producer = transaction.update_snapshot(summary).merge_append()
        for file in files:
            producer.append_data_file(file)
        producer.commit()
        return producer.snapshot_id

    with defer_sigint():
        try:
            assert_files_exist(table, files)
            commit(table, attempt)
        except Moved:
            remove(table, (file.file_path for file in files))
            raise


def _file_names(table: Table, files: list[DataFile]) -> dict[str, str]:
    """Return the property that names the new files, so that no manifest is read.

    Every commit writes the properties of all kept snapshots, so long lists are left
    out.
    """
    if len(files) > NAMED_FILES:
        return {}
    below = f"{table.location()}/"
    names = [file.file_path.removeprefix(below) for file in files]
    return {FILES: orjson.dumps(names).decode()}


def replace(
    table: Table,
    removed: Callable[[], list[DataFile]],
    files: list[DataFile],
    state: Callable[[], State],
) -> None:
    """Replace files of the head by others, in one snapshot with a state.

    Args:
        table: The table; refreshed before every attempt but the first.
        removed: Returns the files of the head to delete; called at every attempt.
        files: The files to add.
        state: Returns the state of the new snapshot; called at every attempt.
    """

    def attempt(transaction: Transaction) -> int:
        producer = transaction.update_snapshot(state().summary()).overwrite()
        # Without a predicate pyiceberg does not look into unpartitioned manifests.
        producer.delete_by_predicate(AlwaysTrue())
        for file in removed():
            producer.delete_data_file(file)
        for file in files:
            producer.append_data_file(file)
        producer.commit()
        return producer.snapshot_id

    commit(table, attempt)


def commit(table: Table, attempt: Callable[[Transaction], int | None]) -> None:
    """Run an attempt on the newest head until one is accepted.

    Args:
        table: The table; holds the new head afterwards.
        attempt: Stages the change; returns the id of its snapshot, if it has one.

    Raises:
        Failure: Other processes won every attempt.
    """
    with defer_sigint():
        _commit(table, attempt)


def refresh(table: Table) -> None:
    """Bring the table to its newest head.

    Raises:
        Failure: The table was dropped or recreated.
    """
    try:
        table.refresh()
    except (NoSuchTableError, ValueError) as error:
        if isinstance(error, ValueError) and "UUID" not in str(error):
            raise
        raise Failure(
            "the table was dropped or recreated in the meantime",
            "Run it again: it starts from the current table.",
            TRY_LATER,
        ) from error


def _commit(table: Table, attempt: Callable[[Transaction], int | None]) -> None:
    for number in range(ATTEMPTS):
        if number:
            time.sleep(random.uniform(0, min(0.02 * 2**number, 2)))
            refresh(table)
        transaction = table.transaction()
        snapshot = attempt(transaction)
        try:
            transaction.commit_transaction()
        except CommitFailedException:
            continue
        except NoSuchTableError:
            refresh(table)
            continue
        except (*_BUSY, CommitStateUnknownException, OSError) as error:
            if landed(table, snapshot):
                return
            if "readonly" in str(error):
                raise Failure(
                    "the catalog is read-only",
                    "Check the owner and mode of catalog.db.",
                ) from error
            if not isinstance(error, _BUSY):
                raise Failure(
                    "the catalog did not confirm the commit",
                    "Run it again later: it resumes from what the catalog holds.",
                    TRY_LATER,
                ) from error
            continue
        return
    raise Failure(
        "the catalog stayed busy: nothing was committed",
        "Another extraction or table maintenance is running. Run it again later.",
        TRY_LATER,
    )


def assert_files_exist(table: Table, files: list[DataFile]) -> None:
    """Refuse to commit files that maintenance has deleted as orphans.

    That happens when the machine sleeps for a day between writing and committing.

    Raises:
        Failure: A file is missing.
    """
    for file in files:
        if not table.io.new_input(file.file_path).exists():
            raise Failure(
                "files that were just written are missing: `extract table orphans`"
                " or another process deleted them",
                "Run it again: the table is unchanged.",
                TRY_LATER,
            )


def require_same_head(table: Table, transaction: Transaction) -> None:
    """Make the catalog refuse a change without a snapshot if the head has moved."""
    head = table.current_snapshot()
    unmoved = {"ref": MAIN_BRANCH, "snapshot-id": head.snapshot_id if head else None}
    transaction._stage((), (AssertRefSnapshotId.model_validate(unmoved),))


def landed(table: Table, snapshot: int | None) -> bool:
    """Return whether a snapshot is in the table, after a commit with an error."""
    refresh(table)
    return snapshot is not None and table.metadata.snapshot_by_id(snapshot) is not None


def remove(table: Table, paths: Iterable[str]) -> int:
    """Delete files that no snapshot holds; ignore those that do not exist.

    Returns:
        The number of deleted files.
    """
    count = 0
    for path in paths:
        with contextlib.suppress(OSError):
            table.io.delete(path)
            count += 1
    return count


def rollback(table: Table, snapshot: Snapshot) -> None:
    """Make a snapshot the head; its watermark comes with it.

    The next extraction reads again what came after. Numbers of runs that were
    rolled back are not reused, so that a load notices.
    """

    def attempt(transaction: Transaction) -> None:
        transaction.set_properties({LAST_RUN: str(last_run(table))})
        moved = ManageSnapshots(transaction)
        moved.set_current_snapshot(snapshot_id=snapshot.snapshot_id).commit()

    commit(table, attempt)
