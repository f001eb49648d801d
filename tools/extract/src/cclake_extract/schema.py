"""Define the bronze table: its columns, their field ids and its properties."""

import pyarrow as pa
from cclake_common.failure import Failure
from cclake_lake.catalog import create, find_table
from cclake_lake.settings import Lake
from pyiceberg.catalog import Catalog
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    PrimitiveType,
    StringType,
    TimestamptzType,
)

from cclake_extract.commit import commit
from cclake_extract.partitions import described

S, I, L = StringType(), IntegerType(), LongType()  # noqa: E741
T, B, X = TimestamptzType(), BooleanType(), BinaryType()

# name, type, required, meaning; the field id is the place in the list, from 1.
# Append new columns at the end: an id is never reused.
COLUMNS: tuple[tuple[str, PrimitiveType, bool, str], ...] = (
    ("doc_id", S, True, "_id of the document in hex"),
    ("part", I, True, "0: the line; n: its n-th salvaged record"),
    ("record_kind", S, True, "line, salvaged or chunk"),
    ("host", S, False, "machine that the file is on"),
    ("buffer", S, True, "id of the buffer that stored the line"),
    ("seq", L, True, "number of the line in that buffer"),
    ("extract_run", L, True, "number of the commit that added the row"),
    ("project_id", S, False, "project folder"),
    ("source_file", S, False, "path of the file, relative to its root"),
    ("file_key", S, False, "key of the file, constant through renames"),
    ("gen", I, False, "generation of the file in which it was first seen"),
    ("off", L, False, "byte offset of the line"),
    ("len", L, False, "bytes of the line, with its newline"),
    ("session_id", S, False, "session of the entry, or of the path"),
    ("type", S, False, "type of the entry"),
    ("subtype", S, False, "subtype, data.type or attachment.type of the entry"),
    ("uuid", S, False, "uuid of the entry"),
    ("parent_uuid", S, False, "uuid of the entry before it"),
    ("timestamp", T, False, "when the entry was written"),
    ("ingested_at", T, False, "when the line reached MongoDB"),
    ("message_id", S, False, "id of the API message"),
    ("request_id", S, False, "id of the API request"),
    ("model", S, False, "model that answered"),
    ("is_sidechain", B, False, "whether a subagent said it"),
    ("agent_id", S, False, "subagent that said it"),
    ("version", S, False, "version of Claude Code"),
    ("cwd", S, False, "working folder"),
    ("git_branch", S, False, "git branch"),
    ("error", S, False, "why the line is not (only) a parsed entry"),
    ("entry", S, False, "the entry as JSON text, the line's own bytes where valid"),
    ("raw", X, False, "the bytes of the line, only where entry is not them"),
)

SCHEMA = Schema(
    *(
        NestedField(field_id=number, name=name, field_type=kind, required=must, doc=doc)
        for number, (name, kind, must, doc) in enumerate(COLUMNS, 1)
    ),
    identifier_field_ids=[1, 2],
)

PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": "3",
    # A retry inside pyiceberg could commit rows that another run has committed.
    "commit.retry.num-retries": "0",
    # Without these four, each commit is slower than the one before it.
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "write.metadata.metrics.column.entry": "none",
    "write.metadata.metrics.column.raw": "none",
}

_ARROW: dict[IcebergType, pa.DataType] = {
    S: pa.string(),
    I: pa.int32(),
    L: pa.int64(),
    B: pa.bool_(),
    X: pa.binary(),
}


def arrow_schema(schema: Schema = SCHEMA) -> pa.Schema:
    """Return the Arrow schema of the files, with the field ids that Parquet keeps."""
    return pa.schema(
        pa.field(
            field.name,
            _ARROW.get(field.field_type, pa.timestamp("us", tz="UTC")),
            nullable=not field.required,
            metadata={b"PARQUET:field_id": str(field.field_id).encode()},
        )
        for field in schema.fields
    )


def ensure_table(
    lake: Lake, catalog: Catalog, spec: PartitionSpec | None = None
) -> Table:
    """Return the table with every column of this version; create it if missing.

    Args:
        lake: Where it is.
        catalog: Its catalog.
        spec: The partitions that it must have; by default a new table has none.

    Raises:
        Failure: The table has other partitions.
    """
    table = find_table(lake, catalog)
    if table is None:
        table = create_table(lake, catalog, spec or UNPARTITIONED_PARTITION_SPEC)
    has = described(table.schema(), table.spec())
    if spec is not None and has != described(SCHEMA, spec):
        raise Failure(
            f"{lake.identifier} exists, with the partitions {', '.join(has) or 'none'}",
            "Drop it, create it with other partitions, and run"
            " `extract --full-backfill`.",
        )
    if _missing(table):
        commit(table, lambda transaction: _add_columns(table, transaction))
    return table


def _missing(table: Table) -> list[tuple[str, PrimitiveType, bool, str]]:
    present = table.schema().column_names
    return [column for column in COLUMNS if column[0] not in present]


def _add_columns(table: Table, transaction: Transaction) -> None:
    """Add the columns that are missing; they are null in existing rows."""
    with transaction.update_schema() as update:
        for name, kind, _required, doc in _missing(table):
            update.add_column(name, kind, doc=doc)


def create_table(
    lake: Lake, catalog: Catalog, spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC
) -> Table:
    """Create namespace and table; another process may do so at the same time."""
    return create(lake, catalog, SCHEMA, PROPERTIES, spec)
