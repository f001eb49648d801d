"""Count and hash entries, independently of their order."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import md5

MODULUS = 2**64

# The same hash in DuckDB's SQL as `hash64` below.
SQL_CHECKSUM = f"""
    count(*) filter (part = 0),
    count(*) filter (part > 0),
    coalesce(sum(md5_number_lower(
        doc_id || case when part = 0 then '' else ':' || part end
    )::hugeint), 0) % {MODULUS}
"""


@dataclass(frozen=True, slots=True)
class Checksum:
    """The number and hash of a store's entries up to a point.

    Attributes:
        reached: The point: a sequence number or an extraction run.
        entries: Number of physical lines.
        parts: Number of records that were salvaged from broken lines.
        digest: Sum of the 64-bit hashes of all identities, modulo 2^64.
    """

    reached: int = 0
    entries: int = 0
    parts: int = 0
    digest: int = 0

    def __add__(self, other: "Checksum") -> "Checksum":
        """Return the checksum of both together, up to the further point."""
        return Checksum(
            max(self.reached, other.reached),
            self.entries + other.entries,
            self.parts + other.parts,
            (self.digest + other.digest) % 2**64,
        )

    def same_entries(self, other: "Checksum") -> bool:
        """Return whether both have the same entries, whatever point they reached."""
        return (self.entries, self.parts, self.digest) == (
            other.entries,
            other.parts,
            other.digest,
        )


def hash64(identity: str) -> int:
    """Return 64 bits of the hash of an entry's identity."""
    digest = md5(identity.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little")


def checksum_of(entries: Iterable[tuple[str, int]], reached: int = 0) -> Checksum:
    """Return the checksum of entries: `doc_id` and the number of salvaged records."""
    lines = parts = digest = 0
    for doc_id, salvaged in entries:
        lines += 1
        parts += salvaged
        digest += hash64(doc_id)
        digest += sum(hash64(f"{doc_id}:{part}") for part in range(1, salvaged + 1))
    return Checksum(reached, lines, parts, digest % MODULUS)


def checksum_of_rows(rows: Iterable[tuple[str, int]]) -> Checksum:
    """Return the checksum of rows: `doc_id` and `part`."""
    lines = parts = digest = 0
    for doc_id, part in rows:
        lines += not part
        parts += bool(part)
        digest += hash64(f"{doc_id}:{part}" if part else doc_id)
    return Checksum(0, lines, parts, digest % MODULUS)
