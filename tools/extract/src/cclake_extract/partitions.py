"""Divide rows by the partitions of the table."""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import BucketTransform, DayTransform, Transform

Key = tuple[Any, ...]
"""The partition of a row: one value for each field of the spec; () without any."""
DAY, SESSION = "ingested_at", "session_id"
_FIRST_ID = 1000  # where Iceberg's specification starts


def spec_of(schema: Schema, by_day: bool, buckets: int) -> PartitionSpec:
    """Return the spec by the day of ingestion, and by buckets of the session if any."""
    wanted: list[tuple[str, str, Transform[Any, Any]]] = []
    if by_day:
        wanted.append((DAY, f"{DAY}_day", DayTransform()))
    if buckets:
        wanted.append((SESSION, f"{SESSION}_bucket", BucketTransform(buckets)))
    return PartitionSpec(
        *(
            PartitionField(schema.find_field(column).field_id, number, transform, name)
            for number, (column, name, transform) in enumerate(wanted, _FIRST_ID)
        )
    )


def described(schema: Schema, spec: PartitionSpec) -> list[str]:
    """Return the fields of a spec as SQL writes them: `bucket[16](session_id)`."""
    return [
        f"{field.transform}({schema.find_column_name(field.source_id)})"
        for field in spec.fields
    ]


class Partitions:
    """Divides batches of rows by the current partition spec of a table."""

    def __init__(self, table: Table) -> None:
        schema = table.schema()
        self._fields: list[tuple[str, Callable[[Any], Any]]] = []
        for field in table.spec().fields:
            column = schema.find_field(field.source_id)
            transform = field.transform.transform(column.field_type)
            self._fields.append((column.name, transform))

    def divide(self, batch: pa.RecordBatch) -> Iterator[tuple[Key, pa.RecordBatch]]:
        """Yield the rows of each partition, in their order."""
        places: dict[Key, list[int]] = {}
        columns = [_transformed(batch.column(n), t) for n, t in self._fields]
        for place, key in enumerate(zip(*columns, strict=True)):
            places.setdefault(key, []).append(place)
        if len(places) < 2:
            yield next(iter(places), ()), batch
            return
        for key, found in places.items():
            yield key, batch.take(pa.array(found))


def _transformed(values: pa.Array, transform: Callable[[Any], Any]) -> list[Any]:
    """Return the partition values; each distinct value is transformed once."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    known = {value: transform(value) for value in pc.unique(values).to_pylist()}
    return [known[value] for value in values.to_pylist()]
