"""Damage every store in every way; each proof detects what its README says."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import account
import duckdb
import forkserver
import pyarrow.parquet as pq
import pytest
from cclake_lake.settings import Lake
from cclake_verify.report import Report
from cclake_verify.run import Settings, verify
from corpus import ingest, run
from gridfs import GridFSBucket
from harness import Mongod, connect
from pymongo.database import Database

CORRUPT = Path(__file__).parents[1] / "fixtures" / "corrupt" / "projects"
SIDE_FILE = "-home-me-x/11111111-1111-4111-8111-111111111111/tool-results/out.txt"


@dataclass
class Chain:
    """One archive and all stores after it, built by the tools themselves."""

    home: Path
    root: Path
    db: Database[Any]
    uri: str

    @property
    def warehouse(self) -> Path:
        return self.home / "analytics.duckdb"

    @property
    def lite(self) -> Path:
        return self.home / "exports" / "conversations.db"

    @property
    def duck(self) -> Path:
        return self.home / "exports" / "analytics.duckdb"

    @property
    def buffer(self) -> Path:
        return self.home / "buffer.db"

    @property
    def data_files(self) -> list[Path]:
        return sorted((self.home / "iceberg").rglob("*.parquet"))

    @property
    def manifests(self) -> list[Path]:
        return sorted((self.home / "iceberg").rglob("*-m0.avro"))

    def settings(self) -> Settings:
        return Settings(
            mongo_uri=self.uri,
            mongo_db=self.db.name,
            host="testhost",
            roots=[self.root],
            state=self.home / "verify.db",
            buffer=self.buffer,
            warehouse=self.warehouse,
            exports=self.home / "exports",
            lake=Lake(warehouse=str(self.home / "iceberg")),
            grace=0,
        )

    def prove(self, full: bool = False) -> Report:
        """Run the proof with the cache of the undamaged chain."""
        known = self.home / "verify.db.known"
        if known.exists():
            shutil.copy(known, self.home / "verify.db")
        return verify(self.settings(), full=full)


@pytest.fixture(scope="module")
def chain(mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A chain for which both proofs hold; every test leaves it unchanged."""
    folder = tmp_path_factory.mktemp("sabotage")
    name = "test_verify_sabotage"
    with pytest.MonkeyPatch.context() as patch, connect(mongod.uri) as client:
        patch.setenv("MONGO_URI", mongod.uri)
        patch.setenv("MONGO_DB", name)
        patch.setenv("CCLAKE_HOST", "testhost")
        patch.setenv("CCLAKE_HOME", str(folder / "home"))
        patch.setenv("DO_NOT_TRACK", "1")
        chain = Chain(folder / "home", account.write(folder), client[name], mongod.uri)
        with pytest.MonkeyPatch.context() as forks:
            for variable, value in forkserver.environment().items():
                forks.setenv(variable, value)
            _build(chain)
        assert_holds(chain.prove(full=True))
        assert_holds(chain.prove())
        shutil.copy(chain.home / "verify.db", chain.home / "verify.db.known")
        yield chain
        client.drop_database(name)


