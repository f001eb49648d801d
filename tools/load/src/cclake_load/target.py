"""Describe the snapshot that a load targets."""

from typing import Any, Protocol


class Target(Protocol):
    """A snapshot of the table; `snapshot_id` is None for an empty table.

    It is read with pyiceberg (`snapshot`) or from the metadata alone (`head`).
    """

    @property
    def run(self) -> int:
        """Return the number of its newest extraction run."""

    @property
    def base(self) -> int:
        """Return the number of the run that last rebuilt the whole table, or 0."""

    @property
    def watermarks(self) -> str | None:
        """Return the watermarks of the buffers as JSON, or None if it has none."""

    @property
    def snapshot_id(self) -> int | None:
        """Return its id."""

    @property
    def uuid(self) -> str:
        """Return the UUID of the table, which changes after drop and create."""

    @property
    def fields(self) -> dict[int, str]:
        """Return the names of the columns by their field ids."""

    def descends_from(self, snapshot_id: int | None) -> bool:
        """Return whether a snapshot is this one or a kept ancestor of it."""

    def files(self, after: int | None = None) -> list[str]:
        """Return the data files with rows of runs above `after`, oldest run first.

        Raises:
            Unknown: The metadata does not name them.
        """

    def batches(self, after: int | None = None) -> Any:
        """Return the rows of these files as Arrow batches, for files elsewhere."""


class Unknown(Exception):
    """The metadata alone does not name the files to read."""
