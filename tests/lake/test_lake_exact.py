"""Extraction takes every acknowledged document once, and nothing else."""

import threading
from collections import Counter
from typing import Any

import bson
import gridfs
import orjson
import pytest
from bson import Binary, Int64
from bson.raw_bson import RawBSONDocument
from cclake_common.failure import TRY_LATER, Failure
from cclake_extract import backfill as rebuilding
from cclake_extract import incremental, mongo, reader, splits
from cclake_extract.backfill import backfill
from cclake_extract.commit import Moved
from cclake_extract.data_files import data_file
from cclake_extract.incremental import extract
from cclake_extract.parquet import Written
from cclake_extract.watermark import state_of
from cclake_lake.catalog import find_table, require_table
from cclake_lake.settings import Lake
from documents import acknowledge, document, documents, entry, store
from harness import PATIENCE
from lakes import answer, keys, rows, tool, wanted
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pymongo.database import Database

Db = Database[dict[str, Any]]


def test_every_acknowledged_document_is_a_row_and_no_other(db: Db, lake: Lake) -> None:
    store(db, list(documents(1, 250)), acked=180)
    outcome = extract(lake, db)
    assert outcome.rows == 180
    assert keys(lake) == wanted(db)
    assert max(r["seq"] for r in rows(lake, "seq")) == 180


def test_a_second_run_takes_only_what_came_since(db: Db, lake: Lake) -> None:
    store(db, list(documents(1, 100)))
    first = extract(lake, db)
    store(db, list(documents(101, 130)))
    second = extract(lake, db)
    assert (first.rows, second.rows) == (100, 30)
    assert keys(lake) == wanted(db)
    runs = {r["seq"]: r["extract_run"] for r in rows(lake, "seq", "extract_run")}
    assert runs[100] == first.run < runs[101] == second.run


def test_a_run_with_nothing_new_reads_no_document_and_commits_nothing(
    db: Db, lake: Lake
) -> None:
    store(db, list(documents(1, 100)))
    extract(lake, db)
    before = require_table(lake).metadata_location
    db.command("profile", 2)
    try:
        assert extract(lake, db).rows == 0
    finally:
        db.command("profile", 0)
    touched = {found["ns"].split(".")[1] for found in db["system.profile"].find()}
    assert touched == {"watermarks"}
    assert require_table(lake).metadata_location == before


def test_late_hosts_and_lost_buffers_are_ranges_of_their_own(
    db: Db, lake: Lake
) -> None:
    store(db, list(documents(1, 50, buffer="a" * 32, host="one")))
    extract(lake, db)
    # A host that was offline brings old lines; one lost its buffer and starts at 1.
    store(db, list(documents(1, 20, buffer="b" * 32, host="two")))
    store(db, list(documents(1, 5, buffer="c" * 32, host="one", path="p/new.jsonl")))
    assert extract(lake, db).rows == 25
    assert keys(lake) == wanted(db)
    assert state_of(require_table(lake)).watermarks == {
        "a" * 32: 50,
        "b" * 32: 20,
        "c" * 32: 5,
    }


def test_a_document_stamped_anew_by_another_buffer_comes_once(
    db: Db, lake: Lake
) -> None:
    """The first buffer died before it was acknowledged; the second read it again."""
    store(db, list(documents(1, 10, buffer="a" * 32)), acked=6)
    extract(lake, db)
    for number in range(7, 11):
        stamp = {"buffer": "b" * 32, "seq": Int64(number - 6)}
        db["conversations"].update_one({"seq": number}, {"$set": stamp})
    acknowledge(db, "b" * 32, 4)
    assert extract(lake, db).rows == 4
    assert keys(lake) == wanted(db)
    assert set(keys(lake).values()) == {1}


def test_an_acknowledged_range_without_documents_is_no_commit(
    db: Db, lake: Lake
) -> None:
    store(db, list(documents(1, 10)))
    extract(lake, db)
    acknowledge(db, "a" * 32, 500)
    assert extract(lake, db).commits == 0
    store(db, list(documents(501, 502)))
    assert extract(lake, db).rows == 2


