"""Watch the budgets: their metrics, and the hook of a limit that a run has reached."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Thread

from cclake_common import budget_hook, budgets
from cclake_common.budgets import Budgets, Use
from cclake_common.export import open_export
from cclake_common.failure import Failure
from cclake_common.settings import home, in_home

from cclake_pipeline.health import Family

_GAUGES = {
    "limit": "Limit of the budget, in its unit.",
    "used": "Used in the current period.",
    "used_ratio": "Used share of the limit.",
    "unpriced_responses": "Responses without a cost, which are not counted.",
    "period_end_seconds": "End of the period (epoch).",
}


class BudgetWatch:
    """Compares the export with `budgets.toml`, if there is one.

    Args:
        say: Logs a failure; the same one only once.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = ""

    def start(self) -> None:
        """Run the hook of each limit that was reached, in a thread.

        So no run waits for a hook.
        """
        Thread(target=self.check, daemon=True).start()

    def check(self, wait: bool = True) -> None:
        """Run the hook of each limit that was reached, and log a failure.

        Args:
            wait: Wait for its end, at most a minute.
        """
        try:
            found, uses = _used()
            budget_hook.run_due(home(), found, uses, wait)
            self._said = ""
        except (Failure, OSError) as failure:
            if str(failure) != self._said:
                self._said = str(failure)
                self._say(f"budgets: {failure}")

    def families(self) -> Iterator[Family]:
        """Yield the metrics of the budgets, at the time of the call."""
        if not (home() / budgets.FILE).exists():
            return
        try:
            uses, is_read = _used()[1], 1
        except Failure:
            uses, is_read = [], 0
        yield (
            "cclake_budgets_readable", "gauge",
            "Whether budgets.toml and the export could be read.", [("", is_read)],
        )  # fmt: skip
        for name, what in _GAUGES.items():
            samples = [(_labels(use), _values(use)[name]) for use in uses]
            yield f"cclake_budget_{name}", "gauge", what, samples
        spent = [
            (_labels(use), use.spent_at.timestamp()) for use in uses if use.spent_at
        ]
        yield (
            "cclake_budget_spent_seconds", "gauge",
            "When the limit will be reached at this rate (epoch).", spent,
        )  # fmt: skip


def _used() -> tuple[Budgets, list[Use]]:
    path = home() / budgets.FILE
    if not path.exists():
        return Budgets(()), []
    found = budgets.load(path)
    with open_export(in_home("EXPORT_DIR", "exports")) as connection:
        return found, budgets.uses(connection, found, datetime.now(UTC))


def _values(use: Use) -> dict[str, float]:
    return {
        "limit": use.budget.limit,
        "used": round(use.used, 6),
        "used_ratio": round(use.share, 6),
        "unpriced_responses": use.missing,
        "period_end_seconds": use.end.timestamp(),
    }


def _labels(use: Use) -> str:
    one = use.budget
    pairs = {"budget": one.name, "period": one.period, "unit": one.unit}
    return "{" + ",".join(f'{k}="{_escaped(v)}"' for k, v in pairs.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
