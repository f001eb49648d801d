"""What a load goes for, however it was read."""

from typing import Any, Protocol


class Aim(Protocol):
    """A snapshot of the table; `snapshot_id` is None for an empty table."""

    @property
    def run(self) -> int:
        """Number of its newest extraction run."""

    @property
    def base(self) -> int:
        """Number of the run that last rebuilt the whole table, or 0."""

    @property
    def watermarks(self) -> str | None:
        """Up to which seq each buffer is in it, as JSON; None where it does not say."""

    @property
    def snapshot_id(self) -> int | None:
        """Its id."""

    @property
    def uuid(self) -> str:
        """Identity of the table; another one after drop and create."""

    @property
    def fields(self) -> dict[int, str]:
        """The names of the columns by their field ids."""

    def descends_from(self, snapshot_id: int | None) -> bool:
        """Return whether a snapshot is this one or an ancestor that is still kept."""

    def files(self, after: int | None = None) -> list[str]:
        """Return the data files with rows of runs above `after`, oldest run first.

        Raises:
            Unknown: They can't be told from what was read.
        """

    def batches(self, after: int | None = None) -> Any:
        """Return the same rows as Arrow batches, for files that are not local."""


class Unknown(Exception):
    """The metadata alone does not tell which files to read."""
