"""Write gold into Iceberg tables: one commit for each mart, then one for the build."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from cclake_common.failpoint import failpoint
from cclake_common.failure import TRY_LATER, Failure
from cclake_lake.catalog import answering, create, find_table, open_catalog
from cclake_lake.files import needed, present, readable_from
from cclake_lake.settings import Lake
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table import Table, Transaction
from pyiceberg.table.update.snapshot import ExpireSnapshots

from cclake_publish import builds
from cclake_publish.builds import Build, Part
from cclake_publish.marts import Mart, Marts
from cclake_publish.sqlite_writer import Progress

PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    # The bytes in memory, which readers hold as well; compressed they are fewer.
    "write.target-file-size-bytes": str(32 << 20),
    # A second attempt inside pyiceberg would find its rows consumed.
    "commit.retry.num-retries": "0",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "5",
}
# A writer that is still at work may have files that no snapshot needs yet.
ORPHANS_AGE = timedelta(hours=24)


def write_gold(lake: Lake, marts: Marts, progress: Progress) -> Build:
    """Write a build of gold, and make it the current one.

    Readers see the former build until the last commit. A writer that is killed leaves
    snapshots that no build names; the next writers remove them.

    Args:
        lake: Where the tables are.
        marts: All marts of the build.
        progress: Called with the name of a mart and a number of rows just read.

    Raises:
        Failure: The catalog or S3 does not answer, the namespace is of another lake, or
            another process wrote gold at the same time.
    """
    with _explained(lake):
        catalog = open_catalog(lake)
        current = _table(lake, catalog, builds.TABLE, builds.SCHEMA)
        former = builds.read_build(lake, current)
        before = _head(current)
        parts = [_write(lake, catalog, mart, progress) for mart in marts.each]
        if not parts:
            raise Failure("there are no tables of gold", "Run `pipeline run` first.")
        build = Build(marts.facts, tuple(parts))
        failpoint("iceberg.current_build")
        if _head(_table(lake, catalog, builds.TABLE, builds.SCHEMA)) != before:
            raise CommitFailedException("another build was written")
        builds.commit_build(current, build)
        if former:
            _remove_former(lake, catalog, build, former)
        _expire(current, before)
    return build


def _head(table: Table) -> int | None:
    head = table.current_snapshot()
    return head.snapshot_id if head else None


@contextmanager
def _explained(lake: Lake) -> Iterator[None]:
    try:
        with answering(lake):
            yield
    except CommitFailedException as error:
        raise Failure(
            "another process wrote gold at the same time; readers see the last complete"
            " build",
            "Run it again.",
            TRY_LATER,
        ) from error


def _table(lake: Lake, catalog: Catalog, name: str, schema: pa.Schema) -> Table:
    """Return the table of a mart, which exists afterwards."""
    place = builds.address(lake, name)
    table = find_table(place, catalog)
    if table is None:
        owned = PROPERTIES | {builds.OWNER: lake.identifier}
        table = create(place, catalog, _described(schema), owned)
    builds.require_owned(lake, table)
    return table


def _described(schema: pa.Schema) -> Schema:
    counter = iter(range(1, 1 << 20))
    plain = _pyarrow_to_schema_without_ids(schema)
    return assign_fresh_schema_ids(plain, lambda: next(counter))


def _write(lake: Lake, catalog: Catalog, mart: Mart, progress: Progress) -> Part:
    table = _table(lake, catalog, mart.name, mart.schema)
    rows = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in mart.batches:
            rows += batch.num_rows
            progress(mart.name, batch.num_rows)
            yield batch

    reader = pa.RecordBatchReader.from_batches(mart.schema, counted())
    with table.transaction() as transaction:
        _adapt(transaction, mart.schema)
        builds.replacing(table, transaction)(reader)
        failpoint(f"iceberg.{mart.name}")
    head = table.current_snapshot()
    assert head
    return Part(mart.name, str(table.metadata.table_uuid), head.snapshot_id, rows)


def _adapt(transaction: Transaction, schema: pa.Schema) -> None:
    """Replace all columns if any differs; former snapshots keep their own."""
    wanted = _described(schema)
    present = transaction.table_metadata.schema()
    if _columns(present) == _columns(wanted):
        return
    with transaction.update_schema() as update:
        for field in present.fields:
            update.delete_column(field.name)
        for field in wanted.fields:
            update.add_column(field.name, field.field_type)


def _columns(schema: Schema) -> list[tuple[str, str]]:
    return [(field.name, str(field.field_type)) for field in schema.fields]


def _remove_former(lake: Lake, catalog: Catalog, build: Build, former: Build) -> None:
    """Remove what neither this build nor the one before it needs."""
    for part in former.parts:
        place = builds.address(lake, part.name)
        if build.snapshot_of(part.name) is None:
            with suppress(NoSuchTableError):
                catalog.purge_table(place.identifier)
        elif table := find_table(place, catalog):
            _expire(table, part.snapshot_id)


def _expire(table: Table, before: int | None) -> None:
    """Remove older snapshots with the files that only they need, and orphans."""
    old = builds.older_than(table, before)
    if old:
        with table.transaction() as transaction:
            ids = [one.snapshot_id for one in old]
            ExpireSnapshots(transaction).by_ids(ids).commit()
    unneeded = readable_from(table, [one.manifest_list for one in old])
    oldest = datetime.now(UTC) - ORPHANS_AGE
    unneeded |= {file.path for file in present(table) if file.modified <= oldest}
    if unneeded:
        table.refresh()
        for path in unneeded - needed(table):
            with suppress(OSError):
                table.io.delete(path)
