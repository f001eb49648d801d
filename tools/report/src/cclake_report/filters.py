"""What a report is about: a range of days, a project, a model, a host, a time zone."""

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cclake_common.failure import Failure


@dataclass(frozen=True)
class Filters:
    """Filters of a report; None: no restriction.

    Attributes:
        since: First day, in the time zone.
        until: Last day, in the time zone.
        project: Part of the name or path of a project.
        model: Part of the name of a model.
        host: Name of a machine.
        timezone: IANA name of the time zone that days are counted in.
    """

    since: date | None = None
    until: date | None = None
    project: str | None = None
    model: str | None = None
    host: str | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse a range that holds no day."""
        if self.since and self.until and self.since > self.until:
            raise Failure(f"{self.since} is after {self.until}", code=2)

    def where(self, at: str, model: str = "t.model") -> tuple[str, list[Any]]:
        """Return a SQL condition on table `t`, and its values.

        Args:
            at: The column with the time, `quarter_no` or one of texts.
            model: The condition's column with the model.
        """
        parts: list[tuple[str, list[Any]]] = []
        if self.since:
            parts.append((f"t.{at} >= ?", [self._midnight(at, self.since)]))
        if self.until and self.until < date.max:
            end = self.until + timedelta(days=1)
            parts.append((f"t.{at} < ?", [self._midnight(at, end)]))
        if self.project:
            parts.append((_PROJECT, [self.project] * 3))
        if self.model:
            parts.append((f"instr(lower({model}), lower(?)) > 0", [self.model]))
        if self.host:
            parts.append(("t.host = ?", [self.host]))
        sql = " and ".join(text for text, _ in parts) or "true"
        return sql, [value for _, values in parts for value in values]

    def _midnight(self, at: str, day: date) -> int | str:
        """Return the begin of a local day, as the column `at` counts or writes time."""
        local = datetime.combine(day, time(), ZoneInfo(self.timezone))
        try:
            utc = local.astimezone(UTC)
        except OverflowError:
            utc = local.replace(tzinfo=UTC)
        if at == "quarter_no":
            return int(utc.timestamp()) // 900
        return f"{utc:%Y-%m-%dT%H:%M:%S}.000Z"


_PROJECT = """t.project_key in (
    select project_key from dim_projects
    where instr(lower(project_name), lower(?)) > 0
    or instr(lower(project_path), lower(?)) > 0 or project_key = ?)"""


def day(text: str | None) -> date | None:
    """Return a day from `2026-08-01` or `20260801`.

    Raises:
        Failure: It is neither.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Failure(
            f"{text} is not a day", "Write it as 2026-08-01 or 20260801.", code=2
        ) from None


def zone(name: str) -> str:
    """Return the IANA name of a time zone; `local` is the zone of this machine.

    Raises:
        Failure: There is no such zone, or that of this machine has no IANA name:
            `TZ` may also be a rule such as `CET-1CEST`, which is not a name.
    """
    local = name == "local"
    if local:
        name = local_zone()
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        which = f"TZ={name} does not name a time zone" if local else ""
        raise Failure(
            which or f"there is no time zone {name}",
            "Name one with --timezone, such as Europe/Berlin.",
            code=2,
        ) from None
    return name


def local_zone() -> str:
    """Return the time zone of this machine, UTC where it cannot be told."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named and not Path(named).is_absolute():
        return named
    link = Path(named or "/etc/localtime")
    target = str(link.readlink()) if link.is_symlink() else named
    _, found, tail = target.partition("zoneinfo/")
    return tail if found else named or "UTC"
