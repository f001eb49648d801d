"""What has been read from the pipe and is not committed yet."""

from typing import Literal

from cclake_common.failure import TRY_LATER, Failure

from cclake_buffer.records import Record, Row, row


class Pending:
    """Lines wait here for their checkpoint; only then they may be committed.

    Attributes:
        rows: Lines whose checkpoint has come, in the order of the pipe.
        checkpoints: The newest checkpoint of each file, with its own text.
        size: Bytes of the rows.
        waiting: Lines whose checkpoint has not come, by file.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.checkpoints: dict[str, tuple[Record, bytes]] = {}
        self.size = 0
        self.waiting: dict[str, list[Row]] = {}
        self.bytes_read = 0

    def add(self, record: Record, entry: bytes, kind: Literal["line", "chunk"]) -> None:
        """Take a line or a chunk."""
        if not record.file:
            raise Failure(f"a {kind} without a file key stands on the pipe")
        run = self.waiting.get(record.file)
        if run is None:
            run = self.waiting[record.file] = []
        run.append(row(record, entry, kind))

    def close_run(self, record: Record, text: bytes) -> list[Row]:
        """Take a checkpoint: the lines of its file may be committed now."""
        run = self.waiting.pop(record.file, [])
        self.rows += run
        self.checkpoints[record.file] = (record, text)
        for line in run:
            self.size += len(line[7])
            self.bytes_read += line[5]
        return run

    def clear(self) -> None:
        """Forget what has been committed."""
        self.rows = []
        self.checkpoints = {}
        self.size = 0
        self.bytes_read = 0


def check_continuity(run: list[Row], record: Record, known: tuple[int, int]) -> None:
    """Refuse a run that leaves out bytes of its file.

    A checkpoint says that all bytes before it are here. When something on the
    pipe swallowed lines, or the reader resumed behind an older buffer's back,
    believing it would lose them for ever.

    Args:
        run: The lines that came with the checkpoint.
        record: The checkpoint.
        known: Generation and offset that the buffer holds of this file.

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
