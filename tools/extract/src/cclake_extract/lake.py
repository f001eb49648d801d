"""Where the table lives: the catalog and the warehouse, by configuration."""

import os
from dataclasses import dataclass
from pathlib import Path

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.settings import home, mask
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import NoSuchTableError, RESTError
from pyiceberg.table import Table
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

BUSY_S = 30


@dataclass(frozen=True)
class Lake:
    """The settings that lead to one Iceberg table.

    Attributes:
        warehouse: Folder, or address such as `s3://bucket/lake`.
        catalog_type: `sql` (SQLite in the warehouse folder) or `rest`.
        catalog_uri: Address of the REST catalog; of another SQL database for `sql`.
    """

    warehouse: str
    name: str = "default"
    catalog_type: str = "sql"
    catalog_uri: str = ""
    namespace: str = "analytics"
    table: str = "conversations"

    @property
    def identifier(self) -> str:
        """Namespace and table name with a dot between."""
        return f"{self.namespace}.{self.table}"

    @classmethod
    def from_env(cls, **options: str | None) -> "Lake":
        """The lake of the `ICEBERG_*` variables; options that are set win."""
        env = {
            "warehouse": os.environ.get("ICEBERG_WAREHOUSE_PATH") or "",
            "name": os.environ.get("ICEBERG_CATALOG_NAME") or "default",
            "catalog_type": os.environ.get("ICEBERG_CATALOG_TYPE") or "sql",
            "catalog_uri": os.environ.get("ICEBERG_CATALOG_URI") or "",
            "namespace": os.environ.get("ICEBERG_NAMESPACE") or "analytics",
            "table": os.environ.get("ICEBERG_TABLE_NAME") or "conversations",
        }
        found = env | {k: v for k, v in options.items() if v}
        return cls(**(found | {"warehouse": located(found["warehouse"])}))

    def catalog(self) -> Catalog:
        """Open the catalog; makes the warehouse folder when it is local.

        Raises:
            Failure: The catalog does not answer, or its type is not known.
        """
        if self.catalog_type not in ("sql", "rest"):
            raise Failure(
                f"catalog type {self.catalog_type!r} is not known",
                "set ICEBERG_CATALOG_TYPE to sql or rest",
            )
        try:
            return self._open()
        except (OperationalError, OSError, RESTError) as error:
            raise self._silent(error) from error

    def _open(self) -> Catalog:
        while True:
            try:
                return load_catalog(self.name, **self._properties())
            except OperationalError as error:
                # Another process makes the tables of the same new catalog just now.
                if "already exists" not in str(error):
                    raise

    def load(self, catalog: Catalog) -> Table | None:
        """The table as it is now, or None where there is none yet."""
        try:
            return catalog.load_table(self.identifier)
        except NoSuchTableError:
            return None
        except (OperationalError, OSError, RESTError) as error:
            raise self._silent(error) from error

    def require(self) -> Table:
        """The table as it is now.

        Raises:
            Failure: There is no such table.
        """
        table = self.load(self.catalog())
        if table is None:
            raise Failure(
                f"there is no table {self.identifier} in {self.warehouse}",
                "run `extract` to fill it, or `extract table create` for an empty one",
            )
        return table

    def _silent(self, error: Exception) -> Failure:
        return Failure(
            f"the catalog {mask(self.catalog_uri or self.warehouse)} does not answer:"
            f" {mask(str(error)).splitlines()[0][:200]}",
            "check ICEBERG_WAREHOUSE_PATH and ICEBERG_CATALOG_URI",
            TRY_LATER,
        )

    def _properties(self) -> dict[str, str]:
        found = {"type": self.catalog_type, "warehouse": self.warehouse} | _s3()
        if self.catalog_type == "rest":
            return found | {"uri": self.catalog_uri}
        if self.catalog_uri:
            return found | {"uri": self.catalog_uri}
        folder = Path(self.warehouse)
        folder.mkdir(parents=True, exist_ok=True)
        address = URL.create(
            "sqlite",
            database=str(folder / "catalog.db"),
            query={"timeout": f"{BUSY_S}"},
        )
        return found | {"uri": address.render_as_string(hide_password=False)}


def located(warehouse: str) -> str:
    """An address as it is, a folder as an absolute path; `iceberg` in the home."""
    if "://" in warehouse:
        return warehouse
    folder = Path(os.path.expandvars(warehouse)) if warehouse else home() / "iceberg"
    return str(folder.expanduser().absolute())


def _s3() -> dict[str, str]:
    """S3 settings; what is unset is left to the AWS defaults of the machine."""
    names = {
        "s3.endpoint": "ICEBERG_S3_ENDPOINT",
        "s3.region": "ICEBERG_S3_REGION",
        "s3.access-key-id": "ICEBERG_S3_ACCESS_KEY_ID",
        "s3.secret-access-key": "ICEBERG_S3_SECRET_ACCESS_KEY",
    }
    return {
        key: os.environ[name] for key, name in names.items() if os.environ.get(name)
    }
