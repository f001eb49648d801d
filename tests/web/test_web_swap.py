"""The export appears, and is replaced, under a running server."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cclake_web import export as exported
from export import Export, publish_in_place
from harness import PATIENCE, wait_for
from sample import MAIN, sample
from webface import Web, serving

CLIENTS, SWAPS, REQUESTS = 6, 6, 1000
NOW = datetime(2026, 8, 3, 12, tzinfo=UTC)


def titled(title: str) -> Export:
    export = sample(NOW)
    for row in export.rows["dim_sessions"]:
        if row["session_id"] == MAIN:
            row["title"] = title
    return export


def test_before_the_first_export_a_page_says_so_and_then_shows_it(
    tmp_path: Path,
) -> None:
    exports = tmp_path / "exports"
    with serving(exports, tmp_path / "web.log") as web:
        for path in ("/", f"/session/{MAIN}", "/search?q=x", "/dashboard?period=30"):
            answer = web.get(path)
            assert answer.status_code == 503
            assert "first pipeline run" in answer.text
        sample(NOW).write(exports / "conversations.db")
        wait_for(lambda: web.get("/").status_code == 200, "the export is found")
        assert "Fix the row parser" in web.get("/").text
        assert web.get("/conversations").status_code == 200


def test_what_is_no_export_is_left_alone(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    path = sample(NOW).write(exports / "conversations.db")
    with serving(exports, tmp_path / "web.log") as web:
        assert web.get("/").status_code == 200
        broken = tmp_path / "broken"
        broken.write_bytes(b"no database at all" * 100)
        broken.replace(path)
        wait_for(
            lambda: web.get("/").status_code == 200 and "is not an export" in web.log.read_text(), "the broken file is refused",
        )  # fmt: skip
        empty = tmp_path / "empty"
        sqlite3.connect(empty).execute("create table t (x)").connection.close()
        empty.replace(path)
        assert web.get(f"/session/{MAIN}").status_code == 200
        path.unlink()
        assert web.get("/").status_code == 200
        older = sample(NOW).write(exports / "older")
        with closing(sqlite3.connect(older)) as db:
            db.execute("alter table thread_entries drop column owner_session_id")
        older.replace(path)
        wait_for(
            lambda: web.get("/").status_code == 200
            and "thread_entries.owner_session_id" in web.log.read_text(), "the export of an older version is refused",
        )  # fmt: skip
        assert web.get(f"/session/{MAIN}").status_code == 200
        titled("After all").write(path)
        wait_for(lambda: "After all" in web.get("/").text, "the next one is shown")


def test_a_swap_under_load_gives_no_error_and_is_seen(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    path = titled("Title 0").write(exports / "conversations.db")
    with serving(exports, tmp_path / "web.log") as web:
        stop = threading.Event()
        wrong: list[str] = []
        done: list[int] = []
        threads = [
            threading.Thread(target=ask, args=(web, stop, wrong, done))
            for _ in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        try:
            for number in range(1, SWAPS + 1):
                titled(f"Title {number}").write(path)
                wanted = f"Title {number}"
                wait_for(lambda w=wanted: w in web.get("/?q=Title").text, wanted)  # type: ignore[misc]
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE)
        assert wrong == []
        assert len(done) > SWAPS * CLIENTS
        assert '" 500 ' not in web.log.read_text()


def ask(web: Web, stop: threading.Event, wrong: list[str], done: list[int]) -> None:
    paths = ("/", f"/session/{MAIN}", "/search?q=parser", "/dashboard?period=30",
             "/conversations/dim_sessions.json", "/export/sessions.csv")  # fmt: skip
    with httpx.Client(base_url=web.base, timeout=PATIENCE) as client:
        while not stop.is_set():
            for path in paths:
                answer = client.get(path)
                if answer.status_code != 200:
                    wrong.append(f"{answer.status_code} {path} {answer.text[:200]}")
                done.append(1)


def test_files_that_were_replaced_are_closed_without_a_request(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    path = sample(NOW).write(exports / "conversations.db")
    with serving(exports, tmp_path / "web.log", PYTHONPATH="") as web:
        for number in range(3):
            titled(f"Title {number}").write(path)
            wait_for(lambda n=number: f"Title {n}" in web.get("/").text)  # type: ignore[misc]
        assert web.process
        folder = Path(f"/proc/{web.process.pid}/fd")
        if not folder.exists():
            return
        titled("Title 3").write(path)
        # As over night, when nobody asks.
        wait_for(lambda: deleted(folder) == 0, "old files are closed")
        assert "Title 3" in web.get("/").text


def deleted(folder: Path) -> int:
    names = []
    for one in folder.iterdir():
        try:
            names.append(str(one.readlink()))
        except OSError:
            continue
    return sum("/conversations-" in name and "(deleted)" in name for name in names)


def test_changes_in_place_are_seen_at_once_and_give_no_error(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    path = titled("Title 0").write(exports / "conversations.db")
    with serving(exports, tmp_path / "web.log") as web:
        stop = threading.Event()
        wrong: list[str] = []
        done: list[int] = []
        threads = [
            threading.Thread(target=ask, args=(web, stop, wrong, done))
            for _ in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        number = 0
        try:
            while len(done) < REQUESTS and not wrong:
                number += 1
                publish_in_place(
                    path,
                    f"update dim_sessions set title = 'Title {number}'"
                    f" where session_id = '{MAIN}'",
                )
                for page in ("/?q=Title", f"/session/{MAIN}"):
                    assert f"Title {number}" in web.get(page).text
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE)
        assert wrong == []
        assert number > SWAPS
        assert '" 500 ' not in web.log.read_text()


def test_a_page_says_which_export_it_shows(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    export = titled("Title 0")
    export.info["published_at"] = "2026-08-03T11:22:33.000Z"
    export.write(exports / "conversations.db")
    with serving(exports, tmp_path / "web.log") as web:
        for page in ("/", "/dashboard?period=30", f"/session/{MAIN}", "/search?q=x"):
            assert "Export of <time" in web.get(page).text
            assert "Mon 3 August 2026, 11:22:33" in web.get(page).text


def test_a_reading_sees_one_state_and_keeps_nothing_of_another(tmp_path: Path) -> None:
    from datasette.app import Datasette

    path = titled("Title 0").write(tmp_path / "conversations.db")
    export = exported.Export(Datasette(memory=True), path)
    assert export.look()
    change = "update dim_sessions set title = 'Title 1'"

    def title(connection: sqlite3.Connection) -> str:
        query = "select title from dim_sessions where session_id = ?"
        return str(connection.execute(query, (MAIN,)).fetchone()[0])

    def kept(connection: sqlite3.Connection) -> str:
        return export.keep("title", 9, "", lambda: title(connection))

    def across(connection: sqlite3.Connection) -> tuple[str, str, str]:
        before = title(connection)
        publish_in_place(path, change)
        return before, title(connection), kept(connection)

    async def look() -> None:
        assert await export.read(kept) == "Title 0"
        async with export.snapshot() as snapshot:
            first = await export.export_id()
            assert await export.read(across) == ("Title 0",) * 3
            # What was kept of the state before is not what is there now.
            assert await export.read(kept) == "Title 1"
            assert await export.export_id() != first
            assert await snapshot.read(title) == "Title 0"
        titled("Title 2").write(path)
        export._looked = float("-inf")
        assert export.look()
        assert await export.read(kept) == "Title 2"

    asyncio.run(look())
    export.close()
