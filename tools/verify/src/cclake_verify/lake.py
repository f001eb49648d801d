"""The Iceberg table, as far as proof needs it: identities up to its watermark."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from cclake_common.failure import Failure
from cclake_common.settings import in_home
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError, RESTError
from pyiceberg.table import Table
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from cclake_verify.memory import Sum
from cclake_verify.sums import SQL_SUM

S3 = {
    "s3.endpoint": "ICEBERG_S3_ENDPOINT",
    "s3.region": "ICEBERG_S3_REGION",
    "s3.access-key-id": "ICEBERG_S3_ACCESS_KEY_ID",
    "s3.secret-access-key": "ICEBERG_S3_SECRET_ACCESS_KEY",
}


def _env(name: str, default: str) -> str:
    return os.environ.get(name) or default


@dataclass(frozen=True)
class Lake:
    """The settings that lead to the table: the `ICEBERG_*` variables."""

    warehouse: str = field(
        default_factory=lambda: _env(
            "ICEBERG_WAREHOUSE_PATH", str(in_home("", "iceberg").absolute())
        )
    )
    name: str = field(default_factory=lambda: _env("ICEBERG_CATALOG_NAME", "default"))
    kind: str = field(default_factory=lambda: _env("ICEBERG_CATALOG_TYPE", "sql"))
    uri: str = field(default_factory=lambda: _env("ICEBERG_CATALOG_URI", ""))
    namespace: str = field(
        default_factory=lambda: _env("ICEBERG_NAMESPACE", "analytics")
    )
    table: str = field(
        default_factory=lambda: _env("ICEBERG_TABLE_NAME", "conversations")
    )

    def open(self) -> "Bronze | None":
        """The table as it is now, or None where nothing was extracted yet.

        Raises:
            Failure: There is a catalog, and it does not answer.
        """
        uri = self.uri
        if self.kind == "sql" and not uri:
            database = Path(os.path.expandvars(self.warehouse)).expanduser()
            database /= "catalog.db"
            if not database.exists():
                return None
            address = URL.create("sqlite", database=str(database))
            uri = f"{address.render_as_string(hide_password=False)}?timeout=30"
        secrets = {
            key: os.environ[name] for key, name in S3.items() if name in os.environ
        }
        try:
            catalog = load_catalog(
                self.name,
                **{"type": self.kind, "uri": uri, "warehouse": self.warehouse}
                | secrets,
            )
            table = catalog.load_table(f"{self.namespace}.{self.table}")
        except NoSuchTableError:
            return None
        except (SQLAlchemyError, RESTError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise Failure(
                f"the Iceberg catalog does not answer: {reason}",
                "Check ICEBERG_WAREHOUSE_PATH and ICEBERG_CATALOG_URI.",
            ) from error
        return Bronze(table) if table.current_snapshot() else None


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
