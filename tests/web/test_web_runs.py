"""The page of pipeline runs: from the pipeline's record, else from the export."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from sample import GITHUB_TOKEN, sample
from webface import Web, serving

RUNS = (
    (7, "2026-08-01T10:00:00.000Z", "2026-08-01T10:00:12.000Z", "incremental", "done"),
    (8, "2026-08-01T10:05:00.000Z", None, "incremental", "running"),
)
STAGES = (
    (7, "extract", 1200, 2.0, "done", None), (7, "dbt", None, 9.0, "done", None),
    (8, "extract", 5, 1.0, "done", None),
)  # fmt: skip
LATER = (9, "2026-08-01T10:10:00.000Z", "2026-08-01T10:10:04.000Z", "daily", "failed")
FAILED = (9, "dbt", None, 4.0, "failed", f"<b>Error</b>: key {GITHUB_TOKEN}\nline two")


def exported(folder: Path) -> Path:
    path = sample().write(folder / "conversations.db")
    with closing(sqlite3.connect(path)) as export:
        export.execute(
            """create table pipeline_runs (run_id, started_at, ended_at, mode,
            watermark, outcome, stage, stage_rows, stage_seconds, stage_outcome, detail)"""
        )
        for number, began, ended, mode, outcome in RUNS:
            for run, stage, *rest in STAGES:
                if run == number:
                    values = (number, began, ended, mode, 0, outcome, stage, *rest)
                    export.execute(
                        f"insert into pipeline_runs values ({','.join('?' * 11)})",
                        values,
                    )
        export.commit()
    return path


def record(path: Path, runs: Iterable[tuple[object, ...]]) -> None:
    with closing(sqlite3.connect(path)) as own:
        own.executescript(
            """create table runs (run_id integer primary key, started_at, ended_at,
                mode, outcome, watermark);
            create table stages (run_id, stage, rows, seconds, outcome, detail);"""
        )
        for run in runs:
            own.execute("insert into runs values (?,?,?,?,?,0)", run)
        for stage in (*STAGES, FAILED):
            own.execute("insert into stages values (?,?,?,?,?,?)", stage)
        own.commit()


def numbers(web: Web) -> list[str]:
    text = web.get("/runs").text
    rows = text[text.index("<tbody>") : text.index("</tbody>")].split("<tr")[1:]
    return [re.findall(r"<td>(\d+)</td>", row)[0] for row in rows]


def test_runs_are_shown_from_the_export(tmp_path: Path) -> None:
    exported(tmp_path / "published")
    with serving(tmp_path / "published", tmp_path / "log") as web:
        assert 'href="/runs"' in web.get("/").text
        text = web.get("/runs").text
        assert numbers(web) == ["8", "7"]
        assert "The last run is done" in text
        assert "1,200 rows" in text
        assert text.count("published this export") == 1
        assert "12s" in text
        assert "9s" in text


def test_a_run_that_failed_and_published_nothing_is_marked(tmp_path: Path) -> None:
    exported(tmp_path / "exports")
    record(tmp_path / "pipeline.db", (*RUNS, LATER))
    with serving(tmp_path / "exports", tmp_path / "log") as web:
        text = web.get("/runs").text
        assert numbers(web) == ["9", "8", "7"]
        assert "The last run failed" in text
        assert text.count('class="failed-run"') == 1
        assert "&lt;b&gt;Error&lt;/b&gt;: key ghp_" in text
        assert GITHUB_TOKEN not in text
        assert "line two" in text


def test_without_a_record_the_page_says_so(tmp_path: Path) -> None:
    sample().write(tmp_path / "exports" / "conversations.db")
    (tmp_path / "pipeline.db").write_bytes(b"no database")
    with serving(tmp_path / "exports", tmp_path / "log") as web:
        answer = web.get("/runs")
        assert answer.status_code == 200
        assert "no record of runs yet" in answer.text


def test_of_a_long_record_the_newest_runs_are_shown(tmp_path: Path) -> None:
    sample().write(tmp_path / "exports" / "conversations.db")
    many = [(n, LATER[1], LATER[2], "incremental", "done") for n in range(10, 110)]
    record(tmp_path / "pipeline.db", many)
    with serving(tmp_path / "exports", tmp_path / "log") as web:
        assert numbers(web) == [str(n) for n in range(109, 49, -1)]
