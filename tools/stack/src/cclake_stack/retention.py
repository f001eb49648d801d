"""When Claude Code will delete its own log files.

Claude Code deletes transcripts older than `cleanupPeriodDays` of its
settings.json, 30 days by default, by the time of their last change.
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
    """The retention of one root and how many of its files go within a week."""

    settings_file: Path
    days: int
    leaving_soon: int

    def sentence(self) -> str:
        """What a user should know; empty when no file goes within a week."""
        if not self.leaving_soon:
            return ""
        return (
            f"Claude Code deletes {self.leaving_soon} of its log files within"
            f" {SOON_DAYS} days (cleanupPeriodDays = {self.days} in"
            f" {self.settings_file}). They stay in this archive."
        )


def retention(root: Path, now: float | None = None) -> Retention:
    """Read the retention that applies to a root and count the files that leave.

    Args:
        root: A `projects` folder of Claude Code.
        now: Epoch seconds; the present by default.
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
