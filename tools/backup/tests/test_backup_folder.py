"""Save archives, load them into another database, and handle every failure."""

import gzip
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from bson import Int64
from cclake_common.kept import Store, default_path, user_path
from corpus import Archive, document_of, file_key, run, some_lines
from harness import BIN, PATIENCE, Mongod, connect, wait_for
from pymongo import ASCENDING, TEXT
from pymongo.database import Database

Document = dict[str, Any]
MAIN = "-home-me-x/11111111-1111-4111-8111-111111111111.jsonl"
OTHER = "-home-me-y/22222222-2222-4222-8222-222222222222.jsonl"
BIG = "-home-me-y/33333333-3333-4333-8333-333333333333.jsonl"


@pytest.fixture
def archive(mongod: Mongod, mongo_db: str) -> Iterator[Archive]:
    with connect(mongod.uri) as client:
        yield Archive(client[mongo_db])


@pytest.fixture
def other(mongod: Mongod, mongo_db: str) -> Iterator[Database[Document]]:
    """An empty database to load into."""
    with connect(mongod.uri) as client:
        yield client[mongo_db + "_other"]
        client.drop_database(mongo_db + "_other")


def backup(*arguments: object, status: int = 0) -> Any:
    done = run("backup", *map(str, arguments), "--json")
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


def load(folder: Path, db: Database[Document], status: int = 0) -> Any:
    return backup("load", folder, "--mongo-db", db.name, status=status)


def keep(archive: Archive, root: Path, path: str, data: bytes, **more: Any) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    archive.keep(root, path, **more)


def content(db: Database[Document]) -> dict[str, dict[str, Document]]:
    names = {name for name in db.list_collection_names() if name != "backup_loads"}
    return {name: {str(one["_id"]): one for one in db[name].find()} for name in names}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def some_archive(archive: Archive, root: Path) -> None:
    db = archive.db
    db.conversations.create_index([("buffer", ASCENDING), ("seq", ASCENDING)])
    db.conversations.create_index(
        [("text", TEXT)],
        name="words",
        default_language="none",
        language_override="cclake_language",
    )
    keep(archive, root, MAIN, some_lines(1, 200))
    keep(archive, root, OTHER, some_lines(2, 30))
    keep(archive, root, BIG, b'{"big":"' + b"x" * 12_500_000 + b'"}\n')
    db.extract_dead_letters.insert_one({"_id": b"1", "reason": "why"})
    db["named/like this"].insert_one({"_id": 1})


def test_all_collections_and_indexes_come_back(
    archive: Archive, other: Database[Document], tmp_path: Path
) -> None:
    some_archive(archive, tmp_path / "projects")
    saved = backup("save", tmp_path / "backup")
    assert saved["part"] == str(tmp_path / "backup" / "0001")
    assert backup("check", tmp_path / "backup")["documents"] == saved["documents"]
    loaded = load(tmp_path / "backup", other)
    assert content(other) == content(archive.db)
    assert (loaded["inserted"], loaded["present"]) == (saved["documents"], 0)
    for name in archive.db.list_collection_names():
        made = archive.db[name].index_information()
        assert other[name].index_information() == made
    again = load(tmp_path / "backup", other)
    assert (again["inserted"], again["present"]) == (0, saved["documents"])
    assert again["changed"] == 0
    restored = run(
        "restore", "--out", str(tmp_path / "out"), env={"MONGO_DB": other.name}
    )
    assert restored.returncode == 0, restored.stderr
    assert tree(tmp_path / "out") == tree(tmp_path / "projects")


