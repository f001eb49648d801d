"""Gold through Iceberg tables: what is published is what DuckDB has, or nothing new."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cclake_common.failure import TRY_LATER, Failure
from cclake_lake.catalog import open_catalog
from cclake_lake.settings import Lake
from cclake_publish import builds
from cclake_publish.builds import Facts
from cclake_publish.export import publish
from cclake_publish.iceberg_reader import open_iceberg
from cclake_publish.iceberg_writer import write_gold
from cclake_publish.marts import FACTS, Mart, Marts, of_duckdb, of_folder
from exports import facts_of, hits, rows_of
from gold_tables import add_session
from harness import BIN, PATIENCE
from pyiceberg.table import Table

Publish = Callable[[], object]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "iceberg"))


@pytest.fixture
def publish_lake(lake: Lake, exports: Path) -> Publish:
    """Publishes from Iceberg into `exports`."""
    return lambda: publish(partial(open_iceberg, lake), exports, full=True)


def write(lake: Lake, gold: Path) -> None:
    with of_duckdb(gold) as marts:
        write_gold(lake, marts, lambda _table, _rows: None)


def made(lake: Lake, **tables: pa.Table) -> None:
    """Write a build with these tables."""
    each = (Mart(name, rows.schema, rows.to_batches()) for name, rows in tables.items())
    write_gold(lake, Marts(Facts(1, "{}", "spark"), each), lambda _table, _rows: None)


def table(lake: Lake, name: str) -> Table:
    return open_catalog(lake).load_table(f"gold.{name}")


def tool(
    lake: Lake, gold: Path, *options: str, fault: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run publish as a user does."""
    env = os.environ | {
        "CCLAKE_HOME": str(gold.parent),
        "ICEBERG_WAREHOUSE_PATH": lake.warehouse,
        "CCLAKE_FAULT": fault,
    }
    return subprocess.run(
        [BIN / "publish", *options],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def add(gold: Path, number: int) -> None:
    with duckdb.connect(str(gold)) as writer:
        add_session(writer, number, 2)


def test_the_export_is_the_one_that_duckdb_gives(
    lake: Lake, gold: Path, exports: Path, tmp_path: Path
) -> None:
    publish(gold, tmp_path / "direct")
    wrote = tool(lake, gold, "iceberg")
    assert wrote.stdout == "wrote 144 rows of 8 tables to the namespace gold\n"
    published = tool(lake, gold, "--from", "iceberg")
    assert "(full)" in published.stdout, published.stderr
    direct = rows_of(tmp_path / "direct")
    assert len(direct["image_data"]) == 50
    assert rows_of(exports) == direct
    assert hits(exports, "word100002") == hits(tmp_path / "direct", "word100002") != []
    one, other = facts_of(exports), facts_of(tmp_path / "direct")
    for name in ("export_id", "published_at", "layout"):
        del one[name], other[name]
    # With the digests of tables, and the watermarks of what is archived.
    assert one == other


def test_a_later_build_replaces_the_former(
    lake: Lake, gold: Path, exports: Path, publish_lake: Publish, tmp_path: Path
) -> None:
    write(lake, gold)
    add(gold, 7)
    write(lake, gold)
    publish_lake()
    publish(gold, tmp_path / "direct")
    assert rows_of(exports) == rows_of(tmp_path / "direct")


@pytest.mark.fault
@pytest.mark.parametrize(
    "point", ["iceberg.agg_session_metrics", "iceberg.images", "iceberg.current_build"]
)
def test_readers_see_the_former_build_after_a_kill(
    lake: Lake, gold: Path, exports: Path, publish_lake: Publish, point: str
) -> None:
    write(lake, gold)
    publish_lake()
    former = rows_of(exports)
    add(gold, 7)
    assert tool(lake, gold, "iceberg", fault=point).returncode == 137
    publish_lake()
    assert rows_of(exports) == former
    write(lake, gold)
    publish_lake()
    assert len(rows_of(exports)["dim_sessions"]) == len(former["dim_sessions"]) + 1


@pytest.mark.fault
def test_a_kill_during_the_first_build_leaves_no_gold(
    lake: Lake, gold: Path, publish_lake: Publish
) -> None:
    done = tool(lake, gold, "iceberg", fault="iceberg.dim_sessions")
    assert done.returncode == 137
    with pytest.raises(Failure, match="there is no gold in the namespace gold"):
        publish_lake()
    write(lake, gold)
    publish_lake()


def test_columns_may_change_between_builds(lake: Lake, publish_lake: Publish) -> None:
    made(lake, facts=pa.table({"id": [1, 2], "usd": ["1", "2"]}))
    build, _ = builds.open_build(lake, open_catalog(lake))
    made(lake, facts=pa.table({"usd": [1.5, 2.5], "name": ["a", "b"]}))
    found = table(lake, "facts")
    assert found.scan().to_arrow().column_names == ["usd", "name"]
    former = found.scan(snapshot_id=build.snapshot_of("facts")).to_arrow()
    assert former.to_pydict() == {"id": [1, 2], "usd": ["1", "2"]}
    publish_lake()


def test_sums_beyond_64_bits_stay_integers(
    lake: Lake, gold: Path, publish_lake: Publish, exports: Path
) -> None:
    with duckdb.connect(str(gold)) as writer:
        writer.execute("update marts.agg_session_metrics set total_tokens = 2**62")
    write(lake, gold)
    publish_lake()
    assert any(
        f"{2**62}, 'integer'" in row for row in rows_of(exports)["agg_session_metrics"]
    )


def test_two_builds_are_kept_and_nothing_else(lake: Lake) -> None:
    def files() -> int:
        return len(list(Path(lake.warehouse).rglob("*.parquet")))

    counts = []
    for number in range(4):
        made(lake, facts=pa.table({"id": [number]}), other=pa.table({"id": [1]}))
        counts.append(files())
    # Two marts and the table of the build itself.
    assert counts[0] == 3
    assert counts[1:] == [6, 6, 6]
    assert len(table(lake, "facts").metadata.snapshots) == 3  # with a deletion
    made(lake, facts=pa.table({"id": [9]}))
    assert not open_catalog(lake).table_exists("gold.other")


def test_an_empty_mart_stays_a_table(lake: Lake, publish_lake: Publish) -> None:
    for rows in ([], [1], [], []):
        made(lake, facts=pa.table({"id": pa.array(rows, pa.int64())}))
        assert publish_lake().tables == {"facts": len(rows)}  # type: ignore[attr-defined]


def test_two_writers_at_once_do_no_harm(
    lake: Lake, gold: Path, publish_lake: Publish, exports: Path
) -> None:
    write(lake, gold)

    def interrupted() -> object:
        """Yield the marts while another writer finishes a whole build."""
        yield Mart("facts", pa.schema([("id", pa.int64())]), [])
        write(lake, gold)

    with pytest.raises(Failure, match="another process wrote gold") as failed:
        each = interrupted()
        write_gold(lake, Marts(Facts(1, "", "spark"), each), lambda *_: None)  # type: ignore[arg-type]
    assert failed.value.code == TRY_LATER
    publish_lake()
    assert "facts" not in rows_of(exports)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c.drop_table("gold.dim_date"), "gold.dim_date is missing"),
        (
            lambda c: (
                c.drop_table("gold.dim_date"),
                c.create_table("gold.dim_date", pa.schema([("id", pa.int64())])),
            ),
            "gold.dim_date is another table of that name",
        ),
        (
            lambda c: Path(
                next(
                    iter(c.load_table("gold.dim_date").scan().plan_files())
                ).file.file_path
            ).unlink(),
            "can't be read",
        ),
        (lambda c: c.drop_table("gold.current_build"), "there is no gold"),
    ],
    ids=["missing", "recreated", "file lost", "no build"],
)
def test_what_is_incomplete_is_refused_and_the_last_export_stays(
    lake: Lake,
    gold: Path,
    exports: Path,
    publish_lake: Publish,
    damage: Callable[[object], object],
    message: str,
) -> None:
    write(lake, gold)
    publish_lake()
    before = facts_of(exports)
    damage(open_catalog(lake))
    with pytest.raises(Failure, match=re.escape(message)) as failed:
        publish_lake()
    assert failed.value.code == 1
    assert facts_of(exports) == before
    if message != "there is no gold":
        assert "publish iceberg" in failed.value.hint


