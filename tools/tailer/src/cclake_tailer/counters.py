"""The totals that the tailer counts."""

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
        """Return all totals by name."""
        return asdict(self)
