"""From a log file through every tool to a DuckDB row, with nothing made up."""

from pathlib import Path
from typing import Any

import orjson
from cclake_lake.settings import Lake
from lakes import answer, duck, keys, rows, wanted
from pymongo.database import Database
from shipping import ship

FIXTURES = Path(__file__).parents[1] / "fixtures"
Db = Database[dict[str, Any]]


def test_each_line_of_the_fixtures_is_one_row_with_its_own_bytes(
    db: Db, lake: Lake, tmp_path: Path
) -> None:
    lines: dict[tuple[str, int], bytes] = {}
    for name in ("pricing", "corrupt"):
        folder = FIXTURES / name / "projects"
        ship(folder)
        for file in sorted(folder.rglob("*.jsonl")):
            off = 0
            for line in file.read_bytes().splitlines(keepends=True):
                lines[str(file.relative_to(folder)), off] = line
                off += len(line)
    answer("extract")
    found = rows(lake)
    assert keys(lake) == wanted(db)
    # A torn last line may wait for its end; every other one is there.
    whole = {place for place, line in lines.items() if line.endswith(b"\n")}
    assert whole <= {(r["source_file"], r["off"]) for r in found if r["part"] == 0}
    for row in found:
        if row["part"] == 0:
            line = lines[row["source_file"], row["off"]].removesuffix(b"\n")
            assert row["raw"] == line or row["entry"].encode() == line
        if row["entry"] is not None:
            assert isinstance(orjson.loads(row["entry"]), dict)
    assert answer("load")["rows"] == len(found)
    path = tmp_path / "cclake" / "analytics.duckdb"
    counted = "select count(*), count(json_valid(entry) or null), count(entry)"
    counted += " from raw.conversations"
    ((total, valid, entries),) = duck(path, counted)
    assert (total, valid) == (len(found), entries)
    assert answer("extract")["rows"] == 0
