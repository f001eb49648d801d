"""Run a command once when a limit is reached."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cclake_common.budgets import Budgets, Use
from cclake_common.failure import Failure
from cclake_common.lock import exclusive

STATE = "budgets-reached.json"
_WAIT_S = 60.0


def due(home: Path, budgets: Budgets, uses: Sequence[Use]) -> list[Use]:
    """Return the budgets over their limit whose hook has not run in this period."""
    ran = _ran(home / STATE)
    over = [use for use in uses if use.is_over] if budgets.hook else []
    return [use for use in over if not _has_run(use, ran.get(use.budget.key))]


def _has_run(use: Use, at: object) -> bool:
    """Return whether the hook ran in this period, or in a later one that has begun.

    Two tools with different time zones have different starts of the same day. If only
    the same start counted, they would run the hook in turn.
    """
    start, end = use.start.isoformat(), use.end.isoformat()
    return isinstance(at, str) and start <= at < end


def run_due(
    home: Path, budgets: Budgets, uses: Sequence[Use], wait: bool = True
) -> list[Use]:
    """Run the hook for each budget whose limit was reached since the last run.

    Its last argument is a sentence, and its environment has the budget. No shell is
    involved.

    Args:
        home: The data directory.
        budgets: The file of budgets.
        uses: What is used of them.
        wait: Wait for its end, at most a minute.

    Returns:
        The budgets that it ran for.

    Raises:
        Failure: The command cannot be started or it failed.
    """
    if not due(home, budgets, uses):
        return []
    try:
        with exclusive(home / ".budgets.lock", wait=wait):
            found = due(home, budgets, uses)
            for use in found:
                # Recorded first, so that a kill does not lead to a repeat.
                before = _ran(home / STATE)
                note = {use.budget.key: use.start.isoformat()}
                _write(home / STATE, budgets, before | note)
                try:
                    _start(budgets.hook, use, wait)
                except OSError as error:
                    _write(home / STATE, budgets, before)
                    raise Failure(
                        f"cannot run the hook {budgets.hook[0]}: {error.strerror}"
                    ) from error
            return found
    except BlockingIOError:
        return []  # another process runs it


def _start(hook: Sequence[str], use: Use, wait: bool) -> None:
    budget = use.budget
    used, limit = use.amounts
    sentence = f"Budget {budget.name}: {used} of {limit} used this {budget.period}."
    about = {
        "CCLAKE_BUDGET": budget.name,
        "CCLAKE_BUDGET_PERIOD": budget.period,
        "CCLAKE_BUDGET_UNIT": budget.unit,
        "CCLAKE_BUDGET_USED": f"{use.used:.6f}",
        "CCLAKE_BUDGET_LIMIT": f"{budget.limit:.6f}",
    }
    command = [os.path.expanduser(hook[0]), *hook[1:], sentence]  # noqa: PTH111
    environment = os.environ | about
    if not wait:
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            timeout=_WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"the hook {hook[0]} did not end within a minute") from None
    if done.returncode:
        raise Failure(f"the hook {hook[0]} failed with exit code {done.returncode}")


def _ran(path: Path) -> dict[str, str]:
    """Return, for each budget, the start of the period in which its hook last ran."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, budgets: Budgets, ran: dict[str, str]) -> None:
    keys = {budget.key for budget in budgets.budgets}
    kept = {key: start for key, start in ran.items() if key in keys}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(kept), encoding="utf-8")
    new.replace(path)
