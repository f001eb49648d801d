"""Describe the tables of an export besides gold: its facts, and the newest runs."""

from dataclasses import dataclass

import pyarrow as pa

from cclake_publish import pipeline_runs
from cclake_publish.gold import Column, Table

INFO = Table("export_info", (Column("name", "VARCHAR"), Column("value", "VARCHAR")))
TABLES = (INFO, pipeline_runs.TABLE)
_TYPES = {"VARCHAR": pa.string(), "BIGINT": pa.int64(), "DOUBLE": pa.float64()}


@dataclass(frozen=True)
class Info:
    """The rows of these tables.

    Attributes:
        facts: The rows of `export_info`.
        runs: The rows of `pipeline_runs`.
    """

    facts: dict[str, str]
    runs: pipeline_runs.Rows

    def rows(self, table: Table) -> pa.Table:
        """Return the rows of one of the tables."""
        rows = self.runs if table is pipeline_runs.TABLE else [*self.facts.items()]
        columns = zip(*rows, strict=True) if rows else [()] * len(table.columns)
        return pa.table(
            {
                column.name: pa.array(values, _TYPES[column.type])
                for column, values in zip(table.columns, columns, strict=True)
            }
        )