def _build(chain: Chain) -> None:
    shutil.copytree(CORRUPT, chain.root, dirs_exist_ok=True)
    side = chain.root / SIDE_FILE
    side.parent.mkdir(parents=True)
    side.write_bytes(b"two\nlines\n")
    ingest(chain.root, home=chain.home)
    document = chain.db.conversations.find_one({"kind": "line", "raw": {"$exists": 1}})
    assert document
    body = GridFSBucket(chain.db, "raw").upload_from_stream("raw", document["raw"])
    chain.db.conversations.update_one(
        {"_id": document["_id"]}, {"$set": {"raw_file": body}, "$unset": {"raw": 1}}
    )
    done = run("pipeline", "run", env={"CCLAKE_DUCKDB_COPY_HOURS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    with closing(sqlite3.connect(chain.buffer)) as db, db:
        # A line that waits: it was read again, and MongoDB has it already.
        db.execute(
            "insert into queue (host, path, file, gen, off, len, kind, at, body)"
            " select host, path, file, gen, 0, length(?) + 1, 'line', 0, ? from files"
            " where path = ?",
            (*(2 * [_first_line(chain)]), _log(chain)),
        )
        db.execute("update counters set value = value + 1 where name = 'lines_read'")


def _log(chain: Chain) -> str:
    return min(
        path.relative_to(chain.root).as_posix()
        for path in chain.root.rglob("*.jsonl")
        if path.read_bytes().startswith(b'{"')
    )


def _first_line(chain: Chain) -> bytes:
    return (chain.root / _log(chain)).read_bytes().split(b"\n")[0]


def assert_holds(report: Report) -> None:
    assert report.holds, "\n".join(report.lines())


# --- kinds of damage: each is done, and undone at the end ---


Damage = Callable[[Chain], AbstractContextManager[None]]


@contextmanager
def _kept(*paths: Path) -> Iterator[None]:
    held = {path: path.read_bytes() for path in paths}
    try:
        yield
    finally:
        for path, data in held.items():
            path.write_bytes(data)


def documents(change: Callable[[Database[Any], Any], Any], **which: Any) -> Damage:
    """Change a document; afterwards restore it, and delete new ones."""

    @contextmanager
    def damage(chain: Chain) -> Iterator[None]:
        collection = chain.db.conversations
        victim = collection.find_one(which)
        assert victim
        before = {one["_id"] for one in collection.find({}, {"_id": 1})}
        change(chain.db, victim)
        yield
        collection.delete_many({"_id": {"$nin": list(before)}})
        collection.replace_one({"_id": victim["_id"]}, victim, upsert=True)

    return damage


def chunks(change: Callable[[Any, Any], Any]) -> Damage:
    """Change a stored piece of a long line."""

    @contextmanager
    def damage(chain: Chain) -> Iterator[None]:
        collection = chain.db["raw.chunks"]
        victim = collection.find_one()
        assert victim
        change(collection, victim)
        yield
        collection.replace_one({"_id": victim["_id"]}, victim, upsert=True)

    return damage


def files(which: str, change: Callable[[Path], Any]) -> Damage:
    """Change a file, or the first of some."""

    @contextmanager
    def damage(chain: Chain) -> Iterator[None]:
        found: Path | list[Path] = getattr(chain, which)
        path = found[0] if isinstance(found, list) else found
        with _kept(path):
            change(path)
            yield

    return damage


def duck(which: str, *statements: str) -> Damage:
    """Run SQL on a DuckDB file; each statement has to change something."""

    @contextmanager
    def damage(chain: Chain) -> Iterator[None]:
        path: Path = getattr(chain, which)
        with _kept(path):
            with duckdb.connect(str(path)) as db:
                for statement in statements:
                    (changed,) = db.execute(statement).fetchall()[0]
                    assert changed
            yield

    return damage


def lite(which: str, *statements: str) -> Damage:
    """Run SQL on a SQLite file."""

    @contextmanager
    def damage(chain: Chain) -> Iterator[None]:
        path: Path = getattr(chain, which)
        with _kept(path):
            with closing(sqlite3.connect(path)) as db, db:
                for statement in statements:
                    assert db.execute(statement).rowcount
            yield

    return damage


def _overwrite(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:12_288] + b"\x5a" * (len(data) - 12_288))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(column: str) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        metadata = pq.ParquetFile(path).metadata
        group = metadata.row_group(0)
        for number in range(group.num_columns):
            part = group.column(number)
            if part.path_in_schema == column:
                at = part.data_page_offset + part.total_compressed_size // 2
        data = bytearray(path.read_bytes())
        data[at] ^= 0x10
        path.write_bytes(data)

    return flip


def _copy_of(victim: Any, **more: Any) -> Any:
    other = bytes(victim["_id"][:8]) + (1 << 40).to_bytes(8, "big") + bytes(8)
    return victim | {"_id": other} | more


# The damage, the store that the quick proof names (or none), and the store that the
# full proof names.
DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "document changed": (
        documents(
            lambda db, one: db.conversations.update_one(
                {"_id": one["_id"]}, {"$set": {"entry.type": "forged"}}
            ),
            **{"entry.type": "user"},
        ),
        "", "mongodb",
    ),
    "document deleted": (
        documents(lambda db, one: db.conversations.delete_one({"_id": one["_id"]})),
        "mongodb", "mongodb",
    ),
    "document added": (
        documents(lambda db, one: db.conversations.insert_one(_copy_of(one))),
        "iceberg", "iceberg",
    ),
    "document added without a buffer": (
        documents(
            lambda db, one: db.conversations.insert_one(_copy_of(one, buffer=None))
        ),
        "mongodb", "mongodb",
    ),
    "host of a document changed": (
        documents(
            lambda db, one: db.conversations.update_one(
                {"_id": one["_id"]}, {"$set": {"host": "forged"}}
            ),
        ),
        "", "iceberg",
    ),
    "side file changed": (
        documents(
            lambda db, one: db.conversations.update_one(
                {"_id": one["_id"]}, {"$set": {"raw": b"two\nLines\n"}}
            ),
            sourceFile=SIDE_FILE,
        ),
        "", "mongodb",
    ),
    "long line changed": (
        chunks(
            lambda chunks, one: chunks.update_one(
                {"_id": one["_id"]}, {"$set": {"data": b"x" + one["data"][1:]}}
            )
        ),
        "", "mongodb",
    ),
    "long line deleted": (
        chunks(lambda chunks, one: chunks.delete_one({"_id": one["_id"]})),
        "", "mongodb",
    ),
    "data file missing": (files("data_files", Path.unlink), "iceberg", "iceberg"),
    "data file cut": (files("data_files", _cut), "iceberg", "iceberg"),
    "byte of an entry flipped": (files("data_files", _flip("entry")), "", "iceberg"),
    "byte of a time flipped": (files("data_files", _flip("timestamp")), "", "iceberg"),
    "manifest cut": (files("manifests", _cut), "iceberg", "iceberg"),
    "DuckDB file overwritten": (files("warehouse", _overwrite), "duckdb", "duckdb"),
    "SQLite file overwritten": (
        files("lite", _overwrite), "export (SQLite)", "export (SQLite)",
    ),
    "DuckDB export overwritten": (
        files("duck", _overwrite), "export (DuckDB)", "export (DuckDB)",
    ),
    "buffer overwritten": (files("buffer", _overwrite), "buffer", "buffer"),
    "raw row deleted": (
        duck("warehouse", "delete from raw.conversations where rowid = 3"),
        "duckdb", "duckdb",
    ),
    "raw entry changed": (
        duck(
            "warehouse",
            "update raw.conversations set entry = replace(entry, 'a', 'b')"
            " where rowid = 3",
        ),
        "", "duckdb",
    ),
    "raw model changed": (
        duck("warehouse", "update raw.conversations set model = 'x' where rowid = 3"),
        "", "duckdb",
    ),
    "raw row doubled": (
        duck(
            "warehouse",
            "insert into raw.conversations from raw.conversations where rowid = 3",
        ),
        "duckdb", "duckdb",
    ),
    "gold cost zeroed": (
        duck("warehouse", "update marts.fct_api_responses set cost_usd = 0"
             " where cost_usd > 0"),
        "gold", "gold",
    ),
    "gold tokens changed": (
        duck("warehouse", "update marts.fct_api_responses set"
             " output_tokens = output_tokens + 7 where output_tokens = 10"),
        "gold", "gold",
    ),
    "gold text changed": (
        duck("warehouse", "update marts.thread_blocks set text = text || '!'"
             " where block_kind = 'text'"),
        "", "gold",
    ),
    "gold row deleted": (
        duck("warehouse", "delete from marts.fct_messages where type = 'user'"),
        "gold", "gold",
    ),
    "SQLite text changed": (
        lite("lite", "update thread_blocks set text = text || '!'"
             " where block_kind = 'text'"),
        "", "export (SQLite)",
    ),
    "SQLite cost changed": (
        lite("lite", "update fct_api_responses set cost_usd = 0 where cost_usd > 0"),
        "export (SQLite)", "export (SQLite)",
    ),
    "SQLite row deleted": (
        lite("lite", "delete from fct_tool_calls where rowid = 1"),
        "export (SQLite)", "export (SQLite)",
    ),
    "SQLite search loses words": (
        lite("lite", "insert into search_fts (search_fts, rowid, text, marks)"
             " select 'delete', search_id, text, marks from search_texts limit 1"),
        "", "export (SQLite)",
    ),
    "SQLite search damaged": (
        lite("lite", "delete from search_fts_data where id > 10"),
        "", "export (SQLite)",
    ),
    "SQLite image changed": (
        lite("lite", "update image_data set data = zeroblob(length(data))"),
        "", "export (SQLite)",
    ),
    "DuckDB export text changed": (
        duck("duck", "update marts.thread_blocks set text = text || '!'"
             " where block_kind = 'text'"),
        "", "export (DuckDB)",
    ),
    "DuckDB export cost changed": (
        duck("duck", "update marts.fct_api_responses set cost_usd = 0"
             " where cost_usd > 0"),
        "export (DuckDB)", "export (DuckDB)",
    ),
    "DuckDB export row deleted": (
        duck("duck", "delete from marts.fct_messages where type = 'user'"),
        "export (DuckDB)", "export (DuckDB)",
    ),
    "buffer row changed": (
        lite("buffer", "update queue set body = replace(body, 'e', 'f')"),
        "", "buffer",
    ),
    "buffer row deleted": (lite("buffer", "delete from queue"), "buffer", "buffer"),
}  # fmt: skip

