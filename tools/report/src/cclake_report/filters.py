"""Select what a report counts: days, project, model, host, account, time zone."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cclake_common.accounts import NO_RULES, Accounts
from cclake_common.failure import Failure
from cclake_common.timezones import midnight, quarter_no

from cclake_report.export import IN_PROJECT


@dataclass(frozen=True)
class Filters:
    """The filters of a report; None does not restrict.

    Attributes:
        since: First day, in the time zone.
        until: Last day, in the time zone.
        project: Part of the name or path of a project.
        model: Part of the name of a model.
        host: Name of a machine.
        timezone: IANA name of the time zone that days are counted in.
        account: Name of an account, or `none`.
        rules: The rules of the accounts.
    """

    since: date | None = None
    until: date | None = None
    project: str | None = None
    model: str | None = None
    host: str | None = None
    timezone: str = "UTC"
    account: str | None = None
    rules: Accounts = NO_RULES

    def __post_init__(self) -> None:
        """Refuse a range without days, and an unknown account."""
        if self.since and self.until and self.since > self.until:
            raise Failure(f"{self.since} is after {self.until}", code=2)
        if self.account and not self.rules.named(self.account):
            known = ", ".join(self.rules.names)
            hint = (
                f"Choose one of: {known}." if known else "Define it in accounts.toml."
            )
            raise Failure(f"there is no account {self.account!r}", hint, code=2)

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
            parts.append((IN_PROJECT, [self.project] * 3))
        if self.model:
            parts.append((f"instr(lower({model}), lower(?)) > 0", [self.model]))
        if self.host:
            parts.append(("t.host = ?", [self.host]))
        if self.account:
            names = self.rules.named(self.account)
            parts.append((self.rules.condition(names), []))
        sql = " and ".join(text for text, _ in parts) or "true"
        return sql, [value for _, values in parts for value in values]

    def _midnight(self, at: str, day: date) -> int | str:
        """Return the start of a local day, in the form of the column `at`."""
        utc = midnight(self.timezone, day)
        if at == "quarter_no":
            return quarter_no(utc)
        return f"{utc:%Y-%m-%dT%H:%M:%S}.000Z"


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