def test_gold_of_another_lake_is_not_touched(lake: Lake, gold: Path) -> None:
    write(lake, gold)
    other = replace(lake, table="others")
    with pytest.raises(
        Failure, match=r"not gold of analytics\.others, but of analytics"
    ):
        write(other, gold)
    write(replace(other, gold_namespace="others_gold"), gold)


def test_another_format_is_refused(
    lake: Lake, gold: Path, publish_lake: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(lake, gold)
    monkeypatch.setattr(builds, "FORMAT", "2")
    with pytest.raises(Failure, match="has the format 1, and this version reads 2"):
        publish_lake()


def test_an_aborted_build_is_not_written(lake: Lake, gold: Path) -> None:
    with duckdb.connect(str(gold)) as writer:
        writer.execute("create schema intermediate")
        writer.execute("create table intermediate.build_state as select false is_whole")
    done = tool(lake, gold, "iceberg")
    assert done.returncode == 1
    assert "gold is incomplete" in done.stderr


def test_a_folder_counts_only_when_it_is_complete(
    lake: Lake, tmp_path: Path, publish_lake: Publish, exports: Path
) -> None:
    folder = tmp_path / "gold"
    folder.mkdir()
    pq.write_table(pa.table({"id": [1, 2, 3]}), folder / "facts.parquet")
    with pytest.raises(Failure, match="has no complete build"), of_folder(folder):
        pass
    facts = '{"extract_run": 3, "watermarks": "{\\"b\\":9}", "engine": "spark"}'
    (folder / FACTS).write_text(facts)
    with of_folder(folder) as marts:
        write_gold(lake, marts, lambda _table, _rows: None)
    publish_lake()
    assert len(rows_of(exports)["facts"]) == 3
    info = facts_of(exports)
    assert (info["extract_run"], info["watermarks"]) == ("3", '{"b":9}')