# Stores that are compared with a damaged one.
ALSO = {
    "mongodb": {"iceberg"},
    "iceberg": {"duckdb"},
    "duckdb": {"gold", "export (SQLite)", "export (DuckDB)"},
}

LATE = "export (DuckDB)"


def failed(report: Report) -> set[str]:
    """Return the stores that fail according to the printed report."""
    return {store.store for store in report.stores if store.status == "different"}


@pytest.mark.fault
@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_its_store_named(chain: Chain, name: str) -> None:
    damage, quick, full = DAMAGES[name]
    with damage(chain):
        found = chain.prove()
        assert found.holds is not bool(quick), "\n".join(found.lines())
        assert quick in {*failed(found), ""}
        assert failed(found) <= {quick, *ALSO.get(quick, ())}
        found = chain.prove(full=True)
        assert not found.holds
        assert full in failed(found), "\n".join(found.lines())
        assert failed(found) <= {full, *ALSO.get(full, ())}


def test_the_full_proof_of_an_undamaged_chain_holds_and_names_itself(
    chain: Chain,
) -> None:
    found = chain.prove(full=True)
    assert_holds(found)
    assert {store.status for store in found.stores} == {"same"}
    assert list(found.lines())[-1].startswith("The full proof holds: ")
    assert list(chain.prove().lines())[-1].startswith("The quick proof holds: ")


