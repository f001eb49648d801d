"""Build a few new lines with saved statements: all models in one transaction.

Requests are read from stdin. For each, one line is written to stdout: what was done, or
why dbt must do it. dbt does everything unusual.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from cclake_pipeline.statements import Statements, load

MOST_LINES = 20_000
"""More new lines than these are built by dbt, model by model."""

_SEEN = "select coalesce(max(seen_run), -1) from intermediate.build_state"
_STATE = f"""
select
    is_whole,
    (select count(*) from raw.conversations where extract_run > ({_SEEN}))
from intermediate.build_state
"""
_DONE = """
update intermediate.build_state
set seen_run = (select max(extract_run) from raw.conversations)
"""


class Unfit(Exception):
    """The reason why dbt must build what is new."""


def repeat(statements: Statements, database: Path) -> int:
    """Build what is new; return the number of models.

    Raises:
        Unfit: Gold is incomplete, or much is new.
        duckdb.Error: A statement failed, and nothing has changed.
    """
    with duckdb.connect(str(database)) as db:
        for name, value in statements.settings.items():
            db.execute(f"set {name} = '{value}'")
        db.execute("set threads = 1")  # for a few lines, more threads cost more
        state = db.execute(_STATE).fetchone()
        if not state or not state[0]:
            raise Unfit("gold is incomplete")
        if state[1] > MOST_LINES:
            raise Unfit(f"{state[1]} lines are new")
        db.begin()
        for _name, text in statements.models:
            db.execute(text)
        db.execute(_DONE)
        db.commit()
    return len(statements.models)


def answers(requests: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Carry out each request; yield its outcome."""
    for line in requests:
        asked = json.loads(line)
        try:
            statements = load(Path(asked["file"]), asked["key"])
            if statements is None:
                raise Unfit("the statements are those of another project")
            count = repeat(statements, Path(asked["database"]))
            yield {"ok": True, "counts": {"model": count}}
        except (Unfit, duckdb.Error) as error:
            yield {"ok": False, "failed": [str(error)]}


def main() -> None:
    """Answer requests until stdin ends."""
    for answer in answers(iter(sys.stdin.readline, "")):
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
