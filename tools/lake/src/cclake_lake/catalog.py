"""Open the Iceberg catalog of a lake, and load or create its table."""

import random
import re
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cclake_common.failure import TRY_LATER, Failure
from cclake_common.settings import mask
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    AuthorizationExpiredError,
    CommitFailedException,
    CommitStateUnknownException,
    ForbiddenError,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    OAuthError,
    ResolveError,
    RESTError,
    ServerError,
    ServiceUnavailableError,
    TableAlreadyExistsError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationError,
)
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from requests import RequestException
from requests.exceptions import SSLError
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from cclake_lake.connection import properties, without_secrets
from cclake_lake.metadata import origin
from cclake_lake.settings import Lake

TRIES = 5
REFUSED = ("unable to open database file", "readonly database", "Permission denied")
SILENT = (OperationalError, OSError, RESTError)
_UNAUTHORISED = (
    AuthorizationExpiredError, ForbiddenError, OAuthError, UnauthorizedError,
)  # fmt: skip
_LATER = (
    CommitStateUnknownException, ServerError, ServiceUnavailableError,
    TooManyRequestsError, RequestException,
)  # fmt: skip
_SSL = re.compile(r"certificate verify failed[^()\"]*|wrong version number")
_CA_HINT = (
    "Check the address, and name the file of its certificate authority in"
    " ICEBERG_CA_FILE."
)
_S3 = re.compile("AWS Error .*")
_S3_REFUSED = re.compile(
    "ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|TOKEN|HTTP status 40[13]|NO_SUCH_BUCKET"
)
_S3_STRANGE = re.compile(r"curlCode: (35|60|77)\b")
DAMAGED = (FileNotFoundError, EOFError, LookupError, ValueError, TypeError,
           ValidationError, ResolveError, SystemError, struct.error,
           zlib.error)  # fmt: skip
"""Errors of reading a table whose files are missing or corrupt."""


def open_catalog(lake: Lake) -> Catalog:
    """Open the catalog; create the warehouse folder if it is local.

    Raises:
        Failure: The catalog does not answer, or its type is not known.
    """
    if lake.catalog_type not in ("sql", "rest"):
        raise Failure(
            f"catalog type {lake.catalog_type!r} is not known",
            "Set ICEBERG_CATALOG_TYPE to sql or rest.",
        )
    while True:
        try:
            return load_catalog(lake.name, **properties(lake))
        except ValueError as error:
            if lake.catalog_type != "rest":
                raise
            raise _no_protocol(lake, error) from error
        except AttributeError as error:
            if "get_frozen_credentials" not in str(error):
                raise
            raise Failure(
                "there are no AWS keys to sign requests with",
                "Set ICEBERG_S3_ACCESS_KEY_ID and ICEBERG_S3_SECRET_ACCESS_KEY, or"
                " those that AWS's own tools read.",
            ) from error
        except SILENT as error:
            # Another process is creating the tables of the same new catalog.
            racing = isinstance(error, OperationalError)
            if not racing or "already exists" not in str(error):
                raise _silent(lake, error) from error
        except DatabaseError as error:
            raise _no_catalog(lake, error) from error


