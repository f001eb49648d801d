"""Read the settings of the catalog and the warehouse."""

import os
from dataclasses import dataclass
from pathlib import Path

from cclake_common.failure import Failure
from cclake_common.settings import home, mask


@dataclass(frozen=True)
class Lake:
    """The settings of one Iceberg table.

    Attributes:
        warehouse: Folder, address such as `s3://bucket/lake`, or the name that a REST
            catalog knows it by; may be empty there.
        catalog_type: `sql` (SQLite in the warehouse folder) or `rest`.
        catalog_uri: Address of the REST catalog; of another SQL database for `sql`.
        gold_namespace: Namespace of the tables of gold, if they are written there.
    """

    warehouse: str
    name: str = "default"
    catalog_type: str = "sql"
    catalog_uri: str = ""
    namespace: str = "analytics"
    table: str = "conversations"
    gold_namespace: str = "gold"

    @property
    def identifier(self) -> str:
        """Namespace and table name with a dot between."""
        return f"{self.namespace}.{self.table}"

    @property
    def is_local(self) -> bool:
        """Whether the catalog is the default, a SQLite file in the warehouse."""
        return self.catalog_type == "sql" and not self.catalog_uri

    @property
    def is_folder(self) -> bool:
        """Whether catalog and files are in one folder of this machine."""
        return self.is_local and "://" not in self.warehouse

    @property
    def place(self) -> str:
        """The place of the table, for messages."""
        return self.warehouse or mask(self.catalog_uri)

    @property
    def catalog_file(self) -> Path:
        """The SQLite file of the default catalog."""
        return Path(self.warehouse) / "catalog.db"

    @classmethod
    def from_env(cls, **options: str | None) -> "Lake":
        """Return the lake of the `ICEBERG_*` variables; options that are set win.

        Raises:
            Failure: The warehouse is on a server, and no catalog is set.
        """
        env = {
            "warehouse": os.environ.get("ICEBERG_WAREHOUSE_PATH") or "",
            "name": os.environ.get("ICEBERG_CATALOG_NAME") or "default",
            "catalog_type": os.environ.get("ICEBERG_CATALOG_TYPE") or "sql",
            "catalog_uri": os.environ.get("ICEBERG_CATALOG_URI") or "",
            "namespace": os.environ.get("ICEBERG_NAMESPACE") or "analytics",
            "table": os.environ.get("ICEBERG_TABLE_NAME") or "conversations",
            "gold_namespace": os.environ.get("ICEBERG_GOLD_NAMESPACE") or "gold",
        }
        found = env | {k: v for k, v in options.items() if v}
        if found["catalog_type"] != "rest":
            found["warehouse"] = located(found["warehouse"])
        lake = cls(**found)
        if lake.is_local and not lake.is_folder:
            raise Failure(
                f"{lake.warehouse} needs a catalog",
                "Name it in ICEBERG_CATALOG_URI: of a SQL database, or with"
                " ICEBERG_CATALOG_TYPE=rest of a REST catalog.",
                2,
            )
        return lake


def located(warehouse: str) -> str:
    """Return an address unchanged, or a folder as an absolute path."""
    warehouse = warehouse.removeprefix("file://")
    if "://" in warehouse:
        return warehouse
    folder = Path(os.path.expandvars(warehouse)) if warehouse else home() / "iceberg"
    return str(folder.expanduser().absolute())
