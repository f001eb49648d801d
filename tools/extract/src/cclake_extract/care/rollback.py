"""Making an older snapshot the head again."""

from pyiceberg.table import Table, Transaction
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update.snapshot import ManageSnapshots

from cclake_extract.commit import commit
from cclake_extract.names import LAST_RUN
from cclake_extract.state import last_run


def rollback(table: Table, snapshot: Snapshot) -> None:
    """Make a snapshot the head; its watermark comes with it.

    The next extraction reads again what came after. Numbers of runs that were
    rolled back are not given a second time, so that a load notices.
    """

    def attempt(transaction: Transaction) -> None:
        transaction.set_properties({LAST_RUN: str(last_run(table))})
        moved = ManageSnapshots(transaction)
        moved.set_current_snapshot(snapshot_id=snapshot.snapshot_id).commit()

    commit(table, attempt)
