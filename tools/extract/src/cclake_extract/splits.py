"""Divide the documents to read into splits that each become one commit."""

from collections.abc import Iterator
from dataclasses import dataclass

from cclake_archive.client import Document
from pymongo.database import Database

from cclake_extract.mongo import Range, count, nth_seq

FILE_ROWS = 50_000


@dataclass(frozen=True)
class Split:
    """Documents that become one commit.

    Attributes:
        ranges: One range of each buffer at most.
        run: Run number of their rows.
        path: Address of the data file; further files add a number to it.
    """

    ranges: tuple[Range, ...]
    run: int
    path: str

    def file(self, number: int) -> str:
        """Return the address of its n-th data file, from 0."""
        if not number:
            return self.path
        return f"{self.path.removesuffix('.parquet')}-{number}.parquet"


def split_ranges(
    database: Database[Document], ranges: list[Range]
) -> Iterator[tuple[Range, ...]]:
    """Divide ranges into groups of about `FILE_ROWS` documents, in their order.

    Sequence numbers have gaps. If a range may be too long, an index of MongoDB gives
    the number of the last document that fits.
    """
    found: list[Range] = []
    room = FILE_ROWS
    for buffer, after, up_to in ranges:
        while up_to - after > room:
            edge = nth_seq(database, (buffer, after, up_to), room)
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


def max_splits(ranges: list[Range]) -> int:
    """Return the maximum number of groups that `split_ranges` yields."""
    return 1 + sum(up_to - after for _, after, up_to in ranges) // FILE_ROWS
