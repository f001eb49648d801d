"""One Parquet file of the table, written piece by piece."""

import contextlib
import uuid
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.typedef import Record

from cclake_extract.bronze import DICTIONARY, arrow_schema

LEVEL = 3
GROUP_ROWS = 10_000
GROUP_BYTES = 32 << 20


class DataFileWriter:
    """Writes batches to a new file of the table, while the caller makes the next.

    The file belongs to nothing until its `DataFile` is committed; `discard`
    removes it again.
    """

    def __init__(self, table: Table) -> None:
        self.schema = arrow_schema(table.schema())
        self.rows = 0
        self._table = table
        name = f"{uuid.uuid4()}.parquet"
        self.path = table.location_provider().new_data_location(name)
        self._output = table.io.new_output(self.path)
        self._stream = self._output.create()
        self._thread = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None
        self._group: list[pa.RecordBatch] = []
        self._group_rows = self._group_bytes = 0
        self._writer = pq.ParquetWriter(
            self._stream,
            self.schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=[c for c in DICTIONARY if c in self.schema.names],
            write_statistics=[
                c for c in self.schema.names if c not in ("entry", "raw")
            ],
            store_decimal_as_integer=True,
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; a row group is written once there are enough.

        Raises:
            OSError: The row group before could not be written.
        """
        self.rows += batch.num_rows
        self._group.append(batch)
        self._group_rows += batch.num_rows
        self._group_bytes += batch.nbytes
        if self._group_rows >= GROUP_ROWS or self._group_bytes >= GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        self._settle()
        if self._group:
            group = pa.Table.from_batches(self._group, self.schema)
            size = self._group_rows
            self._pending = self._thread.submit(self._writer.write_table, group, size)
        self._group, self._group_rows, self._group_bytes = [], 0, 0

    def close(self) -> DataFile:
        """Finish the file and describe it for a commit."""
        self._write_group()
        self._settle()
        self._thread.shutdown()
        self._writer.close()
        self._stream.close()
        schema, properties = self._table.schema(), self._table.properties
        statistics = data_file_statistics_from_parquet_metadata(
            parquet_metadata=self._writer.writer.metadata,
            stats_columns=compute_statistics_plan(schema, properties),
            parquet_column_mapping=parquet_path_to_id_mapping(schema),
        )
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=self.path,
            file_format=FileFormat.PARQUET,
            partition=Record(),
            file_size_in_bytes=len(self._output),
            sort_order_id=None,
            spec_id=self._table.metadata.default_spec_id,
            equality_ids=None,
            key_metadata=None,
            **statistics.to_serialized_dict(),
        )

    def discard(self) -> None:
        """Remove the file, finished or not."""
        self._thread.shutdown(cancel_futures=True)
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._stream.close()
        self._table.io.delete(self.path)

    def _settle(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None
