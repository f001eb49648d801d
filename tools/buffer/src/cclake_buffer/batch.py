"""The lines and checkpoints of the next transaction."""

from typing import Literal

from cclake_common.failure import TRY_LATER, Failure

from cclake_buffer.records import Record, Row, row


class Batch:
    """Collect lines until their checkpoint arrives; only then are they committed.

    Attributes:
        rows: Lines whose checkpoint has arrived, in the order of the pipe.
        checkpoints: The newest checkpoint of each file, with its verbatim text.
        size: Number of bytes of the rows.
        bytes_read: Number of bytes that the rows take in their files.
        open_runs: Lines whose checkpoint has not arrived, by file.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.checkpoints: dict[str, tuple[Record, bytes]] = {}
        self.size = 0
        self.open_runs: dict[str, list[Row]] = {}
        self.bytes_read = 0

    def add(self, record: Record, entry: bytes, kind: Literal["line", "chunk"]) -> None:
        """Add a line or a chunk.

        Raises:
            Failure: The record has no file key, or no bytes.
        """
        if not record.file:
            raise Failure(f"standard input contains a {kind} without a file key")
        run = self.open_runs.get(record.file)
        if run is None:
            run = self.open_runs[record.file] = []
        run.append(row(record, entry, kind))

    def close_run(self, record: Record, text: bytes) -> list[Row]:
        """Add a checkpoint, and return the lines of its file that it completes."""
        run = self.open_runs.pop(record.file, [])
        self.rows += run
        self.checkpoints[record.file] = (record, text)
        for line in run:
            self.size += len(line[7])
            self.bytes_read += line[5]
        return run

    def clear(self) -> None:
        """Remove what has been committed."""
        self.rows = []
        self.checkpoints = {}
        self.size = 0
        self.bytes_read = 0


def check_continuity(run: list[Row], record: Record, known: tuple[int, int]) -> None:
    """Refuse a run that leaves out bytes of its file.

    A checkpoint states that the buffer has all bytes before it. If a filter on the
    pipe dropped lines, or the tailer resumed from another buffer's checkpoints, those
    bytes would be lost.

    Args:
        run: The lines that the checkpoint completes.
        record: The checkpoint.
        known: The generation and offset up to which the buffer has this file.

    Raises:
        Failure: Bytes are missing.
    """
    gen, off = known
    expected = off if record.gen == gen else 0
    for line in run:
        if line[3] != record.gen:
            continue
        if line[4] > expected:
            break
        expected = max(expected, line[4] + line[5])
    else:
        if record.off <= expected:
            return
    raise Failure(
        f"{record.path}: bytes after {expected} (generation {record.gen}) are missing",
        "Start the tailer again from `buffer checkpoints`, or accept the gap "
        "with --allow-gaps.",
        TRY_LATER,
    )
