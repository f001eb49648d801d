"""Find log files that Claude Code will delete soon.

Claude Code deletes transcripts whose last change is more than `cleanupPeriodDays` ago.
The setting is in its settings.json; the default is 30 days.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

DEFAULT_DAYS = 30
SOON_DAYS = 7
DAY_SECONDS = 86400.0


@dataclass(frozen=True)
class Retention:
    """The retention of a root, and how many of its files are deleted within a week."""

    settings_file: Path
    days: int
    leaving_soon: int

    def sentence(self) -> str:
        """Return a warning; empty if no file is deleted within a week."""
        if not self.leaving_soon:
            return ""
        return (
            f"Claude Code will delete {self.leaving_soon} of its log files within"
            f" {SOON_DAYS} days (cleanupPeriodDays = {self.days} in"
            f" {self.settings_file}). They stay in this archive."
        )


def retention(root: Path, now: float | None = None) -> Retention:
    """Read the retention of a root, and count the files that are deleted soon.

    Args:
        root: A `projects` folder of Claude Code.
        now: Epoch seconds; the current time by default.
    """
    settings_file = root.parent / "settings.json"
    days = _days(settings_file)
    limit = (time.time() if now is None else now) - (days - SOON_DAYS) * DAY_SECONDS
    leaving = sum(1 for path in root.rglob("*.jsonl") if _mtime(path) < limit)
    return Retention(settings_file, days, leaving)


def _days(settings_file: Path) -> int:
    try:
        found = json.loads(settings_file.read_bytes()).get("cleanupPeriodDays")
    except (OSError, ValueError, AttributeError):
        return DEFAULT_DAYS
    return found if isinstance(found, int) and found > 0 else DEFAULT_DAYS


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")
