"""Sums of longer and longer times, of which any span is made of few.

A span is covered by the widest blocks that lie in it, then by narrower ones at its
ends, and by single quarters of an hour at last. All of time is one block.
"""

import sqlite3

from cclake_web.data.sums import BELOW_SUMS

TOP = 1 << 29  # quarters of an hour, more than SQLite has dates for
WIDTHS = (512, 2048, 8192, 32_768, TOP)  # quarters of an hour of a block
Piece = tuple[int, int, int]
_TABLES = {
    # table: (columns of the groups, sums, source of the single quarters)
    "answered": (
        "who",
        """sum(responses) as responses, sum(unpriced) as unpriced,
        sum(uncounted) as uncounted, sum(cost) as cost, sum(tokens) as tokens""",
        """(select quarter, who, responses, unpriced, uncounted, cost,
        input + output + written + read as tokens from sums.quarters)""",
    ),
    "called": (
        "who, tool, kind",
        f"sum(calls) as calls, sum(timed) as timed, {BELOW_SUMS}",
        "sums.calls",
    ),
}


def create(connection: sqlite3.Connection) -> None:
    """Create the tables of blocks, empty."""
    for table, (keys, sums, base) in _TABLES.items():
        connection.executescript(
            f"""create table sums.{table} as select 1 as level, quarter as block,
            {keys}, {sums} from {base} where false group by quarter, {keys};
            create index sums.{table}_block on {table} (level, block)"""
        )


def renew(connection: sqlite3.Connection) -> None:
    """Rebuild all blocks that hold a touched quarter of an hour."""
    for table, (keys, sums, base) in _TABLES.items():
        source, block = f"{base} where", "quarter / {}"
        narrow = 1
        for width in WIDTHS:
            at = block.format(width // narrow)
            touched = f"in (select quarter / {width} from sums.touched)"
            connection.executescript(
                f"""delete from sums.{table} where level = {width} and block {touched};
                insert into sums.{table} select {width}, {at}, {keys}, {sums}
                from {source} {at} {touched} group by {at}, {keys}"""
            )
            # The next blocks are made of these.
            source, block = f"sums.{table} where level = {width} and", "block / {}"
            narrow = width


def pieces(first: int, end: int) -> list[Piece]:
    """Return blocks that cover the quarters of an hour from `first` to before `end`.

    Returns:
        For each run of blocks its width, its first block and its last one.
    """
    found: list[Piece] = []
    gaps = [(max(first, 0), min(end, TOP))]
    for width in (*reversed(WIDTHS), 1):
        open_ones = []
        for low, high in gaps:
            start, stop = -(-low // width), high // width
            if start < stop:
                found.append((width, start, stop - 1))
                open_ones += [(low, start * width), (stop * width, high)]
            else:
                open_ones.append((low, high))
        gaps = [(low, high) for low, high in open_ones if low < high]
    return found


def source(table: str, span: tuple[int, int], whose: str) -> str:
    """The sums of a span as a subquery.

    Args:
        table: `answered` or `called`.
        span: The first quarter of an hour and the one after the last.
        whose: A condition on `who`.
    """
    parts = [
        f"select * from sums.{table} where level = {width}"
        f" and block between {low} and {high} and {whose}"
        for width, low, high in pieces(*span)
        if width > 1
    ]
    keys, sums, base = _TABLES[table]
    parts += [
        f"select 1, quarter, {keys}, {sums} from {base}"
        f" where quarter between {low} and {high} and {whose} group by quarter, {keys}"
        for width, low, high in pieces(*span)
        if width == 1
    ]
    return f"({' union all '.join(parts) or f'select * from sums.{table} where false'})"
