"""Logs through the real tools, backed up, and loaded into a new MongoDB."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus import ingest, run, some_lines
from harness import Mongod, connect

FIXTURES = Path(__file__).parents[1] / "fixtures"
Rows = list[tuple[object, ...]]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Mongod]:
    """A new MongoDB."""
    server = Mongod(tmp_path / "new-mongod").start()
    yield server
    server.kill()


@pytest.fixture(params=["corrupt", "pricing"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place = tmp_path / "projects"
    shutil.copytree(FIXTURES / request.param / "projects", place)
    (place / "-home-me-y").mkdir()
    (place / "-home-me-y" / "more.jsonl").write_bytes(some_lines(1, 30))
    for log in place.rglob("*.jsonl"):
        if not log.read_bytes().endswith(b"\n"):
            log.write_bytes(log.read_bytes() + b"\n")  # a torn line has to rest first
    return place


def tool(name: str, *arguments: str, **env: str) -> str:
    done = run(name, *arguments, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def extracted(lake: Path) -> Rows:
    """The rows of a new lake, but for the number of the run."""
    from cclake_lake.catalog import require_table
    from cclake_lake.settings import Lake

    tool("extract", "run", ICEBERG_WAREHOUSE_PATH=str(lake))
    scan = require_table(Lake.from_env(warehouse=str(lake))).scan()
    rows = scan.to_arrow().drop_columns(["extract_run"]).to_pylist()
    return sorted(tuple(map(str, row.values())) for row in rows)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_new_mongodb_has_every_byte_and_every_row(
    root: Path,
    mongo_db: str,
    empty: Mongod,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLAUDE_DIR", str(root))
    folder, home = str(tmp_path / "backup"), tmp_path / "cclake"
    ingest(root, home=home)
    tool("backup", "save", folder)
    # Then a new file, a rewritten one, and one line more.
    first, second, *_ = sorted(root.rglob("*.jsonl"))
    first.write_bytes(some_lines(3, 30) + first.read_bytes())
    with second.open("ab") as log:
        log.write(b'{"type":"user"}\n')
    (first.parent / "new.jsonl").write_bytes(some_lines(4, 30))
    ingest(root, home=home)
    tool("backup", "save", folder)
    rows = extracted(tmp_path / "lake")
    tool("restore", "--out", str(tmp_path / "before"), "--host", "testhost")
    monkeypatch.setenv("MONGO_URI", empty.uri)
    tool("backup", "load", folder)
    with connect(empty.uri) as client:
        marks = client[mongo_db].watermarks.find()
        assert {one["text_seq"] for one in marks} == {0}, "the flusher looks again"
    tool("restore", "--out", str(tmp_path / "after"), "--host", "testhost")
    assert tree(tmp_path / "after") == tree(tmp_path / "before")
    restored = tree(tmp_path / "after")
    wanted = tree(root)
    assert [name for name in wanted if restored.get(name) != wanted[name]] == []
    assert extracted(tmp_path / "new-lake") == rows
    tool("verify")


def test_a_new_buffer_goes_on_after_a_load(
    root: Path,
    mongo_db: str,
    empty: Mongod,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLAUDE_DIR", str(root))
    folder = str(tmp_path / "backup")
    ingest(root, home=tmp_path / "cclake")
    first = min(root.rglob("*.jsonl"))
    first.write_bytes(some_lines(3, 30) + first.read_bytes())
    ingest(root, home=tmp_path / "cclake")
    tool("backup", "save", folder)
    first.write_bytes(some_lines(5, 30) + first.read_bytes())
    monkeypatch.setenv("MONGO_URI", empty.uri)
    tool("backup", "load", folder)
    # As on a machine whose buffer is lost, too.
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / "again"))
    ingest(root, home=tmp_path / "again")
    tool("verify", "--full")
    tool("restore", "--out", str(tmp_path / "after"))
    restored = tree(tmp_path / "after")
    wanted = tree(root)
    assert [name for name in wanted if restored.get(name) != wanted[name]] == []
