"""The Iceberg table, as far as proof needs it: identities up to its watermark."""

import json

import duckdb
from cclake_lake.lake import Lake
from pyiceberg.table import Table

from cclake_verify.memory import Sum
from cclake_verify.sums import SQL_SUM


def open_bronze(lake: Lake) -> "Bronze | None":
    """The table as it is now, or None where nothing was extracted yet.

    Raises:
        Failure: There is a catalog, and it does not answer.
    """
    if lake.is_local and not lake.catalog_file.exists():
        return None
    table = lake.load(lake.catalog())
    return Bronze(table) if table and table.current_snapshot() else None


class Bronze:
    """One snapshot of the table.

    Attributes:
        id: Identity of the table, whatever its name.
        watermarks: The newest sequence number that it holds, by buffer.
        run: Number of the extraction run that wrote the snapshot.
        records: All rows, as the snapshot counts them; None when it does not.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._snapshot = table.current_snapshot()
        summary = self._snapshot.summary if self._snapshot else None
        found = dict(summary.additional_properties) if summary else {}
        self.id = str(table.metadata.table_uuid)
        self.watermarks: dict[str, int] = json.loads(
            found.get("cclake.watermarks", "{}")
        )
        self.run = int(found.get("cclake.extract_run", 0))
        records = found.get("total-records")
        self.records = int(records) if records is not None else None

    def sums(self, after: int) -> list[Sum]:
        """The entries of each extraction run after one, in the order of the runs."""
        scan = self._table.scan(
            row_filter=f"extract_run > {after}",
            selected_fields=("doc_id", "part", "extract_run"),
            snapshot_id=self._snapshot.snapshot_id if self._snapshot else None,
        )
        with duckdb.connect() as connection:
            connection.register("bronze", scan.to_arrow_batch_reader())
            rows = connection.execute(
                f"select extract_run, {SQL_SUM} from bronze group by 1 order by 1"
            ).fetchall()
        return [
            Sum(run, lines, parts, int(digest)) for run, lines, parts, digest in rows
        ]
