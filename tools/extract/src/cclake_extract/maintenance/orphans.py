"""Find and delete files that killed processes left behind."""

from datetime import UTC, datetime, timedelta

from cclake_lake.files import Found, needed, present
from pyiceberg.table import Table

from cclake_extract.commit import remove
from cclake_extract.maintenance.expire import expired_files

# A rebuild commits its files at its end, hours after it wrote the first one.
AGE = timedelta(hours=24)


def orphans(table: Table, age: timedelta = AGE) -> list[Found]:
    """Return files in the table's folder that nothing needs, older than `age`.

    Files of expired snapshots are not among them: they have their own grace.
    """
    oldest = datetime.now(UTC) - age
    found = [file for file in present(table) if file.modified <= oldest]
    if not found:
        return []
    # Read after the listing, so that files committed in between count as needed.
    table.refresh()
    kept = needed(table) | expired_files(table)
    return [file for file in found if file.path not in kept]


def sweep_orphans(table: Table, age: timedelta = AGE) -> list[Found]:
    """Delete the orphans and return them."""
    found = orphans(table, age)
    remove(table, [file.path for file in found])
    return found
