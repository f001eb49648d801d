"""Read the bytes of images, which gold decodes from their lines, and write them.

DuckDB holds 2,048 values at once when it writes a table, which are gigabytes of images.
So its export has none. They are read in small batches, and each only once.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from cclake_publish import indexes
from cclake_publish.gold import IMAGE_DATA, Gold, literal
from cclake_publish.sqlite_writer import Progress, Transaction

NAMES = "images"
BATCH_BYTES = 16 << 20
SCHEMA = pa.schema([("image_key", pa.large_string()), ("data", pa.large_binary())])
SETTINGS = (
    # With this, a scan for named lines does not read the text of others.
    "dynamic_or_filter_threshold = 1000",
    # Otherwise DuckDB would collect the small batches into large ones.
    "enable_caching_operators = false",
)


def write_images(gold: Gold, file: Transaction, progress: Progress) -> int:
    """Write the bytes of all images into a new export; return their number."""
    if not gold.has(IMAGE_DATA):
        return 0
    file.run(indexes.IMAGE_DATA)
    return _copy(gold.images or read_images(gold), file, progress)


def update_images(gold: Gold, file: Transaction, progress: Progress) -> int:
    """Write the bytes of new images, and remove those of images that no longer exist.

    Args:
        gold: The gold tables.
        file: The SQLite export.
        progress: Called with a table's name and a number of rows just written.

    Returns:
        The number of images written.
    """
    if not gold.has(IMAGE_DATA):
        return 0
    keys = f"select image_key from {gold.source(NAMES)}"
    file.keep("named", gold.connection.execute(keys).to_arrow_reader())
    file.run("create index temp.named_key on named (image_key)")
    file.run(
        f"delete from {IMAGE_DATA} where image_key in (select d.image_key"
        f" from {IMAGE_DATA} as d where not exists"
        " (select 1 from temp.named as n where n.image_key = d.image_key))"
    )
    new = file.run(
        "select distinct n.image_key from temp.named as n where not exists"
        f" (select 1 from {IMAGE_DATA} as d where d.image_key = n.image_key)"
    )
    file.run("drop table temp.named")
    if not new:
        return 0
    named = ", ".join(literal(key) for (key,) in new)
    return _copy(read_images(gold, f"n.image_key in ({named})"), file, progress)


def _copy(
    batches: Iterable[pa.RecordBatch], file: Transaction, progress: Progress
) -> int:
    copied = 0
    for rows in batches:
        file.insert(IMAGE_DATA, rows)
        progress(IMAGE_DATA, rows.num_rows)
        copied += rows.num_rows
    return copied


def read_images(gold: Gold, chosen: str = "true") -> Iterator[pa.RecordBatch]:
    """Yield the bytes of images, a few at a time, in the columns of `SCHEMA`.

    Args:
        gold: The gold tables.
        chosen: A condition on the table of images, `n`.
    """
    cursor = gold.connection.cursor()
    for setting in SETTINGS:
        cursor.execute(f"set {setting}")
    # An image needs its whole line, so its weight is that of all images of the line.
    weighed = cursor.execute(
        "select n.image_key, sum(n.bytes) over line as weight"
        f" from {gold.source(NAMES)} as n where {chosen}"
        " window line as (partition by n.extract_run, n.doc_id, n.part)"
        " order by n.extract_run, n.doc_id, n.part"
    ).fetchall()
    for keys in _batches(weighed):
        found = cursor.execute(
            f"select image_key, data from {gold.source(IMAGE_DATA)}"
            f" where image_key in ({', '.join(map(literal, keys))})"
        )
        yield from found.to_arrow_reader(len(keys))


def _batches(weighed: list[tuple[str, int]]) -> Iterator[list[str]]:
    """Yield keys in batches of some bytes; a heavier one is a batch of its own."""
    batch: list[str] = []
    total = 0
    for key, weight in weighed:
        if batch and total + weight > BATCH_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(key)
        total += weight
    if batch:
        yield batch