def test_large_runs_are_several_commits_that_each_stand_alone(
    db: Db, lake: Lake, monkeypatch: Any
) -> None:
    monkeypatch.setattr(splits, "FILE_ROWS", 300)
    store(db, list(documents(1, 1000)))
    outcome = extract(lake, db)
    assert outcome.commits == 4
    table = require_table(lake)
    marks = [state_of(table, s).watermarks["a" * 32] for s in table.metadata.snapshots]
    assert marks == sorted(set(marks)) and marks[-1] == 1000
    for snapshot, mark in zip(table.metadata.snapshots, marks, strict=True):
        held = table.scan(
            selected_fields=("seq",), snapshot_id=snapshot.snapshot_id
        ).to_arrow()
        assert sorted(held["seq"].to_pylist()) == list(range(1, mark + 1))


def test_documents_of_many_bytes_are_several_files_of_one_commit(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo, "BATCH", 10)
    monkeypatch.setattr(reader, "FILE_BYTES", 30_000)
    store(db, list(documents(1, 100, size=500)))
    outcome = extract(lake, db)
    assert (outcome.rows, outcome.commits) == (100, 1)
    files = [task.file for task in require_table(lake).scan().plan_files()]
    assert len(files) > 3
    assert all(file.record_count <= 40 for file in files)
    assert {r["extract_run"] for r in rows(lake, "extract_run")} == {outcome.run}
    assert keys(lake) == wanted(db)


