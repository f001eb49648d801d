"""Read the Iceberg table for the proof."""

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from cclake_lake.catalog import find_table
from cclake_lake.settings import Lake
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import FileScanTask, Table

from cclake_verify.checksums import SQL_CHECKSUM, Checksum

# Lines may be long, so few are held in memory at once.
BATCH_ROWS = 1_000
SHOWN = 3
FIELD_ID = b"PARQUET:field_id"


def open_bronze(lake: Lake) -> "Bronze | None":
    """Open the table as it is now; None where nothing was extracted yet.

    Raises:
        Failure: There is a catalog, and it does not answer.
    """
    if lake.is_local and not lake.catalog_file.exists():
        return None
    table = find_table(lake)
    return Bronze(table) if table and table.current_snapshot() else None


class Bronze:
    """One snapshot of the table.

    Attributes:
        id: Identity of the table, whatever its name.
        watermarks: The newest sequence number in it, by buffer.
        run: Number of the extraction run that wrote the snapshot.
        records: Number of rows according to the snapshot; None if it has none.
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

    @cached_property
    def files(self) -> list[FileScanTask]:
        """Return the data files that the manifests of the snapshot list."""
        scan = self._table.scan(
            snapshot_id=self._snapshot.snapshot_id if self._snapshot else None
        )
        return list(scan.plan_files())

    def find_damage(self) -> list[str]:
        """Return faults of the data files, without opening any.

        Each must exist and have the size that the manifests state.
        """
        found = [fault for task in self.files if (fault := self._file_damage(task))]
        more = [f"and {len(found) - SHOWN} more data files"] if found[SHOWN:] else []
        return found[:SHOWN] + more

    def _file_damage(self, task: FileScanTask) -> str:
        path, name = task.file.file_path, task.file.file_path.rsplit("/", 1)[-1]
        try:
            if "://" in path and not path.startswith("file://"):
                size = len(self._table.io.new_input(path))
            else:
                size = Path(path.removeprefix("file://")).stat().st_size
        except FileNotFoundError:
            return f"data file {name} is missing"
        if size == task.file.file_size_in_bytes:
            return ""
        return (
            f"data file {name} has {size:,} bytes, not {task.file.file_size_in_bytes:,}"
        )

    def sums(self, after: int) -> list[Checksum]:
        """Return the checksum of each extraction run after one, in order."""
        if after >= self.run:
            return []
        scan = self._table.scan(
            row_filter=f"extract_run > {after}",
            selected_fields=("doc_id", "part", "extract_run"),
            snapshot_id=self._snapshot.snapshot_id if self._snapshot else None,
        )
        with duckdb.connect() as connection:
            connection.register("bronze", scan.to_arrow_batch_reader())
            rows = connection.execute(
                f"select extract_run, {SQL_CHECKSUM} from bronze group by 1 order by 1"
            ).fetchall()
        return [
            Checksum(run, lines, parts, int(digest))
            for run, lines, parts, digest in rows
        ]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows in batches, with the columns of the table."""
        if any(task.delete_files for task in self.files):
            yield from self._table.scan().to_arrow_batch_reader()
            return
        for task in self.files:
            yield from self._rows_of(task)

    def _rows_of(self, task: FileScanTask) -> Iterator[pa.RecordBatch]:
        schema = schema_to_pyarrow(self._table.schema(), include_field_ids=True)
        rows = 0
        name = task.file.file_path.rsplit("/", 1)[-1]
        try:
            with self._table.io.new_input(task.file.file_path).open() as stream:
                file = pq.ParquetFile(stream, page_checksum_verification=True)
                for batch in file.iter_batches(BATCH_ROWS):
                    rows += batch.num_rows
                    yield _by_field_id(batch, schema)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"data file {name}: {error}") from error
        if rows != task.file.record_count:
            raise ValueError(
                f"data file {name} has {rows} rows, not {task.file.record_count}"
            )


def _by_field_id(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the columns of the table; those that an old file lacks are null."""
    places = {
        (field.metadata or {}).get(FIELD_ID): place
        for place, field in enumerate(batch.schema)
    }
    arrays = []
    for field in schema:
        place = places.get(field.metadata[FIELD_ID])
        if place is None:
            arrays.append(pa.nulls(batch.num_rows, _plain(field.type)))
        else:
            arrays.append(batch.column(place))
    return pa.RecordBatch.from_arrays(arrays, names=schema.names)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type that the data files use instead of a large one."""
    if pa.types.is_large_string(kind):
        return pa.string()
    return pa.binary() if pa.types.is_large_binary(kind) else kind
