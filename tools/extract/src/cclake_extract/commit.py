"""Commits that can't be doubled: rows and watermark are one snapshot, or nothing."""

import contextlib
import random
import time
from collections.abc import Callable, Iterable

import orjson
from cclake_common.failure import TRY_LATER, Failure
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
from pyiceberg.table.update import AssertRefSnapshotId
from sqlalchemy.exc import OperationalError

from cclake_extract.calm import undisturbed
from cclake_extract.names import FILES
from cclake_extract.state import State, last_run, state_of

ATTEMPTS = 20
_BUSY = (OperationalError, ServiceUnavailableError, TooManyRequestsError)


class Moved(Exception):
    """Another run moved the watermark: what was read must be read again."""


def append(table: Table, files: list[DataFile], before: State, after: State) -> None:
    """Add files to the table and move its state from `before` to `after`.

    A commit that loses against maintenance (compaction, expiry) is tried again
    on the new head. One that loses against another extraction is not.

    Raises:
        Moved: The head is not at `before` any more; the files are removed.
        Failure: The catalog stays busy.
    """

    def attempt(transaction: Transaction) -> int:
        if state_of(table) != before or last_run(table) >= after.run:
            raise Moved
        summary = after.summary() | _named(table, files)
        producer = transaction.update_snapshot(summary).merge_append()
        for file in files:
            producer.append_data_file(file)
        producer.commit()
        return producer.snapshot_id

    with undisturbed():
        try:
            assert_there(table, files)
            commit(table, attempt)
        except Moved:
            remove(table, (file.file_path for file in files))
            raise


def _named(table: Table, files: list[DataFile]) -> dict[str, str]:
    """Return what tells a reader the new files without the manifests."""
    below = f"{table.location()}/"
    names = [file.file_path.removeprefix(below) for file in files]
    return {FILES: orjson.dumps(names).decode()}


def replace(
    table: Table,
    gone: Callable[[], list[DataFile]],
    files: list[DataFile],
    state: Callable[[], State],
) -> None:
    """Take files out and put others in, as one snapshot with a state.

    Args:
        table: The table; refreshed before every attempt but the first.
        gone: Says which files of the head go; asked at every attempt.
        files: The files that come.
        state: What the new snapshot says; asked at every attempt.
    """

    def attempt(transaction: Transaction) -> int:
        producer = transaction.update_snapshot(state().summary()).overwrite()
        # Without a predicate pyiceberg does not look into unpartitioned manifests.
        producer.delete_by_predicate(AlwaysTrue())
        for file in gone():
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
        Failure: Too many others were faster.
    """
    with undisturbed():
        _commit(table, attempt)


def refresh(table: Table) -> None:
    """Bring the table to its newest head.

    Raises:
        Failure: It is another table by now, or none.
    """
    try:
        table.refresh()
    except (NoSuchTableError, ValueError) as error:
        if isinstance(error, ValueError) and "UUID" not in str(error):
            raise
        raise Failure(
            "the table was dropped or recreated meanwhile",
            "run it again: it begins with the table that is there",
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
                    "the catalog may not be written", "Whose file is its catalog.db?"
                ) from error
            if not isinstance(error, _BUSY):
                raise Failure(
                    "the catalog did not say whether it took the commit",
                    "run it again later: it resumes from what the catalog holds",
                    TRY_LATER,
                ) from error
            continue
        return
    raise Failure(
        "the catalog stayed busy: nothing was committed",
        "another extraction or table care is running; run it again later",
        TRY_LATER,
    )


def assert_there(table: Table, files: list[DataFile]) -> None:
    """Refuse files that care took for orphans, as after a day of sleep.

    Raises:
        Failure: One is gone.
    """
    for file in files:
        if not table.io.new_input(file.file_path).exists():
            raise Failure(
                "files that were just written are gone: were they there for a day,"
                " or did `extract table orphans` take them?",
                "run it again: the table is as it was",
                TRY_LATER,
            )


def assert_unmoved(table: Table, transaction: Transaction) -> None:
    """Have a change refused that does not make a snapshot, when the head has moved."""
    head = table.current_snapshot()
    unmoved = {"ref": MAIN_BRANCH, "snapshot-id": head.snapshot_id if head else None}
    transaction._stage((), (AssertRefSnapshotId.model_validate(unmoved),))


def landed(table: Table, snapshot: int | None) -> bool:
    """Return whether a snapshot is in the table after all."""
    refresh(table)
    return snapshot is not None and table.metadata.snapshot_by_id(snapshot) is not None


def remove(table: Table, paths: Iterable[str]) -> int:
    """Delete files that no snapshot holds; one that is gone already is fine.

    Returns:
        How many were deleted.
    """
    count = 0
    for path in paths:
        with contextlib.suppress(OSError):
            table.io.delete(path)
            count += 1
    return count
