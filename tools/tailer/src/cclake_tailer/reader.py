"""Read the new bytes of an open file, and check that it is still the same file."""

import os
import zlib

from msgspec import UNSET

from cclake_tailer.counters import Counters
from cclake_tailer.discovery import is_chunk
from cclake_tailer.fingerprint import digest
from cclake_tailer.lines import encoding_of, fault_of, line_record
from cclake_tailer.output import Output
from cclake_tailer.records import Checkpoint, Heading, encode

BLOCK = 1 << 20
RUN = 1000
HEAD = 1024
TAIL = 256
LONG_TAIL = 1 << 16
CHUNK = 4 << 20


class Reader:
    """Turn the bytes after a checkpoint into records, and move the checkpoint.

    Args:
        out: Where records go.
        counters: The totals to update.
        block: Number of bytes to read at a time.
    """

    def __init__(self, out: Output, counters: Counters, block: int = BLOCK) -> None:
        self._block = block
        self._out = out
        self._counters = counters
        # How far a file was searched for the end of its line, and a digest of the bytes
        # before that place: they are not sent yet, so no checkpoint covers them.
        self._scanned: dict[str, tuple[int, str]] = {}

    def matches(self, fd: int, known: Checkpoint) -> bool:
        """Return whether the bytes before the checkpoint are those that were read."""
        if os.fstat(fd).st_size < known.off:
            return False
        head = self._pread(fd, known.head_len, 0)
        if known.head_len and digest(head) != known.head:
            return False
        more = 1 if known.unended else 0
        tail = self._pread(fd, known.tail_len + more, known.off - known.tail_len)
        if tail[known.tail_len :] not in (b"", b"\n"):
            return False  # the line that was sent as the last one has grown
        return not known.tail_len or digest(tail[: known.tail_len]) == known.tail

    def restart(self, known: Checkpoint) -> None:
        """Begin the next generation, because the content was rewritten."""
        self._scanned.pop(known.file, None)
        known.restart()

    def read(self, fd: int, known: Checkpoint, budget: int) -> bool:
        """Send complete lines (or chunks) with their checkpoints.

        Args:
            fd: The open file; `matches` returned True for it.
            known: Its checkpoint, which is updated.
            budget: Number of bytes after which to stop, approximately.

        Returns:
            Whether there may be more to read now.
        """
        step = self._read_chunk if is_chunk(known.path) else self._read_lines
        end = known.off + budget
        while known.off < end:
            if not step(fd, known):
                return False
        return True

    def checkpoint(self, known: Checkpoint) -> None:
        """Send the checkpoint."""
        known.size = max(known.size, known.off)
        self._out.add((encode(known),))

    def finish(self, fd: int, known: Checkpoint, closed: bool) -> bool:
        """Send a last line that has no newline, if it is a JSON object.

        Args:
            fd: The open file; all its complete lines were read.
            known: Its checkpoint.
            closed: The file is deleted: send the line even if it is not valid JSON.
        """
        if known.unended or is_chunk(known.path):
            return False
        tail = self._tail(fd, known)
        line = self._pread(fd, os.fstat(fd).st_size - known.off, known.off)
        if tail is None or not line or b"\n" in line:
            return False
        # The end of a log in UTF-16 is never a separate line.
        if fault_of(line) and not closed and known.encoding is UNSET:
            return False
        self._sum(known, known.off, line)
        self._send(known, [line], ended=0)
        known.unended = len(line)
        self._mark(fd, known, tail + line[-LONG_TAIL:], len(line))
        return True

    def _read_lines(self, fd: int, known: Checkpoint) -> bool:
        scanned, seen = self._scanned.pop(known.file, (known.off, ""))
        if scanned > known.off and self._seen(fd, known, scanned) == seen:
            tail = self._tail(fd, known)
            return tail is not None and self._read_long(fd, known, scanned, tail)
        block = self._tail(fd, known, self._block)
        if block is None:
            return False  # just rewritten: the next look begins a generation
        if known.off == 0:
            known.encoding = encoding_of(block[:4]) or UNSET
        start = known.tail_len
        if known.unended:
            return self._end_line(fd, known, block)
        end = block.rfind(b"\n", start) + 1
        if end == 0:
            scanned = known.off - start + len(block)
            return self._read_long(fd, known, scanned, block[:start])
        begin = known.off - start
        lines = block[start : end - 1].split(b"\n")
        for first in range(0, len(lines), RUN):
            run = lines[first : first + RUN]
            sent = known.off
            self._send(known, run)
            self._sum(known, sent, block[sent - begin : known.off - begin])
            self._mark(fd, known, block[: known.off - begin], len(run[-1]) + 1)
        return True

    def _end_line(self, fd: int, known: Checkpoint, block: bytes) -> bool:
        """Send a line again that was sent without its newline and has one now."""
        tail = block[: known.tail_len + 1]
        if tail[known.tail_len :] != b"\n":
            return False
        self._sum(known, known.off, b"\n")
        known.off -= known.unended
        line = self._pread(fd, known.unended, known.off)
        known.unended = 0
        self._send(known, [line])
        self._mark(fd, known, tail, len(line) + 1)
        return True

    def _read_long(self, fd: int, known: Checkpoint, scanned: int, tail: bytes) -> bool:
        """Read one line that is longer than a block, searching each byte only once."""
        while block := self._pread(fd, self._block, scanned):
            at = block.find(b"\n")
            if at >= 0:
                line = self._pread(fd, scanned + at - known.off, known.off)
                if len(line) < scanned + at - known.off or b"\n" in line:
                    return True  # changed while it was read: try again
                self._sum(known, known.off, line)
                self._sum(known, known.off + len(line), b"\n")
                self._send(known, [line])
                before = tail + line[-LONG_TAIL:] + b"\n"
                self._mark(fd, known, before, len(line) + 1)
                return True
            scanned += len(block)
        self._scanned[known.file] = scanned, self._seen(fd, known, scanned)
        return False

    def _seen(self, fd: int, known: Checkpoint, scanned: int) -> str:
        """Return a digest of the last unsent bytes before a place."""
        window = min(LONG_TAIL, scanned - known.off)
        return digest(self._pread(fd, window, scanned - window))

    def _read_chunk(self, fd: int, known: Checkpoint) -> bool:
        block = self._tail(fd, known, CHUNK)
        data = block[known.tail_len :] if block else b""
        if block is None or not data:
            return False
        heading = Heading("chunk", known)
        self._out.add(heading.raw(known.off, len(data), data, None))
        self._sum(known, known.off, data)
        known.off += len(data)
        self._counters.chunks_read_total += 1
        self._counters.bytes_read_total += len(data)
        self._mark(fd, known, block)
        return True

    def _send(self, known: Checkpoint, lines: list[bytes], ended: int = 1) -> None:
        heading = Heading("line", known)
        add = self._out.add
        start = off = known.off
        for line in lines:
            add(line_record(heading, off, line, ended))
            off += len(line) + ended
        known.off = off
        self._counters.lines_read_total += len(lines)
        self._counters.bytes_read_total += off - start

    def _sum(self, known: Checkpoint, at: int, data: bytes) -> None:
        """Add sent bytes to the checksums of all bytes before the offset."""
        crc, adler = (known.crc, known.adler) if at else (0, 1)
        # The checkpoint may be older than the checksums.
        if crc is not UNSET and adler is not UNSET:
            known.crc, known.adler = zlib.crc32(data, crc), zlib.adler32(data, adler)

    def _tail(self, fd: int, known: Checkpoint, more: int = 0) -> bytes | None:
        """Return the tail before the offset and bytes after it; None if it changed."""
        block = self._pread(fd, known.tail_len + more, known.off - known.tail_len)
        if known.tail_len and digest(block[: known.tail_len]) != known.tail:
            return None
        return block

    def _mark(self, fd: int, known: Checkpoint, before: bytes, last: int = 0) -> None:
        """Set the fingerprint of the bytes before the new offset, and send it.

        Args:
            fd: The open file.
            known: Its checkpoint.
            before: The sent bytes that end at the offset; they are not read again.
            last: Length of the last line. The tail covers all of it unless it is too
                long, because lines may differ only at their beginnings.
        """
        tail = before[-max(TAIL, min(last, LONG_TAIL)) :]
        known.tail_len, known.tail = len(tail), digest(tail)
        known.former = UNSET
        window = min(CHUNK if is_chunk(known.path) else HEAD, known.off)
        if known.head_len < window:
            whole = len(before) == known.off
            head = before[:window] if whole else self._pread(fd, window, 0)
            known.head_len, known.head = len(head), digest(head)
        self.checkpoint(known)

    def _pread(self, fd: int, length: int, at: int) -> bytes:
        data = os.pread(fd, length, at) if length else b""
        self._counters.bytes_pread_total += len(data)
        return data
