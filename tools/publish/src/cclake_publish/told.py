"""What stands in an export besides gold: facts about it, and the newest runs."""

from dataclasses import dataclass

from cclake_publish import runs
from cclake_publish.gold import Column, Gold, Table

INFO = Table("export_info", (Column("name", "VARCHAR"), Column("value", "VARCHAR")))
TABLES = (INFO, runs.TABLE)


@dataclass(frozen=True)
class Told:
    """The rows of these tables.

    Attributes:
        info: Those of `export_info`.
        runs: Those of `pipeline_runs`.
    """

    info: dict[str, str]
    runs: runs.Rows

    def write(self, gold: Gold, table: Table, target: str) -> None:
        """Write one of the tables anew.

        Args:
            gold: Where the export is attached.
            table: The table.
            target: Its full SQL name in the export.
        """
        rows = self.runs if table is runs.TABLE else [*self.info.items()]
        columns = ", ".join(f"{c.name} {c.type}" for c in table.columns)
        gold.connection.execute(f"create or replace table {target} ({columns})")
        if rows:
            lists = ", ".join(f"unnest(?::{c.type}[])" for c in table.columns)
            values = [list(column) for column in zip(*rows, strict=True)]
            gold.connection.execute(f"insert into {target} select {lists}", values)