def test_an_older_copy_for_duckdb_is_judged_by_what_it_says_of_itself(
    chain: Chain,
) -> None:
    again = "update export_info set value = 'another' where name = 'export_id'"
    text = "update marts.thread_blocks set text = text || '!'"
    with lite("lite", again)(chain):
        for full in (False, True):
            found = chain.prove(full=full)
            assert_holds(found)
            assert {s.store: s.status for s in found.stores}[LATE] == "older"
        with duck("duck", text)(chain):
            found = chain.prove(full=True)
            (copy,) = (store for store in found.stores if store.store == LATE)
            assert copy.status == "different"
            assert "thread_blocks does not hold what it says" in copy.note


def test_tokens_that_raw_does_not_have_are_named(chain: Chain) -> None:
    change = "update marts.fct_api_responses set input_tokens = input_tokens + 1"
    with duck("warehouse", change)(chain):
        (gold,) = (one for one in chain.prove(full=True).stores if one.store == "gold")
    assert "differ in tokens from the raw entries: " in gold.note


def test_the_quick_proof_opens_no_data_file(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look at each, however many rows they have."""
    looked: list[str] = []
    real = Path.stat

    def stat(path: Path, **more: Any) -> Any:
        looked.extend([path.name] if path.suffix == ".parquet" else [])
        return real(path, **more)

    monkeypatch.setattr(Path, "stat", stat)
    for path in chain.data_files:
        path.chmod(0)
    try:
        assert_holds(chain.prove())
    finally:
        for path in chain.data_files:
            path.chmod(0o600)
    assert sorted(looked) == sorted(path.name for path in chain.data_files)
