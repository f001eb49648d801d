"""Open the Iceberg catalog of a lake, and load its table."""

import os
import struct
import zlib

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.settings import mask
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    NoSuchTableError,
    ResolveError,
    RESTError,
    ValidationError,
)
from pyiceberg.table import Table
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, OperationalError

from cclake_lake.metadata import origin
from cclake_lake.settings import Lake

BUSY_S = 30
REFUSED = ("unable to open database file", "readonly database", "Permission denied")
SILENT = (OperationalError, OSError, RESTError)
DAMAGED = (FileNotFoundError, EOFError, LookupError, ValueError, TypeError,
           ValidationError, ResolveError, SystemError, struct.error,
           zlib.error)  # fmt: skip
"""What reading a table may raise if its files are not as they were written."""


def open_catalog(lake: Lake) -> Catalog:
    """Open the catalog; create the warehouse folder if it is local.

    Raises:
        Failure: The catalog does not answer, or its type is not known.
    """
    if lake.catalog_type not in ("sql", "rest"):
        raise Failure(
            f"catalog type {lake.catalog_type!r} is not known",
            "set ICEBERG_CATALOG_TYPE to sql or rest",
        )
    while True:
        try:
            return load_catalog(lake.name, **_properties(lake))
        except SILENT as error:
            # Another process makes the tables of the same new catalog just now.
            racing = isinstance(error, OperationalError)
            if not racing or "already exists" not in str(error):
                raise _silent(lake, error) from error
        except DatabaseError as error:
            raise _no_catalog(lake, error) from error


def find_table(lake: Lake, catalog: Catalog | None = None) -> Table | None:
    """Return the current table, or None if there is none yet.

    Args:
        lake: Where it is.
        catalog: Its catalog, if that is open.

    Raises:
        Failure: The catalog does not answer, its folder is not where it was made, or
            what it says of the table can't be read.
    """
    catalog = catalog or open_catalog(lake)
    if elsewhere := origin(lake):
        raise Failure(
            f"{lake.warehouse} was moved or copied: its table still is in {elsewhere}",
            f"Delete {lake.warehouse} and run `just backfill`, which builds the lake"
            " anew from MongoDB.",
        )
    try:
        return catalog.load_table(lake.identifier)
    except NoSuchTableError:
        return None
    except DatabaseError as error:
        if isinstance(error, OperationalError):
            raise _silent(lake, error) from error
        raise _no_catalog(lake, error) from error
    except (*DAMAGED, *SILENT) as error:
        if lake.is_folder and isinstance(error, DAMAGED):
            raise damaged(lake, error) from error
        if isinstance(error, SILENT):
            raise _silent(lake, error) from error
        raise


def require_table(lake: Lake) -> Table:
    """Return the current table.

    Raises:
        Failure: There is no such table, or the catalog does not answer.
    """
    table = find_table(lake)
    if table is None:
        raise Failure(
            f"there is no table {lake.identifier} in {lake.warehouse}",
            "run `extract` to fill it, or `extract table create` for an empty one",
        )
    return table


def damaged(lake: Lake, error: Exception) -> Failure:
    """Return the failure to raise if a file of the table is missing or corrupt."""
    said = str(error).strip() or type(error).__name__
    return Failure(
        f"the lake in {lake.warehouse} can't be read: {said.splitlines()[0][:300]}",
        "`just backfill` (`extract --full-backfill`) makes it anew from MongoDB.",
    )


def _no_catalog(lake: Lake, error: DatabaseError) -> Failure:
    where = lake.catalog_file if lake.is_local else mask(lake.catalog_uri)
    return Failure(
        f"the catalog {where} can't be read: {_cause(error)}",
        "Move it away and run `just backfill`, which makes the lake anew from MongoDB.",
    )


def _silent(lake: Lake, error: Exception) -> Failure:
    said = _cause(error)
    refused = isinstance(error, PermissionError) or any(w in said for w in REFUSED)
    where = mask(lake.catalog_uri or lake.warehouse)
    return Failure(
        f"the catalog {where} does not answer: {said}",
        "check ICEBERG_WAREHOUSE_PATH and ICEBERG_CATALOG_URI"
        + (", and whether you may write there" if refused else ""),
        1 if refused else TRY_LATER,
    )


def _cause(error: Exception) -> str:
    return mask(str(error)).splitlines()[0][:200]


def _properties(lake: Lake) -> dict[str, str]:
    found = {"type": lake.catalog_type, "warehouse": lake.warehouse} | _s3()
    if not lake.is_local:
        return found | {"uri": lake.catalog_uri}
    file = lake.catalog_file
    file.parent.mkdir(parents=True, exist_ok=True)
    address = URL.create("sqlite", database=str(file), query={"timeout": f"{BUSY_S}"})
    return found | {"uri": address.render_as_string(hide_password=False)}


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
