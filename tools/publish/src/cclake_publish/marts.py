"""Read the marts that are to be written into Iceberg tables, from either engine."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cclake_common.failure import Failure

from cclake_publish.builds import Facts
from cclake_publish.gold import IMAGE_DATA, Gold, open_gold, quote
from cclake_publish.images import SCHEMA, read_images

CHUNK = 10_000
# What `just spark` writes when all files beside it are complete.
FACTS = "build.json"


@dataclass(frozen=True)
class Mart:
    """A table of gold; its batches can be read once."""

    name: str
    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]


@dataclass(frozen=True)
class Marts:
    """All marts of a build, which can be read once, and what they were made of."""

    facts: Facts
    each: Iterator[Mart]


@contextmanager
def of_duckdb(path: Path) -> Iterator[Marts]:
    """Provide the gold of a DuckDB file, with the bytes of images.

    Raises:
        Failure: There is no gold, it is incomplete, or a writer has it locked.
    """
    with (
        tempfile.TemporaryDirectory(prefix="cclake-") as scratch,
        open_gold(path, Path(scratch)) as gold,
    ):
        gold.require_whole()
        facts = Facts(gold.extract_run(), gold.watermarks(), "duckdb")
        yield Marts(facts, _tables(gold))


def _tables(gold: Gold) -> Iterator[Mart]:
    for table in gold.tables:
        columns = ", ".join(quote(column.name) for column in table.columns)
        query = f"select {columns} from {gold.source(table.name)}"
        rows = gold.connection.cursor().execute(query).to_arrow_reader(CHUNK)
        yield Mart(table.name, rows.schema, rows)
    if gold.has(IMAGE_DATA):
        yield Mart(IMAGE_DATA, SCHEMA, read_images(gold))


@contextmanager
def of_folder(folder: Path) -> Iterator[Marts]:
    """Provide the gold of a folder with a Parquet file for each mart.

    Raises:
        Failure: The folder has no complete build.
    """
    path = folder / FACTS
    if not path.exists():
        raise Failure(f"{folder} has no complete build of gold", "Run `just spark`.")
    try:
        facts = Facts(**json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise Failure(f"{path} can't be read: {error}", "Run `just spark`.") from error
    yield Marts(facts, _files(folder))


def _files(folder: Path) -> Iterator[Mart]:
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            yield Mart(path.stem, file.schema_arrow, file.iter_batches(CHUNK))
