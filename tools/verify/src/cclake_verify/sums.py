"""Counting entries with a hash that does not depend on their order."""

from collections.abc import Iterable
from hashlib import md5

from cclake_verify.memory import Sum

MODULUS = 2**64

# The same hash in DuckDB's SQL as `hash64` below.
SQL_SUM = f"""
    count(*) filter (part = 0),
    count(*) filter (part > 0),
    coalesce(sum(md5_number_lower(
        doc_id || case when part = 0 then '' else ':' || part end
    )::hugeint), 0) % {MODULUS}
"""


def hash64(identity: str) -> int:
    """64 bits of a hash of an entry's identity."""
    digest = md5(identity.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little")


def sum_of(entries: Iterable[tuple[str, int]], reached: int = 0) -> Sum:
    """The sum of entries, each the `doc_id` of a line and its salvaged records."""
    lines = parts = digest = 0
    for doc_id, salvaged in entries:
        lines += 1
        parts += salvaged
        digest += hash64(doc_id)
        digest += sum(hash64(f"{doc_id}:{part}") for part in range(1, salvaged + 1))
    return Sum(reached, lines, parts, digest % MODULUS)


def sum_of_rows(rows: Iterable[tuple[str, int]]) -> Sum:
    """The sum of rows, each a `doc_id` and a `part`."""
    lines = parts = digest = 0
    for doc_id, part in rows:
        lines += not part
        parts += bool(part)
        digest += hash64(f"{doc_id}:{part}" if part else doc_id)
    return Sum(0, lines, parts, digest % MODULUS)