def test_several_extractors_at_once_take_everything_once(db: Db, lake: Lake) -> None:
    store(db, list(documents(1, 400)))
    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(extract(lake, db)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sum(outcome.rows for outcome in outcomes) == 400
    assert keys(lake) == wanted(db)


def test_a_backfill_replaces_the_table_in_one_commit(db: Db, lake: Lake) -> None:
    store(db, list(documents(1, 100)))
    extract(lake, db)
    store(db, list(documents(101, 140)))
    before = len(require_table(lake).metadata.snapshots)
    assert backfill(lake, db).rows == 140
    assert len(require_table(lake).metadata.snapshots) == before + 1
    assert keys(lake) == wanted(db)
    assert extract(lake, db).rows == 0


def test_the_files_of_a_backfill_have_rising_numbers_that_no_other_run_gives(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "FILE_ROWS", 50)
    store(db, list(documents(1, 320)))
    old = extract(lake, db).run
    taken: list[int] = []

    def meanwhile(count: int) -> None:
        if not taken:  # another run commits while the rebuild reads
            store(db, list(documents(321, 330)))
            taken.append(extract(lake, db).run)

    assert backfill(lake, db, advance=meanwhile).rows == 320
    found = sorted((r["extract_run"], r["seq"]) for r in rows(lake))
    assert [seq for _, seq in found] == list(range(1, 321))
    runs = Counter(run for run, _ in found)
    assert list(runs.values()) == [50] * 6 + [20]
    table = require_table(lake)
    bounds = sorted(f.file.record_count for f in table.scan().plan_files())
    assert bounds == [20] + [50] * 6
    head = state_of(table)
    assert head.base == head.run > max(runs) > min(runs) > old
    assert taken[0] not in runs and taken[0] < head.base
    assert extract(lake, db).run > head.base
    assert keys(lake) == wanted(db)


def test_a_backfill_since_leaves_out_what_was_ingested_before(
    db: Db, lake: Lake
) -> None:
    store(db, list(documents(1, 120)))
    since = ("--since", "2025-06-01T00:01:00")
    assert answer("extract", *since, "--dry-run")["documents"] == 120 - 59
    done = answer("extract", *since)
    assert done["rows"] == 120 - 59
    assert min(r["seq"] for r in rows(lake, "seq")) == 60
    refused = tool("extract", "--since", "2025-06-01")
    assert refused.returncode == 1
    assert "--full-backfill" in refused.stderr


def test_a_dry_run_counts_and_changes_nothing(db: Db, lake: Lake) -> None:
    store(db, list(documents(1, 30)), acked=20)
    assert answer("extract", "run", "--dry-run")["documents"] == 20
    assert find_table(lake) is None


def test_a_document_that_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on(
    db: Db, lake: Lake
) -> None:
    assert tool("extract", "dead-letters").stdout == "no dead letters\n"
    assert answer("extract", "dead-letters") == []
    store(db, list(documents(1, 300)))
    good = document(orjson.dumps(entry(301)), 301, host="X" * 8)
    broken = bson.encode(good).replace(b"X" * 8, b"\xff" * 8)
    db["conversations"].insert_one(RawBSONDocument(broken))
    nothing = document(b"{}", 302)
    del nothing["entry"], nothing["source"]
    odd = document(orjson.dumps(entry(303)), 303) | {"_id": "a text"}
    db["conversations"].insert_many([nothing, odd])
    store(db, list(documents(304, 310)))
    outcome = extract(lake, db)
    assert (outcome.rows, outcome.dead) == (307, 3)
    reasons = {found["reason"] for found in answer("extract", "dead-letters")}
    assert len(reasons) == 3
    assert any("neither entry nor raw" in reason for reason in reasons)
    dead = {bytes(f["_id"]) for f in db["extract_dead_letters"].find()}
    assert bytes(good["_id"]) in dead


def test_salvaged_records_and_files_that_are_no_json_lines_are_rows(
    db: Db, lake: Lake
) -> None:
    line = b'{"type":"user","uuid"' + orjson.dumps(entry(7)) + orjson.dumps(entry(8))
    broken = document(line, 1, salvaged=[entry(7), entry(8)], error="two records")
    chunk = document(b"plain text\n", 2, kind="chunk")
    store(db, [broken, chunk])
    extract(lake, db)
    assert keys(lake) == wanted(db)
    found = sorted(rows(lake), key=lambda r: (r["seq"], r["part"]))
    assert [r["record_kind"] for r in found] == [
        "line",
        "salvaged",
        "salvaged",
        "chunk",
    ]
    assert (found[0]["entry"], found[0]["raw"]) == (None, line)
    assert found[0]["error"] == found[1]["error"] == "two records"
    assert orjson.loads(found[2]["entry"]) == entry(8)
    assert found[2]["uuid"] == entry(8)["uuid"]
    assert found[2]["timestamp"].second == 8
    assert (found[3]["entry"], found[3]["raw"]) == (None, b"plain text\n")


def test_bytes_in_gridfs_are_read_from_there(db: Db, lake: Lake) -> None:
    line = orjson.dumps(entry(1) | {"more": "y" * 100_000})
    place = gridfs.GridFSBucket(db, "raw").upload_from_stream("x", line)
    big = document(line, 1, raw_file=place)
    del big["entry"]
    missing = document(b"[]", 2, raw_file=Binary(b"0" * 12))
    del missing["raw"]
    torn = gridfs.GridFSBucket(db, "raw").upload_from_stream("y", b"[1]")
    half = document(b"[1]", 3, raw_file=torn)
    del half["raw"]
    db["raw.chunks"].delete_one({"files_id": half["raw_file"]})
    store(db, [big, missing, half])
    outcome = extract(lake, db)
    assert (outcome.rows, outcome.dead) == (1, 2)
    (row,) = rows(lake)
    assert row["entry"].encode() == line
    assert row["model"] == entry(1)["message"]["model"]


def test_an_extraction_that_others_always_overtake_does_not_say_that_it_is_done(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*_: object) -> None:
        raise Moved

    store(db, list(documents(1, 20)))
    monkeypatch.setattr(incremental, "_extract", overtaken)
    with pytest.raises(Failure, match="extraction is incomplete") as failed:
        extract(lake, db)
    assert failed.value.code == TRY_LATER


def test_a_rebuild_whose_files_were_taken_for_orphans_leaves_the_table(
    db: Db, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(db, list(documents(1, 20)))
    extract(lake, db)

    def swept(table: Table, file: Written) -> DataFile:
        found = data_file(table, file)
        table.io.delete(found.file_path)
        return found

    monkeypatch.setattr(rebuilding, "data_file", swept)
    with pytest.raises(Failure, match="files that were just written are missing"):
        backfill(lake, db)
    assert keys(lake) == wanted(db)


def test_a_table_that_is_ahead_of_mongodb_says_so(db: Db, lake: Lake) -> None:
    store(db, list(documents(1, 20)))
    extract(lake, db)
    acknowledge(db, "a" * 32, 5)
    assert answer("extract")["ahead"] == ["a" * 32]
    assert "--full-backfill" in tool("extract").stdout