def find_table(lake: Lake, catalog: Catalog | None = None) -> Table | None:
    """Return the current table, or None if there is none yet.

    Args:
        lake: Where it is.
        catalog: Its catalog, if already open.

    Raises:
        Failure: The catalog does not answer, its folder was moved, or the metadata of
            the table can't be read.
    """
    catalog = catalog or open_catalog(lake)
    if elsewhere := origin(lake):
        raise Failure(
            f"{lake.warehouse} was moved or copied: its table is still in {elsewhere}",
            f"Delete {lake.warehouse} and run `just backfill`, which builds the lake"
            " again from MongoDB.",
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
        if lake.catalog_type == "rest" and isinstance(error, ValueError):
            raise _no_protocol(lake, error) from error
        raise


def require_table(lake: Lake) -> Table:
    """Return the current table.

    Raises:
        Failure: There is no such table, or the catalog does not answer.
    """
    table = find_table(lake)
    if table is None:
        raise Failure(
            f"there is no table {lake.identifier} in {lake.place}",
            "Run `extract` to fill it, or `extract table create` for an empty one.",
        )
    return table


def create(
    lake: Lake,
    catalog: Catalog,
    schema: Schema,
    properties: dict[str, str],
    spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
) -> Table:
    """Create namespace and table; another process may do so at the same time.

    Some catalogs then answer the second request with a server error.
    """
    for _ in range(TRIES - 1):
        try:
            return _create(lake, catalog, schema, properties, spec)
        except (ServerError, CommitFailedException):
            time.sleep(random.uniform(0, 0.2))
    return _create(lake, catalog, schema, properties, spec)


def _create(
    lake: Lake,
    catalog: Catalog,
    schema: Schema,
    properties: dict[str, str],
    spec: PartitionSpec,
) -> Table:
    with suppress(NamespaceAlreadyExistsError, IntegrityError):
        catalog.create_namespace(lake.namespace)
    try:
        return catalog.create_table(
            lake.identifier, schema, partition_spec=spec, properties=properties
        )
    except TableAlreadyExistsError:
        return catalog.load_table(lake.identifier)


def damaged(lake: Lake, error: Exception) -> Failure:
    """Return the failure to raise if a file of the table is missing or corrupt."""
    said = str(error).strip() or type(error).__name__
    return Failure(
        f"the lake in {lake.place} can't be read: {said.splitlines()[0][:300]}",
        "`just backfill` (`extract --full-backfill`) rebuilds it from MongoDB.",
    )


def _no_catalog(lake: Lake, error: DatabaseError) -> Failure:
    where = lake.catalog_file if lake.is_local else mask(lake.catalog_uri)
    return Failure(
        f"the catalog {where} can't be read: {_cause(error)}",
        "Move it away and run `just backfill`, which rebuilds the lake from MongoDB.",
    )


def _silent(lake: Lake, error: Exception) -> Failure:
    if failure := _of_server(lake, error):
        return failure
    said = _cause(error)
    refused = isinstance(error, PermissionError) or any(w in said for w in REFUSED)
    return Failure(
        f"the catalog {_where(lake)} does not answer: {said}",
        "Check ICEBERG_WAREHOUSE_PATH and ICEBERG_CATALOG_URI"
        + (", and whether you may write there" if refused else ""),
        1 if refused else TRY_LATER,
    )


def _of_server(lake: Lake, error: Exception) -> Failure | None:
    """Return the failure if the REST catalog or S3 is the cause of an error.

    A refusal is not "try later", since the next attempt would be refused, too.
    """
    said, where = _cause(error), _where(lake)
    if isinstance(error, _UNAUTHORISED):
        return Failure(
            f"the catalog {where} refuses this client: {said}",
            "Check ICEBERG_CATALOG_CREDENTIAL, ICEBERG_CATALOG_TOKEN or what else"
            " proves who you are, and whether that may use the table.",
        )
    if isinstance(error, SSLError) and (found := _SSL.search(str(error))):
        return Failure(f"TLS with the catalog {where} fails: {found[0]}", _CA_HINT)
    if isinstance(error, _LATER):
        hint = "Check ICEBERG_CATALOG_URI; if it is right, try again later."
        return Failure(f"the catalog {where} does not answer: {said}", hint, TRY_LATER)
    if isinstance(error, RESTError):
        return Failure(
            f"the catalog {where} does not accept the request: {said}",
            "Check ICEBERG_CATALOG_URI and ICEBERG_WAREHOUSE_PATH.",
        )
    is_lost = isinstance(error, FileNotFoundError)  # a matter of damage
    if lake.is_folder or is_lost or not (found := _S3.search(str(error))):
        return None
    return _of_s3(lake, found[0])


def _of_s3(lake: Lake, error: str) -> Failure:
    said = without_secrets(error)[:200]
    if _S3_STRANGE.search(error):
        return Failure(f"TLS with the S3 server fails: {said}", _CA_HINT)
    if _S3_REFUSED.search(error):
        return Failure(
            f"S3 refuses access to {lake.place}: {said}",
            "Check ICEBERG_S3_ACCESS_KEY_ID and ICEBERG_S3_SECRET_ACCESS_KEY, and"
            " whether they may use the bucket.",
        )
    hint = "Check ICEBERG_S3_ENDPOINT; if it is right, try again later."
    return Failure(f"S3 does not answer: {said}", hint, TRY_LATER)


def _no_protocol(lake: Lake, error: ValueError) -> Failure:
    return Failure(
        f"{_where(lake)} does not answer as an Iceberg REST catalog: {_cause(error)}",
        "Check ICEBERG_CATALOG_URI.",
    )


def _where(lake: Lake) -> str:
    return mask(lake.catalog_uri or lake.warehouse)


@contextmanager
def answering(lake: Lake) -> Iterator[None]:
    """Raise a failure that names the REST catalog or S3 if one is the cause.

    Raises:
        Failure: One does not answer, or refuses.
    """
    try:
        yield
    except (RESTError, OSError) as error:
        if failure := _of_server(lake, error):
            raise failure from error
        raise


def _cause(error: Exception) -> str:
    said = without_secrets(mask(str(error))).strip() or type(error).__name__
    return said.splitlines()[0][:200]
