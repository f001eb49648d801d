"""Write one Parquet file of the table, batch by batch."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cclake_lake.long_lines import LONG_BYTES
from pyarrow.fs import FileSystem, LocalFileSystem

LEVEL = 3
GROUP_ROWS = 10_000
GROUP_BYTES = 16 << 20
# Texts repeat earlier ones: a larger page compresses better and faster.
PAGE_BYTES = 4 << 20

# Columns with few distinct values gain from a dictionary, others lose.
DICTIONARY = [
    "record_kind", "host", "buffer", "extract_run", "project_id", "source_file",
    "file_key", "gen", "session_id", "type", "subtype", "model", "is_sidechain",
    "agent_id", "version", "cwd", "git_branch", "error", "part",
]  # fmt: skip


@dataclass(frozen=True)
class Destination:
    """The place of the files of a table, and their schema.

    Attributes:
        system: The file system.
        prefix: The part of an address in the table before the path.
        schema: Arrow schema of the files.
    """

    system: FileSystem
    prefix: str
    schema: pa.Schema

    def create(self, address: str) -> pa.NativeFile:
        """Open a new file for writing, and create its folder on a local disk."""
        path = self._path(address)
        if isinstance(self.system, LocalFileSystem):
            self.system.create_dir(str(PurePosixPath(path).parent), recursive=True)
        return self.system.open_output_stream(path)

    def delete(self, address: str) -> None:
        """Delete a file, if it exists."""
        with contextlib.suppress(OSError):
            self.system.delete_file(self._path(address))

    def _path(self, address: str) -> str:
        return address.removeprefix(self.prefix)


@dataclass(frozen=True)
class Written:
    """A finished file that is not in the table yet.

    Attributes:
        path: Its address, as the table names it.
        rows: Number of its rows.
        bytes: Its size.
        metadata: The content of its footer.
        partition: The partition of its rows; () without any.
    """

    path: str
    rows: int
    bytes: int
    metadata: pq.FileMetaData
    partition: tuple[Any, ...] = ()


class ParquetFile:
    """Writes batches to a new file in a thread, while the caller makes the next.

    The first row group creates the file, so that a split with rows of many partitions
    has few open files. It is not in the table until a commit adds it; `discard`
    removes it.
    """

    def __init__(
        self, destination: Destination, path: str, partition: tuple[Any, ...] = ()
    ) -> None:
        self.schema = destination.schema
        self.path = path
        self.partition = partition
        self.rows = 0
        self._destination = destination
        self._stream: pa.NativeFile | None = None
        self._writer: pq.ParquetWriter | None = None
        self._thread = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None
        self._group: list[pa.RecordBatch] = []
        self._group_rows = self._group_bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; write a row group as soon as there are enough.

        Raises:
            OSError: The previous row group could not be written.
        """
        self.rows += batch.num_rows
        for part, is_long in _long_lines_apart(batch):
            if is_long:
                self._write_group()
            self._group.append(part)
            self._group_rows += part.num_rows
            self._group_bytes += part.nbytes
            if (
                is_long
                or self._group_rows >= GROUP_ROWS
                or self._group_bytes >= GROUP_BYTES
            ):
                self._write_group()

    def _write_group(self) -> None:
        self._wait_for_group()
        if self._group:
            group = pa.Table.from_batches(self._group, self.schema)
            size = self._group_rows
            writer = self._opened()[1]
            self._pending = self._thread.submit(writer.write_table, group, size)
        self._group, self._group_rows, self._group_bytes = [], 0, 0

    def _opened(self) -> tuple[pa.NativeFile, pq.ParquetWriter]:
        if self._stream is None:
            self._stream = self._destination.create(self.path)
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._stream,
                self.schema,
                compression="zstd",
                compression_level=LEVEL,
                use_dictionary=[c for c in DICTIONARY if c in self.schema.names],
                write_statistics=[
                    c for c in self.schema.names if c not in ("entry", "raw")
                ],
                data_page_size=PAGE_BYTES,
                store_decimal_as_integer=True,
            )
        return self._stream, self._writer

    def close(self) -> Written:
        """Finish the file."""
        self._write_group()
        self._wait_for_group()
        self._thread.shutdown()
        stream, writer = self._opened()
        writer.close()
        size, footer = stream.tell(), writer.writer.metadata
        stream.close()
        return Written(self.path, self.rows, size, footer, self.partition)

    def discard(self) -> None:
        """Remove the file, finished or not."""
        self._thread.shutdown(cancel_futures=True)
        with contextlib.suppress(OSError, pa.ArrowException):
            if self._writer is not None:
                self._writer.close()
        with contextlib.suppress(OSError):
            if self._stream is not None:
                self._stream.close()
        self._destination.delete(self.path)

    def _wait_for_group(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None


def _long_lines_apart(batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """Yield parts of a batch, each long line by itself.

    Readers skip row groups by their statistics, so that they read a line of 300 MB
    only if they need it.
    """
    begin = 0
    long = pc.indices_nonzero(pc.greater(batch.column("len"), LONG_BYTES)).to_pylist()
    for place in long:
        if place > begin:
            yield batch.slice(begin, place - begin), False
        yield batch.slice(place, 1), True
        begin = place + 1
    if begin < batch.num_rows:
        yield batch.slice(begin), False
