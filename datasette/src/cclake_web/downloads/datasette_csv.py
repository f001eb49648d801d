"""Make the CSV of Datasette's own pages as safe for a spreadsheet as ours."""

import csv
import types
from collections.abc import Iterable
from typing import Any

from cclake_web.downloads.records import csv_cell


class _Writer:
    """Writes rows with `csv`, each cell escaped like those of our exports."""

    def __init__(self, to: Any) -> None:
        self.writer = csv.writer(to)

    def writerow(self, row: Iterable[Any]) -> Any:
        """Write a row; headings are escaped too, since a query can name its columns."""
        return self.writer.writerow([csv_cell(cell) for cell in row])


def safe_csv() -> None:
    """Make Datasette escape the cells of its CSV, for which it has no hook.

    A query that takes too long returns an error, as it does on the page.
    """
    from datasette.database import QueryInterrupted
    from datasette.views import base

    base.csv = types.SimpleNamespace(writer=_Writer)
    if not hasattr(base, "DataView"):
        return  # Datasette 1.0
    as_csv = base.DataView.as_csv

    async def in_time(self: Any, request: Any, database: str) -> Any:
        try:
            return await as_csv(self, request, database)
        except QueryInterrupted:
            raise base.DatasetteError("SQL query took too long", status=400) from None

    if as_csv.__name__ != in_time.__name__:
        base.DataView.as_csv = in_time
