"""What stands in an export besides gold: facts about it, and the newest runs."""

from dataclasses import dataclass

import pyarrow as pa

from cclake_publish import runs
from cclake_publish.gold import Column, Table

INFO = Table("export_info", (Column("name", "VARCHAR"), Column("value", "VARCHAR")))
TABLES = (INFO, runs.TABLE)
_TYPES = {"VARCHAR": pa.string(), "BIGINT": pa.int64(), "DOUBLE": pa.float64()}


@dataclass(frozen=True)
class Info:
    """The rows of these tables.

    Attributes:
        facts: Those of `export_info`.
        runs: Those of `pipeline_runs`.
    """

    facts: dict[str, str]
    runs: runs.Rows

    def rows(self, table: Table) -> pa.Table:
        """Return the rows of one of the tables."""
        rows = self.runs if table is runs.TABLE else [*self.facts.items()]
        columns = zip(*rows, strict=True) if rows else [()] * len(table.columns)
        return pa.table(
            {
                column.name: pa.array(values, _TYPES[column.type])
                for column, values in zip(table.columns, columns, strict=True)
            }
        )
