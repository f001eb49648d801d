"""Every case of tests/fixtures/cases, brought once through the whole chain."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gold
from chain import Chain
from parity import FIXTURES

CASES = FIXTURES / "cases"
# Two cases have the same session: one of them gets another id on its way.
SAME_SESSION = "00000000-0000-4000-8000-000000001006"
OTHER_SESSION = "00000000-0000-4000-8000-000000001007"


def names() -> list[str]:
    """Return the names of all cases: of their folders, of which each is a host."""
    return sorted(folder.name for folder in CASES.iterdir() if folder.is_dir())


def copy(case: str, folder: Path) -> Path:
    """Copy the files of a case; return the root that the tailer is given."""
    if case == "pages":
        root = folder / "projects"
        shutil.copytree(CASES / case, root / "-home-me-pages")
        return root
    shutil.copytree(CASES / case, folder, dirs_exist_ok=True)
    if case != "root-above-projects":
        return folder / "projects"
    for path in folder.rglob("*.jsonl"):
        text = path.read_text().replace(SAME_SESSION, OTHER_SESSION)
        path.with_stem(OTHER_SESSION).write_text(text)
        path.unlink()
    return folder / "account"


def build(folder: Path, uri: str) -> None:
    """Bring every case through the chain, each as a host of its own."""
    chain = Chain(folder, uri, "cases")
    for case in names():
        chain.read(copy(case, folder / "logs" / case), host=case)
    chain.deliver()
    done = chain.tool("pipeline", "run", "--daily")
    assert done.returncode == 0, done.stdout + done.stderr


class Cases:
    """The results of the chain for all cases; the case is the host of its rows."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.gold = chain.gold
        self.exports = chain.exports
        self.sqlite = chain.exports / "conversations.db"

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query on gold (schemas staging to marts)."""
        return gold.query(self.gold, sql, *values)

    def one(self, sql: str, *values: object) -> tuple[Any, ...]:
        """Return the single row of a query on gold."""
        return gold.one(self.gold, sql, *values)

    def sessions(self, case: str) -> dict[str, dict[str, Any]]:
        """Return the sessions of a case by id: dim_sessions with their metrics."""
        sql = (
            "select * from dim_sessions left join agg_session_metrics as m"
            " using (session_id) where dim_sessions.host = ?"
        )
        return {row["session_id"]: row for row in self.exported(sql, case)}

    def exported(self, sql: str, *values: object) -> Iterator[dict[str, Any]]:
        """Yield the rows of a query on the SQLite export."""
        with closing(sqlite3.connect(f"file:{self.sqlite}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            for row in db.execute(sql, values):
                yield dict(row)

    def report(self, *arguments: str, case: str = "") -> Any:
        """Return what `report --json` prints, of one case or of all."""
        host = ("--host", case) if case else ()
        return self.chain.answer("report", *arguments, *host)
