"""What is to be read, divided into shares that each become one commit."""

from collections.abc import Iterator
from dataclasses import dataclass

from cclake_archive.client import Document
from pymongo.database import Database

from cclake_extract.mongo import Range, count, seq_of_place

FILE_ROWS = 50_000


@dataclass(frozen=True)
class Share:
    """Documents that become one commit.

    Attributes:
        ranges: At most one of each buffer.
        run: Number that their rows carry.
        path: Address of the data file; further ones have a number behind it.
    """

    ranges: tuple[Range, ...]
    run: int
    path: str

    def file(self, number: int) -> str:
        """Address of its n-th data file, from 0."""
        if not number:
            return self.path
        return f"{self.path.removesuffix('.parquet')}-{number}.parquet"


def divided(
    database: Database[Document], ranges: list[Range]
) -> Iterator[tuple[Range, ...]]:
    """Divide ranges into groups of about `FILE_ROWS` documents, in their order.

    Numbers have gaps: where a range may be too long, MongoDB is asked which of its
    documents is the last one that fits; its index answers that.
    """
    found: list[Range] = []
    room = FILE_ROWS
    for buffer, after, up_to in ranges:
        while up_to - after > room:
            edge = seq_of_place(database, (buffer, after, up_to), room)
            if edge is None:
                break
            yield (*found, (buffer, after, edge))
            found, room, after = [], FILE_ROWS, edge
        if up_to > after:
            rest = (buffer, after, up_to)
            found.append(rest)
            room -= up_to - after if up_to - after <= room else count(database, rest)
        if room <= 0:
            yield tuple(found)
            found, room = [], FILE_ROWS
    if found:
        yield tuple(found)


def most(ranges: list[Range]) -> int:
    """Return how many groups `divided` gives at most."""
    return 1 + sum(up_to - after for _, after, up_to in ranges) // FILE_ROWS
