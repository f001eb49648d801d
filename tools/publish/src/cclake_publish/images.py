"""The bytes of images, which gold decodes from their lines, in SQLite only.

Where DuckDB writes a table it holds 2,048 values at once: gigabytes, of images. So its
export goes without, and they are read some at a time, and each of them once.
"""

from collections.abc import Iterator

from cclake_publish import duckdb_export, indexes
from cclake_publish.bulk import Bulk, Progress
from cclake_publish.gold import IMAGE_DATA, Gold, literal

NAMES = "images"
BATCH_BYTES = 16 << 20
SETTINGS = (
    # A scan that knows the lines by name leaves the text of all others unread.
    "dynamic_or_filter_threshold = 1000",
    # DuckDB would gather what was cut into small pieces, to hold it all together.
    "enable_caching_operators = false",
)


def write_images(gold: Gold, file: Bulk, progress: Progress) -> int:
    """Write the bytes of all images into a new export; gives their number."""
    if not gold.has(IMAGE_DATA):
        return 0
    file.run(indexes.IMAGE_DATA)
    return _copy(gold, f"from {gold.source(NAMES)} as n", file, progress)


def update_images(gold: Gold, file: Bulk, progress: Progress) -> int:
    """Write the bytes of new images, and remove those of images that are no more.

    Args:
        gold: The gold tables. The DuckDB export is attached, and its `images` are
            still those that the SQLite export has the bytes of.
        file: The SQLite export.
        progress: Called with a table's name and a number of rows just written.

    Returns:
        The number of images written.
    """
    if not gold.has(IMAGE_DATA):
        file.run(f"drop table if exists {IMAGE_DATA}")
        return 0
    if not duckdb_export.has(gold, NAMES) or not _has_table(file):
        file.run(f"drop table if exists {IMAGE_DATA}")
        return write_images(gold, file, progress)
    ours, theirs = gold.source(NAMES), duckdb_export.name_of(NAMES)
    gone = f"select image_key from {theirs} anti join {ours} using (image_key)"
    file.keep("gone", gold.connection.execute(gone).to_arrow_reader())
    file.run(
        f"delete from {IMAGE_DATA} where image_key in"
        " (select g.image_key from temp.gone as g)"
    )
    file.run("drop table temp.gone")
    new = f"from {ours} as n anti join {theirs} as o on n.image_key = o.image_key"
    return _copy(gold, new, file, progress)


def _copy(gold: Gold, some: str, file: Bulk, progress: Progress) -> int:
    cursor = gold.connection.cursor()
    for setting in SETTINGS:
        cursor.execute(f"set {setting}")
    # To find an image its whole line is read, so it weighs as much as they all.
    weighed = cursor.execute(
        "select n.image_key, sum(n.bytes) over line as weight"
        f" {some} window line as (partition by n.extract_run, n.doc_id, n.part)"
        " order by n.extract_run, n.doc_id, n.part"
    ).fetchall()
    copied = 0
    for keys in _batches(weighed):
        found = cursor.execute(
            f"select image_key, data from {gold.source(IMAGE_DATA)}"
            f" where image_key in ({', '.join(map(literal, keys))})"
        )
        for rows in found.to_arrow_reader(len(keys)):
            file.insert(IMAGE_DATA, rows)
            progress(IMAGE_DATA, rows.num_rows)
            copied += rows.num_rows
    return copied


def _batches(weighed: list[tuple[str, int]]) -> Iterator[list[str]]:
    """Keys in batches of some bytes; a heavier one is a batch of its own."""
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


def _has_table(file: Bulk) -> bool:
    query = f"select 1 from sqlite_master where name = {literal(IMAGE_DATA)}"
    return bool(file.run(query))
