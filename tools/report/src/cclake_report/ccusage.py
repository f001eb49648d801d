"""Read a report of ccusage, such as `ccusage claude daily --json`."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cclake_common.failure import Failure

Period = Literal["daily", "weekly", "monthly", "session"]
TOKENS = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
_LISTS: dict[str, tuple[Period, str]] = {
    "daily": ("daily", "date"),
    "weekly": ("weekly", "week"),
    "monthly": ("monthly", "month"),
    "sessions": ("session", "sessionId"),
    "session": ("session", "sessionId"),
}
_NAMES = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens")


@dataclass(frozen=True)
class CcusageReport:
    """The counts of a ccusage report.

    Attributes:
        period: The period that it groups by.
        counts: (period key, model) to the four token counts and `cost_usd`.
    """

    period: Period
    counts: dict[tuple[str, str], dict[str, float]]


def read(path: Path) -> CcusageReport:
    """Read a report, and add up fast mode, which ccusage lists apart, with its model.

    Raises:
        Failure: It is not a report of ccusage by day, week, month or session.
    """
    try:
        found = json.loads(path.read_text())
        name = next(key for key in _LISTS if key in found)
        period, key = _LISTS[name]
        counts: dict[tuple[str, str], dict[str, float]] = {}
        for row in found[name]:
            for part in row["modelBreakdowns"]:
                _add(counts, (str(row[key]), plain_model(part["modelName"])), part)
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from error
    except (StopIteration, ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"{path} is not a report of ccusage",
            "Make one with `ccusage claude daily --json --offline -z UTC`"
            " (or weekly, monthly, session).",
        ) from error
    return CcusageReport(period, counts)


def plain_model(name: str) -> str:
    """Return a model's name without the mark of fast mode."""
    return re.sub(r"-fast$", "", name)


def _add(
    counts: dict[tuple[str, str], dict[str, float]],
    key: tuple[str, str],
    part: dict[str, Any],
) -> None:
    into = counts.setdefault(key, dict.fromkeys((*TOKENS, "cost_usd"), 0))
    for ours, theirs in zip(TOKENS, _NAMES, strict=True):
        into[ours] += part[theirs]
    into["cost_usd"] += part["cost"]
