"""Files that no snapshot ever held: what killed processes left behind."""

from datetime import UTC, datetime, timedelta

from pyiceberg.table import Table

from cclake_extract.care.expire import waiting
from cclake_extract.care.reach import Found, needed, present
from cclake_extract.commit import remove

# A rebuild writes files for as long as it reads, and commits them at its end.
AGE = timedelta(hours=24)


def orphans(table: Table, age: timedelta = AGE) -> list[Found]:
    """Files in the table's folder that nothing needs and that are older than `age`.

    Files of forgotten snapshots are not among them: they have their own grace.
    """
    oldest = datetime.now(UTC) - age
    found = [file for file in present(table) if file.modified <= oldest]
    if not found:
        return []
    # The order matters: what was committed after the listing counts as needed.
    table.refresh()
    kept = needed(table) | waiting(table)
    return [file for file in found if file.path not in kept]


def sweep_orphans(table: Table, age: timedelta = AGE) -> list[Found]:
    """Delete the orphans; returns what was deleted."""
    found = orphans(table, age)
    remove(table, [file.path for file in found])
    return found
