"""Copy the rows of a snapshot into DuckDB."""

import re

import duckdb
from cclake_lake.long_lines import LONG_BYTES, SHORT_BYTES

from cclake_load import raw
from cclake_load.raw import COLUMNS
from cclake_load.target import Target

LAKE_ROWS = "lake_rows"
NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
ORDINARY = f"(len <= {LONG_BYTES} or len is null)"
LONG = f"len > {LONG_BYTES}"


def insert(
    db: duckdb.DuckDBPyConnection,
    target: Target,
    after: int | None = None,
    only: list[int] | None = None,
) -> int:
    """Append rows of a snapshot to `raw.conversations`; return how many.

    The bytes of a line above 16 MB stay in the lake.

    Args:
        db: The open database, inside a transaction.
        target: The snapshot.
        after: Read only runs above this one.
        only: Read only these runs.
    """
    relation = _relation(db, target, after)
    if relation is None:
        return 0
    # Not a join: DuckDB keeps the order of the files only through plain filters.
    wanted = "extract_run > ? and (? or list_contains(?, extract_run))"
    values = [-1 if after is None else after, only is None, only or []]
    if relation == LAKE_ROWS:  # Arrow batches can be read only once
        parts = [_without_bytes(relation, LONG)]
    else:  # two queries, so that the bytes of long lines are never read
        ordinary = f"(select * from {relation} where {ORDINARY})"
        parts = [ordinary, _without_bytes(f"{relation} where {LONG}", "true")]
    return sum(
        db.execute(
            f"insert into raw.conversations by name select {NAMES} from {part}"
            f" where {wanted}",
            values,
        ).fetchall()[0][0]
        for part in parts
    )


def _without_bytes(rows: str, condition: str) -> str:
    """Return SQL for rows, without the bytes of those that meet a condition.

    Older extractions kept the whole entries of long lines; these become null.
    """
    short = f"case when strlen(entry) <= {SHORT_BYTES} then entry end"
    return (
        f"(select * replace (case when not ({condition}) then raw end as raw,"
        f" case when {condition} then {short} else entry end as entry) from {rows})"
    )


def runs(db: duckdb.DuckDBPyConnection, target: Target) -> dict[int, tuple[int, int]]:
    """Return the rows of each extraction run in the snapshot, as `raw.runs` does."""
    relation = _relation(db, target)
    return raw.runs(db, relation) if relation else {}


SHARED_HOSTS = """
select host
from (select distinct coalesce(host, '') as host, buffer from raw.conversations)
group by host
having count(*) > 1
"""

DUPLICATES = """
delete from raw.conversations where rowid in (
    select rowid from (
        select rowid, row_number() over (
            partition by doc_id, part order by extract_run, rowid
        ) as copy
        from raw.conversations
        where doc_id in (
            select doc_id from raw.conversations
            where extract_run > ? and list_contains(?, coalesce(host, ''))
        )
    ) where copy > 1
)
"""


def delete_duplicates(db: duckdb.DuckDBPyConnection, after: int = 0) -> int:
    """Delete all but the oldest row of each (doc_id, part); return how many.

    A line can reach the lake twice when two buffers of one host read it at the same
    time. Rows of hosts with one buffer are not compared.

    Args:
        db: The open database, inside a transaction.
        after: Only rows of runs above this one can be duplicates.
    """
    hosts = [host for (host,) in db.execute(SHARED_HOSTS).fetchall()]
    if not hosts:
        return 0
    found = db.execute(DUPLICATES, [after, hosts]).fetchone()
    return int(found[0]) if found else 0


def _relation(
    db: duckdb.DuckDBPyConnection, target: Target, after: int | None = None
) -> str | None:
    """Return the relation to select from, or None if no file has such rows."""
    files = target.files(after)
    if not files:
        return None
    if any("://" in file and not file.startswith("file://") for file in files):
        db.register(LAKE_ROWS, target.batches(after))
        return LAKE_ROWS
    paths = [file.removeprefix("file://") for file in files]
    # DuckDB takes these characters for a pattern, which may match other files.
    listed = ", ".join(_quoted(re.sub(r"([*?\[])", r"[\1]", one)) for one in paths)
    return f"read_parquet([{listed}], schema = {_by_field_id(target)})"


def _by_field_id(target: Target) -> str:
    """Return the schema by field id, for columns that were renamed or added."""
    fields = []
    for name, number in _ids(target).items():
        kind = COLUMNS[name].split(" NOT")[0].split(" USING")[0]
        fields.append(
            f"{number}: {{name: {_quoted(name)}, type: {_quoted(kind)},"
            " default_value: NULL}"
        )
    return f"MAP {{{', '.join(fields)}}}"


def _ids(target: Target) -> dict[str, int]:
    """Return the field id of each column: by name, or by position if renamed.

    A column that the table lacks gets an unused id, so that it is null.
    """
    names = target.fields
    ids = {name: number for number, name in names.items()}
    for place, name in enumerate(COLUMNS, 1):
        renamed = place in names and names[place] not in COLUMNS
        ids.setdefault(name, place if renamed else 10_000 + place)
    return {name: ids[name] for name in COLUMNS}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