def test_stars_labels_and_notes_come_back_and_the_later_change_counts(
    archive: Archive,
    other: Database[Document],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep(archive, tmp_path / "projects", OTHER, some_lines(2, 3))
    backup("save", tmp_path / "backup")
    here = Store(default_path())
    here.change("s1", starred=True)
    here.change(
        "s2", "entry", labels=("a", "b"), note="Zeile 1\nZeile 2 \u202e\u2028\x85"
    )
    Store(user_path("anna", default_path())).change("s1", note="of Anna")
    assert backup("save", tmp_path / "backup")["part"]
    assert backup("save", tmp_path / "backup")["part"] is None
    before = here.change("s1", starred=False)
    assert backup("save", tmp_path / "backup")["part"]
    assert load(tmp_path / "backup", other)["kept"] == 0
    monkeypatch.setenv("CCLAKE_HOME", str(tmp_path / "another"))
    there = Store(default_path())
    there.change("s3", note="already here")
    anna = Store(user_path("anna", default_path()))
    later = there.change("s2", "entry", labels=("c",))
    assert load(tmp_path / "backup", other)["kept"] == 3
    assert [one.note for one in anna.rows()] == ["of Anna"]
    found = {(one.session_id, one.entry_key): one for one in there.rows()}
    assert found["s1", ""] == before
    assert found["s2", "entry"] == later
    assert found["s3", ""].note == "already here"
    path = next((tmp_path / "backup").glob("*/kept.jsonl.gz"))
    for name in other.list_collection_names():
        other.drop_collection(name)
    path.write_bytes(gzip.compress(b'{"session_id": 1}\n'))
    manifest = path.parent / "cclake-backup.json"
    sign(manifest, path)
    assert "damaged" in load(tmp_path / "backup", other, status=1)
    assert not other.list_collection_names(), "nothing was written"


def sign(manifest: Path, path: Path) -> None:
    """Have the manifest of a part say that a file is as it is."""
    found = json.loads(manifest.read_text())
    data = path.read_bytes()
    for file in found["files"]:
        if file["path"] == path.name:
            file |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    del found["sha256"]
    text = json.dumps(found, sort_keys=True).encode()
    found["sha256"] = hashlib.sha256(text).hexdigest()
    manifest.write_text(json.dumps(found))


def test_conversations_are_saved_though_stars_cannot_be_read(
    archive: Archive, tmp_path: Path
) -> None:
    keep(archive, tmp_path / "projects", OTHER, some_lines(2, 3))
    Store(default_path()).change("s1", starred=True)
    whole = default_path().read_bytes()
    default_path().write_bytes(b"no database" * 1000)
    done = run("backup", "save", str(tmp_path / "backup"))
    assert done.returncode == 1
    assert "the conversations are saved, but not stars" in done.stderr
    assert backup("check", tmp_path / "backup")["documents"] > 3
    default_path().write_bytes(whole)
    assert backup("save", tmp_path / "backup")["part"]


def test_only_its_owner_can_read_a_backup(archive: Archive, tmp_path: Path) -> None:
    some_archive(archive, tmp_path / "projects")
    backup("save", tmp_path / "backup")
    for path in (tmp_path / "backup").rglob("*.gz"):
        assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0


def test_a_part_has_the_layout_of_mongodump(archive: Archive, tmp_path: Path) -> None:
    some_archive(archive, tmp_path / "projects")
    backup("save", tmp_path / "backup")
    part = tmp_path / "backup" / "0001"
    names = {path.name for path in part.iterdir()}
    assert names == {"cclake-backup.json", archive.db.name}
    collections = {"named%2Flike%20this", *archive.db.list_collection_names()}
    assert {path.name for path in (part / archive.db.name).iterdir()} == {
        collection + kind
        for collection in collections - {"named/like this"}
        for kind in (".bson.gz", ".metadata.json.gz")
    }


def test_a_second_save_adds_only_what_is_new(
    archive: Archive, other: Database[Document], tmp_path: Path
) -> None:
    root, folder = tmp_path / "projects", tmp_path / "backup"
    some_archive(archive, root)
    backup("save", folder)
    first = tree(folder)
    assert backup("save", folder)["part"] is None
    lines = some_lines(2, 30) + some_lines(3, 20)
    keep(archive, root, OTHER, lines)
    keep(archive, root, "-home-me-z/big.jsonl", b'"' + b"y" * 13_000_000 + b'"\n')
    second = backup("save", folder)
    assert second["part"] == str(folder / "0002")
    part = json.loads((folder / "0002" / "cclake-backup.json").read_text())
    numbers = {one["collection"]: one["documents"] for one in part["files"]}
    new = some_lines(3, 20).count(b"\n")
    assert new < numbers["conversations"] <= new + 2
    assert numbers["raw.files"] == 1
    assert {name: tree(folder)[name] for name in first} == first
    load(folder, other)
    assert content(other) == content(archive.db)


def rewrite(archive: Archive, root: Path, old: bytes) -> None:
    """A rewritten file: its first half stays, in a newer generation, too."""
    half = old[: old.index(b"\n", len(old) // 2) + 1]
    keep(archive, root, MAIN, half + some_lines(9, 5), gen=1)


def test_lines_that_a_rewritten_file_has_changed_are_saved_again(
    archive: Archive, other: Database[Document], tmp_path: Path
) -> None:
    root, folder = tmp_path / "projects", tmp_path / "backup"
    some_archive(archive, root)
    backup("save", folder)
    load(folder, other)
    rewrite(archive, root, some_lines(1, 200))
    keep(archive, root, OTHER, some_lines(2, 30)[:-1], gen=1)
    backup("save", folder)
    # The bare newline of a last line comes later: only the document's length moves.
    keep(archive, root, OTHER, some_lines(2, 30), gen=1)
    backup("save", folder)
    changed = load(folder, other)["changed"]
    assert changed > 50
    assert content(other) == content(archive.db)
    other.client.drop_database(other.name)
    load(folder, other)
    assert content(other) == content(archive.db)


def test_a_line_that_another_buffer_has_taken_over_is_seen_by_extraction(
    archive: Archive, other: Database[Document], tmp_path: Path
) -> None:
    folder, db = tmp_path / "backup", archive.db
    keep(archive, tmp_path / "projects", MAIN, some_lines(1, 5))
    db.watermarks.update_one({}, {"$set": {"acked_seq": Int64(2)}})
    backup("save", folder)
    load(folder, other)
    new = {"buffer": "c" * 32, "seq": Int64(1)}
    db.conversations.update_one({"seq": 4}, {"$set": new})
    db.watermarks.insert_one({"_id": "c" * 32, "acked_seq": Int64(1), "at": None})
    backup("save", folder)
    load(folder, other)
    assert other.conversations.count_documents(new) == 1
    assert content(other) == content(db)


def test_more_advanced_documents_in_the_database_stay(
    archive: Archive, other: Database[Document], tmp_path: Path
) -> None:
    root, folder = tmp_path / "projects", tmp_path / "backup"
    some_archive(archive, root)
    backup("save", folder)
    keep(archive, root, OTHER, some_lines(2, 60))
    rewrite(archive, root, some_lines(1, 200))
    before = content(archive.db)
    load(folder, archive.db)
    assert content(archive.db) == before
    newer = tmp_path / "newer"
    backup("save", newer)
    load(folder, other)
    assert load(newer, other)["changed"] > 0
    assert content(other) == before


def test_everything_is_saved_again_if_the_parts_may_lack_lines(
    archive: Archive, other: Database[Document], tmp_path: Path
) -> None:
    folder, foreign = tmp_path / "backup", tmp_path / "foreign"
    keep(archive, tmp_path / "projects", MAIN, some_lines(1, 20))
    backup("save", folder)
    stranger = Archive(other, "f" * 32)
    keep(stranger, tmp_path / "strange", OTHER, some_lines(5, 5), host="desk")
    backup("save", foreign, "--mongo-db", other.name)
    load(foreign, archive.db)
    assert backup("save", folder)["whole"]
    assert backup("save", folder)["part"] is None
    load(foreign, archive.db)
    assert backup("save", folder)["part"] is None, "nothing was loaded"
    archive.db.client.drop_database(archive.db.name)
    load(folder, archive.db)
    assert backup("save", folder)["whole"]
    assert backup("save", folder, "--whole")["whole"]
    shutil.rmtree(folder / "0001")
    shutil.rmtree(folder / "0002")
    assert backup("check", folder)["parts"] == 1


def test_a_contradiction_is_refused_before_anything_is_written(
    archive: Archive, other: Database[Document], tmp_path: Path
) -> None:
    root = tmp_path / "projects"
    keep(archive, root, MAIN, some_lines(1, 20))
    rewrite(archive, root, some_lines(1, 20))
    backup("save", tmp_path / "backup")
    keep(Archive(other, "c" * 32), root, MAIN, some_lines(7, 20))
    before = content(other)
    said = load(tmp_path / "backup", other, status=1)
    assert "1 files were rewritten" in said
    assert "empty database" in said
    assert content(other) == before


def test_a_folder_with_something_else_is_left_alone(
    archive: Archive, tmp_path: Path
) -> None:
    keep(archive, tmp_path / "projects", MAIN, some_lines(1, 5))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert "is not a backup" in backup("save", tmp_path / "mine", status=1)
    assert tree(tmp_path / "mine") == {"letter.txt": b"dear"}
    for command in ("load", "check"):
        assert "is not a backup" in backup(command, tmp_path / "none", status=1)


def test_a_database_without_archive_is_not_saved(
    archive: Archive, tmp_path: Path
) -> None:
    said = backup("save", tmp_path / "backup", status=1)
    assert "has no archive" in said
    assert "is not a backup" in backup("check", tmp_path / "backup", status=1)


@pytest.mark.fault
def test_a_damaged_byte_is_named_and_nothing_is_loaded(
    archive: Archive, other: Database[Document], tmp_path: Path
) -> None:
    some_archive(archive, tmp_path / "projects")
    folder = tmp_path / "backup"
    backup("save", folder)
    data = folder / "0001" / archive.db.name
    for path in (
        folder / "0001" / "cclake-backup.json",
        data / "conversations.bson.gz",
        data / "files.metadata.json.gz",
    ):
        whole = path.read_bytes()
        path.write_bytes(whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:])
        assert f"{path} is damaged" in load(folder, other, status=1)
        path.write_bytes(whole[:-2])
        assert f"{path} is damaged" in backup("check", folder, status=1)
        path.unlink()
        assert f"{path} is missing" in load(folder, other, status=1)
        path.write_bytes(whole)
    assert not other.list_collection_names()


@pytest.mark.fault
def test_no_part_continues_a_damaged_one(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    some_archive(archive, tmp_path / "projects")
    backup("save", folder)
    (first,) = folder.glob("*/*/files.bson.gz")
    first.write_bytes(b"")
    said = backup("save", folder, status=1)
    assert f"{first} is damaged" in said
    assert "--whole" in said
    first.unlink()
    assert f"{first} is missing" in backup("save", folder, status=1)
    assert backup("save", folder, "--whole")["part"] == str(folder / "0002")


@pytest.mark.fault
def test_a_missing_part_is_noticed(archive: Archive, tmp_path: Path) -> None:
    root, folder = tmp_path / "projects", tmp_path / "backup"
    for number in range(3):
        keep(archive, root, f"-p/{number}.jsonl", some_lines(number, 3))
        backup("save", folder)
    shutil.rmtree(folder / "0002")
    for command in ("check", "load", "save"):
        assert "the part before" in backup(command, folder, status=1)


@contextmanager
def many_lines(archive: Archive, number: int, size: int) -> Iterator[int]:
    """An archive of some size whose bytes can't be compressed."""
    key = bytes.fromhex(file_key("testhost", "-p/many.jsonl"))
    for start in range(0, number, 1000):
        archive.db.conversations.insert_many(
            {
                "_id": key + at.to_bytes(8, "big") + bytes(8),
                "buffer": "b" * 32,
                "seq": Int64(at),
                "source": {"file": key.hex(), "gen": 0, "last_gen": 0, "len": 1},
                "raw": os.urandom(size),
            }
            for at in range(start, start + 1000)
        )
    yield number


def start(*arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [str(BIN / "backup"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: "subprocess.Popen[str]", number: int) -> None:
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)


def written(folder: Path) -> int:
    found = (folder / ".unfinished").rglob("conversations.bson.gz")
    return sum(path.stat().st_size for path in found)


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_at_any_time_a_save_and_a_load_can_be_run_again(
    archive: Archive, other: Database[Document], tmp_path: Path, number: int
) -> None:
    folder = tmp_path / "backup"
    with many_lines(archive, 8000, 5000) as number_of_lines:
        saving = start("save", folder)
        wait_for(lambda: written(folder) > 3_000_000)
        end(saving, number)
        assert "is not a backup" in backup("check", folder, status=1)
        assert backup("save", folder)["documents"] == number_of_lines
        assert not (folder / ".unfinished").exists()
        loading = start("load", folder, "--mongo-db", other.name)
        wait_for(lambda: other.conversations.estimated_document_count() > 2000)
        end(loading, number)
        assert "watermarks" not in other.list_collection_names()
        done = load(folder, other)["collections"]["conversations"]
        assert done["present"] >= 2000
        assert done["inserted"] + done["present"] == number_of_lines
        assert other.conversations.count_documents({}) == number_of_lines


@pytest.mark.fault
def test_a_full_disk_is_one_line_and_the_parts_before_stay(
    archive: Archive, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    keep(archive, tmp_path / "projects", MAIN, some_lines(1, 20))
    backup("save", folder)
    before = tree(folder)
    with many_lines(archive, 2000, 5000):
        # The kernel refuses every byte beyond this, as a full disk does.
        limit = (3_000_000, 3_000_000)
        done = subprocess.run(
            [BIN / "backup", "save", folder, "--whole"],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"backup: cannot write into {folder}: ")
    assert "Check the free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(folder) == before


@pytest.mark.slow
@pytest.mark.fault
def test_a_mongodb_that_stops_in_the_middle_is_reported_and_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backup"
    server = Mongod(tmp_path / "mongod").start()
    monkeypatch.setenv("MONGO_URI", f"{server.uri}/?serverSelectionTimeoutMS=500")
    monkeypatch.setenv("MONGO_DB", "claude_logs")
    try:
        with connect(server.uri) as client:
            archive = Archive(client["claude_logs"])
            with many_lines(archive, 8000, 5000) as number_of_lines:
                saving = start("save", folder)
                wait_for(lambda: written(folder) > 3_000_000)
                server.kill()
                _, said = saving.communicate(timeout=PATIENCE)
        assert (saving.returncode, said.splitlines()[0][:18]) == (
            75,
            "backup: MongoDB at",
        )
        assert not (folder / ".unfinished").exists()
        server.start()
        assert backup("save", folder)["documents"] == number_of_lines
        loading = start("load", folder, "--mongo-db", "other")
        with connect(server.uri) as client:
            there = client["other"].conversations
            wait_for(lambda: there.estimated_document_count() > 2000)
        server.kill()
        _, said = loading.communicate(timeout=PATIENCE)
        assert (loading.returncode, said.splitlines()[0][:18]) == (
            75,
            "backup: MongoDB at",
        )
        server.start()
        done = backup("load", folder, "--mongo-db", "other")
        assert done["inserted"] + done["present"] == number_of_lines
    finally:
        server.kill()


def test_two_saves_into_one_folder_exclude_each_other(
    archive: Archive, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    with many_lines(archive, 8000, 5000):
        saving = start("save", folder)
        wait_for(lambda: written(folder) > 1_000_000)
        saving.send_signal(signal.SIGSTOP)  # it would be done before the other looks
        try:
            assert "another save" in backup("save", folder, status=75)
        finally:
            saving.send_signal(signal.SIGCONT)
        _, said = saving.communicate(timeout=PATIENCE)
        assert (saving.returncode, said) == (0, "")


def ingest_for_ever(db: Database[Document], stop: threading.Event) -> None:
    """Lines, then their checkpoint, then the watermark: as the flusher does."""
    key = file_key("testhost", MAIN)
    for seq in count(1):
        if stop.is_set():
            return
        body = b'{"n":%d}' % seq
        line = document_of(key, seq * 10, body, 10)
        db.conversations.insert_one({**line, "buffer": "b" * 32, "seq": Int64(seq)})
        file = {"gen": 0, "off": Int64(seq * 10 + 10), "buffer": "b" * 32}
        db.files.update_one({"_id": key}, {"$set": file}, upsert=True)
        acked = {"acked_seq": Int64(seq), "at": datetime.now(UTC)}
        db.watermarks.update_one({"_id": "b" * 32}, {"$set": acked}, upsert=True)


def test_a_backup_has_all_lines_that_it_covers_while_ingestion_continues(
    archive: Archive, other: Database[Document], tmp_path: Path
) -> None:
    folder, stop = tmp_path / "backup", threading.Event()
    archive.db.conversations.create_index([("buffer", ASCENDING), ("seq", ASCENDING)])
    writer = threading.Thread(target=ingest_for_ever, args=(archive.db, stop))
    writer.start()
    acked = 0
    try:
        wait_for(lambda: archive.db.watermarks.find_one({"acked_seq": {"$gt": 50}}))
        for _ in range(4):
            backup("save", folder)
            other.client.drop_database(other.name)
            load(folder, other)
            (watermark,), (file,) = other.watermarks.find(), other.files.find()
            there = {one["seq"] for one in other.conversations.find()}
            assert there >= set(range(1, watermark["acked_seq"] + 1))
            assert there >= set(range(1, file["off"] // 10))
            assert watermark["acked_seq"] > acked
            acked = watermark["acked_seq"]
    finally:
        stop.set()
        writer.join()


def peak(*arguments: object) -> int:
    """Bytes of memory that a run takes at most."""
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    )
    done = subprocess.run(
        [BIN / "python", "-c", script, BIN / "backup", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.fault  # it measures a tool
def test_memory_does_not_grow_with_the_archive(
    archive: Archive, other: Database[Document], tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    with many_lines(archive, 1000, 1000):
        small = peak("save", folder)
    archive.db.conversations.drop()
    with many_lines(archive, 4000, 80_000):  # 320 MB
        assert peak("save", folder, "--whole") < small + 150e6
        assert peak("load", folder, "--mongo-db", other.name) < small + 200e6
        assert peak("load", folder, "--mongo-db", other.name) < small + 200e6


def test_a_terminal_sees_progress_and_a_pipe_does_not(
    archive: Archive, tmp_path: Path
) -> None:
    keep(archive, tmp_path / "projects", MAIN, some_lines(1, 20))
    quiet = run("backup", "save", str(tmp_path / "quiet"))
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert quiet.stdout.startswith(str(tmp_path / "quiet" / "0001"))
    command = f"{BIN}/backup save {tmp_path}/seen"
    shown = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | {"TERM": "xterm"},
        check=True,
    )
    assert "saving conversations" in shown.stdout
