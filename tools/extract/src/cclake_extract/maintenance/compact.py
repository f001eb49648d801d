"""Merge small data files without changing a row."""

from dataclasses import dataclass

from pyiceberg.exceptions import ValidationException
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table

from cclake_extract.commit import remove, replace
from cclake_extract.data_files import data_file, destination, new_path
from cclake_extract.parquet import ParquetFile
from cclake_extract.partitions import Key
from cclake_extract.reader import FILE_BYTES
from cclake_extract.splits import FILE_ROWS
from cclake_extract.watermark import state_of

# A merged file above this size is not merged again, so that each compaction rewrites a
# bounded number of rows, however long the history is.
SMALL_ROWS = FILE_ROWS // 2
SMALL_BYTES = 32 << 20
GROUP_ROWS = 5_000


@dataclass
class Compaction:
    """The number of merged files, of their rows, and of new files."""

    files: int = 0
    rows: int = 0
    into: int = 0


def compact(table: Table, at_least: int = 2) -> Compaction:
    """Merge the small files of each partition into files of about 50,000 rows.

    One snapshot deletes the small files and adds the merged ones. It has the watermark
    of the snapshot before, and every row keeps its extraction run.

    Args:
        table: The table; holds the new head afterwards.
        at_least: Minimum number of small files; with fewer, nothing is done.
    """
    groups = small(table)
    merged_away = [task.file for group in groups for task in group]
    if len(merged_away) < max(at_least, 2):
        return Compaction()
    merged = [file for group in groups for file in _merge(table, group)]
    try:
        replace(table, lambda: merged_away, merged, lambda: state_of(table))
    except ValidationException:
        # Another compaction or a rebuild replaced the same files.
        remove(table, [file.file_path for file in merged])
        table.refresh()
        return Compaction()
    rows = sum(file.record_count for file in merged_away)
    return Compaction(len(merged_away), rows, len(merged))


def small(table: Table) -> list[list[FileScanTask]]:
    """Return the files that are worth merging by partition, oldest rows first."""
    field = table.schema().find_field("extract_run").field_id

    def age(task: FileScanTask) -> tuple[int, str]:
        low = (task.file.lower_bounds or {}).get(field, b"")
        return int.from_bytes(low, "little"), task.file.file_path

    found: dict[Key, list[FileScanTask]] = {}
    for task in table.scan().plan_files():
        if (
            task.file.record_count < SMALL_ROWS
            and task.file.file_size_in_bytes < SMALL_BYTES
            and task.file.spec_id == table.metadata.default_spec_id
        ):
            found.setdefault(_key(task.file), []).append(task)
    return [sorted(group, key=age) for group in found.values() if len(group) > 1]


def _key(file: DataFile) -> Key:
    return tuple(file.partition[place] for place in range(len(file.partition)))


def _merge(table: Table, tasks: list[FileScanTask]) -> list[DataFile]:
    """Merge files of one partition."""
    done: list[DataFile] = []
    writer: ParquetFile | None = None
    scan = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
    place, size, key = destination(table), 0, _key(tasks[0].file)
    try:
        for task in tasks:
            writer = writer or ParquetFile(place, new_path(table), key)
            rows = scan.to_table([task]).cast(writer.schema)
            for batch in rows.to_batches(max_chunksize=GROUP_ROWS):
                writer.write(batch)
            size += task.file.file_size_in_bytes
            if writer.rows >= FILE_ROWS or size >= FILE_BYTES:
                done.append(data_file(table, writer.close()))
                writer, size = None, 0
        if writer is not None:
            done.append(data_file(table, writer.close()))
            writer = None
    finally:
        if writer is not None:
            writer.discard()
    return done
