"""What the tailer counts, and the record that tells it."""

import json
from dataclasses import asdict, dataclass


@dataclass
class Counters:
    """Totals since the start; the names are those of the stats record."""

    lines_read_total: int = 0
    chunks_read_total: int = 0
    bytes_read_total: int = 0
    bytes_pread_total: int = 0
    files_opened_total: int = 0
    files_missed_total: int = 0
    folders_missed_total: int = 0
    files_compared_total: int = 0
    bytes_compared_total: int = 0
    inotify_events_total: int = 0
    inotify_overflows_total: int = 0
    rescans_total: int = 0
    rescan_found_total: int = 0
    truncations_total: int = 0
    renames_total: int = 0
    replaced_total: int = 0

    def totals(self) -> dict[str, int]:
        """All of them by name."""
        return asdict(self)


def stats_record(host: str, counters: Counters, **now: object) -> bytes:
    """The stats record with its newline; `now` holds what is not a total."""
    record = {"kind": "stats", "host": host, **now, **counters.totals()}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"
