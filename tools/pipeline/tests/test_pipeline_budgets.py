import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cclake_common.budgets import FILE
from cclake_pipeline.budget_watch import BudgetWatch
from cclake_pipeline.health import exposition
from gold_usage import make_export, response
from harness import wait_for
from prometheus_client.parser import text_string_to_metric_families

NAME = 'a "b" \\ c'
BUDGET = f"""
[[budget]]
name = {json.dumps(NAME)}
period = "month"
usd = 2
"""
LIMIT = BUDGET.replace("usd = 2", "usd = 1")
# Writes its last argument to a pipe, and waits until that is read.
HOOK = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + chr(10)); sys.exit(3)"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory whose export has one dollar of this moment."""
    now = datetime.now(UTC).replace(tzinfo=None)
    one = response(1, responded_at=now, cost_usd=1)
    make_export(tmp_path / "exports", fct_api_responses=[one])
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("EXPORT_DIR", raising=False)
    return tmp_path


def metrics() -> dict[str, float]:
    """The metrics of the budgets, as Prometheus reads them."""
    text = exposition(BudgetWatch(print).families())
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels.get("budget", NAME) == NAME
            found[sample.name.removeprefix("cclake_")] = sample.value
    return found


def test_metrics_have_what_is_used(home: Path) -> None:
    (home / FILE).write_text(BUDGET)
    found = metrics()
    assert found["budgets_readable"] == 1
    assert (found["budget_used"], found["budget_limit"]) == (1, 2)
    assert found["budget_used_ratio"] == 0.5
    now = datetime.now(UTC).timestamp()
    assert now < found["budget_period_end_seconds"] < now + 31 * 24 * 3600
    later = found.get("budget_spent_seconds", now + 1)  # missing late in the month
    assert now < later < found["budget_period_end_seconds"]


def test_metrics_of_a_wrong_file_say_so(home: Path) -> None:
    assert metrics() == {}
    (home / FILE).write_text("[[budget]]")
    assert metrics() == {"budgets_readable": 0}


def test_the_hook_runs_once_and_nothing_waits_for_it(home: Path) -> None:
    pipe = home / "pipe"
    os.mkfifo(pipe)
    hook = [sys.executable, "-c", HOOK, str(pipe)]
    (home / FILE).write_text(f"hook = {json.dumps(hook)}\n{LIMIT}")
    said: list[str] = []
    watch = BudgetWatch(said.append)
    watch.start()  # returns although the hook cannot end yet
    assert said == []
    assert pipe.read_text() == f"Budget {NAME}: $1.00 of $1.00 used this month.\n"
    wait_for(lambda: said, "the failure of the hook")
    assert said == [f"budgets: the hook {sys.executable} failed with exit code 3"]
    for again in (watch, BudgetWatch(said.append)):  # also after a restart
        again.check()
    assert len(said) == 1


def test_a_failure_is_logged_once_until_it_is_another(home: Path) -> None:
    said: list[str] = []
    watch = BudgetWatch(said.append)
    watch.check()
    assert said == []
    (home / FILE).write_text("[[budget]]")
    watch.check()
    watch.check()
    (home / FILE).write_text(f'hook = ["/no/such/command"]\n{LIMIT}')
    watch.check()
    assert len(said) == 2
    assert "line 1: budget 1: period is not one of day, week, month" in said[0]
    assert "cannot run the hook /no/such/command: No such file" in said[1]
