"""Save the marts of a session as Parquet files, one for each."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

IMAGES, IMAGE_DATA = "images", "image_data"
# A view with the texts of other marts.
NOT_SAVED = {"search_documents"}
BATCH_BYTES = 16 << 20


def save(session: SparkSession, names: Iterable[str], folder: Path) -> None:
    """Write a file for each mart, batch by batch as the engine sends them.

    Args:
        session: A session that has built the marts.
        names: Their names.
        folder: An empty folder; the files are named `<mart>.parquet`.
    """
    for name in names:
        if name not in NOT_SAVED:
            frames = _images(session) if name == IMAGE_DATA else [_mart(session, name)]
            _write(frames, folder / f"{name}.parquet")


def _write(frames: Iterable[DataFrame], path: Path) -> None:
    writer = None
    try:
        for frame in frames:
            for rows in _tables(frame):
                # Without the field ids of bronze, which the engine passes on.
                schema = pa.schema([(field.name, field.type) for field in rows.schema])
                writer = writer or pq.ParquetWriter(path, schema, compression="zstd")
                writer.write_table(rows.cast(writer.schema))
    finally:
        if writer:
            writer.close()


def _mart(session: SparkSession, name: str) -> DataFrame:
    return session.table(f"marts.{name}")


def _tables(frame: DataFrame) -> Iterator[pa.Table]:
    """Yield the rows of a query; at least one table, which may be empty.

    `toArrow` would hold all of them.
    """
    client = frame.sparkSession.client
    for found in client.to_table_as_iterator(frame._plan.to_proto(client), {}):
        if isinstance(found, pa.Table):
            yield found


def _images(session: SparkSession) -> Iterator[DataFrame]:
    """Yield queries for the bytes of images, each for a few megabytes."""
    session.sql(
        "create table marts.image_bytes as select * from marts.image_data"
    ).toArrow()
    yield session.sql("select * from marts.image_bytes where false")
    keys: list[str] = []
    total = 0
    for image in _mart(session, IMAGES).toArrow().to_pylist():
        if keys and total + image["bytes"] > BATCH_BYTES:
            yield _bytes_of(session, keys)
            keys, total = [], 0
        keys.append(image["image_key"])
        total += image["bytes"]
    if keys:
        yield _bytes_of(session, keys)


def _bytes_of(session: SparkSession, keys: list[str]) -> DataFrame:
    quoted = ", ".join("'" + key.replace("'", "''") + "'" for key in keys)
    return session.sql(f"select * from marts.image_bytes where image_key in ({quoted})")
