"""Open the gold of Iceberg tables as a DuckDB file with the tables of one build."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from cclake_common.failure import Failure
from cclake_lake.catalog import open_catalog
from cclake_lake.settings import Lake
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow
from pyiceberg.table import DataScan, Table

from cclake_publish import builds
from cclake_publish.builds import Build, Part
from cclake_publish.gold import (
    IMAGE_DATA,
    MEMORY,
    SCHEMA,
    Gold,
    connect,
    literal,
    open_gold,
    quote,
)
from cclake_publish.indexes import SEARCHED, VIEWS


@contextmanager
def open_iceberg(lake: Lake, scratch: Path, memory: str = MEMORY) -> Iterator[Gold]:
    """Copy the current build into a DuckDB file below `scratch`, and open that.

    The bytes of images are read when they are written.

    Args:
        lake: Where the tables are.
        scratch: Folder for the file, which the caller deletes.
        memory: Maximum memory of DuckDB.

    Raises:
        Failure: There is no complete build, or it can't be read.
    """
    build, tables = builds.open_build(lake, open_catalog(lake))
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / "gold.duckdb"
    path.unlink(missing_ok=True)
    images = None
    with closing(connect(path, scratch, memory)) as db:
        db.execute(f"create schema raw; create schema {SCHEMA}; use {SCHEMA}")
        _record(db, build)
        for part in build.parts:
            if part.name == IMAGE_DATA:
                images = _images(lake, tables[IMAGE_DATA], part)
                db.execute(f"create table {IMAGE_DATA} (image_key varchar, data blob)")
            else:
                _copy(db, lake, tables[part.name], part)
        if {SEARCHED, "fct_messages"} <= tables.keys():
            for view, sql in VIEWS.items():
                db.execute(f"create view {quote(view)} as {sql}")
    pa.default_memory_pool().release_unused()
    with open_gold(path, scratch, memory, images) as gold:
        yield gold


def _record(db: duckdb.DuckDBPyConnection, build: Build) -> None:
    """Write what `load` would have recorded."""
    run = "null" if build.facts.extract_run is None else build.facts.extract_run
    marks = literal(build.facts.watermarks) if build.facts.watermarks else "null"
    db.execute(
        "create table raw.loads as"
        f" select 1 as load_id, {run}::bigint as extract_run, {marks} as watermarks"
    )


def _copy(db: duckdb.DuckDBPyConnection, lake: Lake, table: Table, part: Part) -> None:
    scan = table.scan(snapshot_id=part.snapshot_id)
    schema = schema_to_pyarrow(scan.projection(), include_field_ids=False)
    columns = ", ".join(map(_column, schema))
    name = quote(part.name)
    db.register("batch", schema.empty_table())
    db.execute(f"create table {name} as select {columns} from batch")
    rows = 0
    for batch in _batches(lake, table, scan):
        db.register("batch", pa.Table.from_batches([batch]))
        db.execute(f"insert into {name} select {columns} from batch")
        rows += batch.num_rows
    db.unregister("batch")
    if rows != part.rows:
        raise Failure(
            f"gold is incomplete: {lake.gold_namespace}.{part.name} has {rows:,} of"
            f" {part.rows:,} rows",
            builds.HINT,
        )


def _column(field: pa.Field) -> str:
    """Return SQL for a column: Iceberg has large integers only as decimals."""
    name = quote(field.name)
    if pa.types.is_decimal(field.type) and field.type.scale == 0:
        return f"cast({name} as hugeint) as {name}"
    return name


def _images(lake: Lake, table: Table, part: Part) -> Iterator[pa.RecordBatch]:
    scan = table.scan(snapshot_id=part.snapshot_id)
    for batch in _batches(lake, table, scan):
        # SQLite gets each image by itself, however many a file has.
        for row in range(batch.num_rows):
            yield batch.slice(row, 1)


def _batches(lake: Lake, table: Table, scan: DataScan) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a snapshot, one file at a time.

    pyiceberg's own reader holds the rows of all files that its threads have read.
    """
    with builds.reading(lake):
        rows = ArrowScan(table.metadata, table.io, scan.projection(), AlwaysTrue())
        for task in scan.plan_files():
            yield from rows.to_record_batches([task])
