"""Proofs of files, with archives that have exactly one fault."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from corpus import Archive, document_of, run, some_lines
from harness import Mongod, connect
from pymongo.database import Database

SESSION = "-home-me-x/11111111-1111-4111-8111-111111111111.jsonl"


class Bench:
    """A root with files, its archive, and verify run over both."""

    def __init__(self, root: Path, db: Database[Any]) -> None:
        self.root, self.db, self.archive = root, db, Archive(db)
        root.mkdir(parents=True)

    def write(self, path: str, data: bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    def verify(self, *options: str, holds: bool = True) -> dict[str, Any]:
        done = run(
            "verify", "--json", *options, env={"CLAUDE_DIR": str(self.root)}
        )  # fmt: skip
        assert done.returncode == (0 if holds else 1), done.stdout + done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        assert report["holds"] is holds
        return report

    def only(self, *options: str, holds: bool = True) -> dict[str, Any]:
        (finding,) = self.verify(*options, holds=holds)["findings"]
        assert isinstance(finding, dict)
        return finding

    def documents(self, condition: dict[str, Any] | None = None) -> list[Any]:
        found = self.db.conversations.find(condition or {}, {"_id": 1, "source": 1})
        return list(found.sort("_id", 1))


@pytest.fixture
def bench(mongod: Mongod, mongo_db: str, tmp_path: Path) -> Iterator[Bench]:
    with connect(mongod.uri) as client:
        yield Bench(tmp_path / "projects", client[mongo_db])


def test_a_complete_archive_is_proven_and_not_read_twice(bench: Bench) -> None:
    data = some_lines(1, 200)
    bench.write(SESSION, data)
    bench.archive.keep(bench.root, SESSION)
    first = bench.verify()
    assert first["files"] == {
        "proven": 1, "kept": 0, "behind": 0, "changed": 0, "missing": 0, "broken": 0,
    }  # fmt: skip
    assert (first["lines"], first["bytes"]) == (data.count(b"\n"), len(data))
    assert first["bytes_read"] == len(data)
    again = bench.verify()
    assert again["bytes_read"] == 0
    assert (again["lines"], again["bytes"]) == (first["lines"], first["bytes"])
    assert bench.verify("--full")["bytes_read"] == len(data)


def test_a_file_with_another_state_is_read_from_its_beginning(bench: Bench) -> None:
    old, new = some_lines(1, 100), some_lines(2, 3)
    file = bench.write(SESSION, old)
    bench.archive.keep(bench.root, SESSION)
    bench.verify()
    bench.write(SESSION, old + new)
    bench.archive.keep(bench.root, SESSION)
    assert bench.only()["read"] == len(old + new)
    edited = b"[" + old[1:] + new  # the archive does not see it
    bench.write(SESSION, edited + b'{"more":1}\n')
    bench.archive.keep(bench.root, SESSION, data=old + new + b'{"more":1}\n')
    assert bench.only()["faults"] == ["the file differs from byte 0 on"]
    file.write_bytes(old + new + b'{"more":1}\n')
    assert bench.only()["status"] == "proven"
    file.chmod(0o640)  # moves nothing but ctime
    assert bench.only()["read"] == len(old + new) + 11


def test_only_new_documents_of_a_file_on_another_machine_are_read(bench: Bench) -> None:
    old, new = some_lines(1, 100), some_lines(2, 3)
    for data in (old, old + new):
        bench.archive.keep(bench.root, SESSION, host="elsewhere", data=data)
        finding = bench.only()
    last_line = len(old) - old[:-1].rindex(b"\n") - 1
    assert finding["read"] == last_line + len(new)


def test_a_document_of_an_older_generation_that_changed_fails_in_full(
    bench: Bench,
) -> None:
    bench.write(SESSION, b'{"a":1}\n')
    bench.archive.keep(bench.root, SESSION)
    bench.write(SESSION, b'{"b":2}\n')
    bench.archive.keep(bench.root, SESSION, gen=1)
    bench.db.conversations.update_one({"source.gen": 0}, {"$set": {"entry.a": 2}})
    assert bench.only()["status"] == "proven"
    finding = bench.only("--full", holds=False)
    assert finding["faults"] == ["the document at 0 does not match its _id"]


def test_a_hole_in_the_archive_fails(bench: Bench) -> None:
    bench.write(SESSION, some_lines(3, 50))
    bench.archive.keep(bench.root, SESSION)
    victim = bench.documents()[20]
    bench.db.conversations.delete_one({"_id": victim["_id"]})
    finding = bench.only(holds=False)
    off = victim["source"]["off"]
    assert finding["status"] == "broken"
    assert finding["faults"] == [
        f"no document has bytes {off}-{off + victim['source']['len']}"
    ]


def test_a_document_that_was_deleted_after_its_proof_fails(bench: Bench) -> None:
    bench.write(SESSION, some_lines(3, 50))
    bench.archive.keep(bench.root, SESSION)
    bench.verify()
    bench.db.conversations.delete_one({"_id": bench.documents()[20]["_id"]})
    report = bench.verify(holds=False)
    assert report["stores"][0]["note"] == "1 documents were deleted"
    assert report["bytes_read"] == 0


def test_a_missing_end_fails(bench: Bench) -> None:
    data = some_lines(4, 20)
    bench.write(SESSION, data)
    bench.archive.keep(bench.root, SESSION)
    last = bench.documents()[-1]
    bench.db.conversations.delete_one({"_id": last["_id"]})
    (fault,) = bench.only(holds=False)["faults"]
    assert fault == f"no document has bytes {last['source']['off']}-{len(data)}"


def test_stored_bytes_that_do_not_match_the_id_fail(bench: Bench) -> None:
    bench.write(SESSION, some_lines(5, 50))
    bench.archive.keep(bench.root, SESSION)
    victim = bench.db.conversations.find_one({"entry.type": {"$exists": True}})
    assert victim
    bench.db.conversations.update_one(
        {"_id": victim["_id"]}, {"$set": {"entry.type": "forged"}}
    )
    (fault,) = bench.only(holds=False)["faults"]
    off = victim["source"]["off"]
    assert fault == f"the document at {off} does not match its _id"


def test_two_documents_over_the_same_bytes_fail(bench: Bench) -> None:
    bench.write(SESSION, b'{"a":1}\n{"b":22}\n')
    key = bench.archive.keep(bench.root, SESSION)
    bench.archive.put(document_of(key, 4, b"stray", 6), "testhost", SESSION)
    faults = bench.only(holds=False)["faults"]
    assert "two documents have bytes 4-8" in faults


def test_a_rewritten_file_is_changed_at_first_and_a_failure_later(bench: Bench) -> None:
    file = bench.write(SESSION, some_lines(6, 30))
    bench.archive.keep(bench.root, SESSION)
    bench.verify()
    file.write_bytes(some_lines(7, 40))
    assert bench.only()["status"] == "changed"
    time.sleep(0.2)
    late = bench.only("--grace", "0.1", holds=False)
    assert (late["status"], late["late"]) == ("changed", True)
    bench.archive.keep(bench.root, SESSION, gen=1)
    after = bench.only("--grace", "0.1")
    assert (after["status"], after["gen"]) == ("proven", 1)


def test_a_rewrite_that_keeps_the_old_time_and_size_is_noticed(bench: Bench) -> None:
    file = bench.write(SESSION, b'{"a":1}\n{"b":2}\n')
    bench.archive.keep(bench.root, SESSION)
    bench.verify()
    status = file.stat()
    file.write_bytes(b'{"a":1}\n{"b":3}\n')
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    finding = bench.only()
    assert finding["status"] == "changed"
    assert finding["faults"] == ["the file differs from byte 8 on"]


def test_an_edited_chunk_is_noticed(bench: Bench) -> None:
    name = SESSION.replace(".jsonl", "/workflows/w.json")
    file = bench.write(name, b'{\n"a":1\n}')
    bench.archive.keep(bench.root, name)
    assert bench.only()["status"] == "proven"
    status = file.stat()
    file.write_bytes(b'{\n"a":2\n}')
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert bench.only()["status"] == "changed"


def test_lines_of_an_older_generation_do_not_count(bench: Bench) -> None:
    common = some_lines(8, 10)
    bench.write(SESSION, common + some_lines(9, 20))
    bench.archive.keep(bench.root, SESSION)
    bench.write(SESSION, common + some_lines(10, 5))
    bench.archive.keep(bench.root, SESSION, gen=1)
    finding = bench.only()
    assert (finding["status"], finding["gen"]) == ("proven", 1)
    assert finding["lines"] == (common + some_lines(10, 5)).count(b"\n")


def test_a_file_that_is_gone_from_the_disk_is_proven_by_its_documents(
    bench: Bench,
) -> None:
    file = bench.write(SESSION, some_lines(11, 30))
    bench.archive.keep(bench.root, SESSION)
    assert bench.only()["status"] == "proven"
    file.unlink()
    assert bench.only()["status"] == "kept"
    assert bench.verify()["bytes_read"] == 0
    bench.db.conversations.delete_one({"_id": bench.documents()[3]["_id"]})
    assert bench.only("--full", holds=False)["status"] == "broken"


def test_new_bytes_on_disk_are_behind_and_fail_after_the_grace(bench: Bench) -> None:
    data = some_lines(12, 30)
    bench.write(SESSION, data + b'{"new":1}\n')
    bench.archive.keep(bench.root, SESSION, upto=len(data))
    finding = bench.only()
    assert (finding["status"], finding["waiting"]) == ("behind", 10)
    time.sleep(0.2)
    assert bench.only("--grace", "0.1", holds=False)["late"] is True


def test_an_incomplete_line_is_not_awaited(bench: Bench) -> None:
    data = some_lines(12, 30)
    bench.write(SESSION, data + b'{"torn":')
    bench.archive.keep(bench.root, SESSION, upto=len(data))
    time.sleep(0.2)
    for _ in range(2):
        finding = bench.only("--grace", "0.1")
        assert (finding["status"], finding["torn"]) == ("behind", True)
    bench.write(SESSION, data + b'{"torn":1}')
    time.sleep(0.2)
    assert bench.only("--grace", "0.1", holds=False)["torn"] is False


def test_a_file_that_was_never_archived_is_missing(bench: Bench) -> None:
    folder = SESSION.removesuffix(".jsonl")
    own = {
        SESSION: some_lines(13, 3),
        "-p/x/subagents/agent-1.meta.json": b'{"a": 1}',
        "-p/x/tool-results/out.txt": b"text",
        f"{folder}/workflows/w.json": b"{}",
        f"{folder}/workflows/scripts/w.js": b"1",
        f"{folder}/whatever": b"comes next",
        "../history.jsonl": b'{"display":"x"}\n',
    }
    for name, data in own.items():
        bench.write(name, data)
    aside = bench.write("../aside/log", b'{"aside":1}\n')
    bench.write("../aside/folder/a.jsonl", b'{"aside":2}\n')
    bench.write("-p/notes.txt", b"no log")
    bench.write("-p/old.jsonl.gz", b"\x1f\x8b")
    bench.write("-p/empty.jsonl", b"")
    project = bench.root / "-p"
    (project / "link.jsonl").symlink_to(bench.root / SESSION)
    (project / "aside.jsonl").symlink_to(aside)
    (project / "folder").symlink_to(aside.parent / "folder")
    (project / "loop").symlink_to(project)
    (project / "dangling.jsonl").symlink_to(project / "none")
    (project / "itself.jsonl").symlink_to("itself.jsonl")
    os.link(bench.root / SESSION, project / "second-name.jsonl")
    os.mkfifo(project / "fifo.jsonl")
    report = bench.verify()
    paths = {one["path"] for one in report["findings"]}
    assert paths == {*own, "-p/aside.jsonl", "-p/folder/a.jsonl"}
    assert report["left_out"] == {
        "dangling links": 2,
        "not logs": 1,
        "not regular files": 1,
        "other names of a file": 2,
        "compressed or renamed logs": 1,
    }
    said = run("verify", env={"CLAUDE_DIR": str(bench.root)}).stdout
    assert "The quick proof holds, except for 9 files that are still to come: " in said
    assert "2 dangling links, 1 not logs" in said
    time.sleep(0.2)
    assert bench.verify("--grace", "0.1", holds=False)["files"]["missing"] == 9


def test_side_files_are_not_missing_if_they_are_not_archived(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write(SESSION, some_lines(1, 2))
    bench.archive.keep(bench.root, SESSION)
    folder = SESSION.removesuffix(".jsonl")
    for name in (f"{folder}/tool-results/a.txt", f"{folder}/subagents/a.meta.json"):
        bench.write(name, b"{}")
    time.sleep(0.2)
    found = bench.verify("--grace", "0.1", holds=False)["findings"]
    assert sorted(one["status"] for one in found) == ["missing", "missing", "proven"]
    monkeypatch.setenv("CCLAKE_SIDE_FILES", "false")
    assert bench.only("--grace", "0.1")["status"] == "proven"


def test_another_host_is_proven_without_its_disk(bench: Bench) -> None:
    data = some_lines(14, 30)
    bench.archive.keep(bench.root, SESSION, host="elsewhere", data=data)
    bench.write(SESSION, b'{"mine":1}\n')
    bench.archive.keep(bench.root, SESSION)
    report = bench.verify()
    assert (report["files"]["kept"], report["files"]["proven"]) == (1, 1)
    (theirs,) = bench.verify("--host", "elsewhere")["findings"]
    assert (theirs["host"], theirs["status"]) == ("elsewhere", "kept")


def test_a_host_without_archived_files_is_a_failure(bench: Bench) -> None:
    bench.write(SESSION, b'{"mine":1}\n')
    bench.archive.keep(bench.root, SESSION)
    done = run("verify", "--host", "labtop", env={"CLAUDE_DIR": str(bench.root)})
    assert (done.returncode, done.stdout) == (1, "")
    assert "no host labtop" in done.stderr
    assert "It has: testhost." in done.stderr


def test_chunks_and_big_lines_and_driver_types_are_proven(bench: Bench) -> None:
    big = b'{"big":"' + b"x" * 12_500_000 + b'"}'
    reference = b'{"a":{"$ref":"x","$id":1}}'
    bench.write(SESSION, big + b"\n" + reference + b"\n")
    key = bench.archive.keep(bench.root, SESSION)
    bench.db.conversations.update_one(  # as a flusher that keeps only the entry would
        {"_id": bench.documents()[1]["_id"]},
        {"$set": {"entry": {"a": {"$ref": "x", "$id": 1}}}, "$unset": {"raw": 1}},
    )
    assert bench.db.conversations.count_documents({"raw_file": {"$exists": True}}) == 1
    assert bench.only()["file"] == key
    bench.write("-p/x/tool-results/out.txt", b"two\nlines\n")
    bench.archive.keep(bench.root, "-p/x/tool-results/out.txt")
    assert bench.verify()["files"]["proven"] == 2


def test_a_last_line_may_get_its_newline_or_grow_later(bench: Bench) -> None:
    whole = b'{"a":1}\n{"b":2}\n'
    bench.write(SESSION, whole[:-1])
    bench.archive.keep(bench.root, SESSION)
    assert bench.only()["status"] == "proven"
    bench.write(SESSION, whole)
    bench.archive.keep(bench.root, SESSION)
    assert (bench.only()["off"], len(bench.documents())) == (len(whole), 2)
    grown = whole + b'{"c":'
    bench.write(SESSION, grown)
    bench.archive.keep(bench.root, SESSION)
    assert bench.only()["status"] == "proven"
    bench.write(SESSION, grown + b"3}\n")
    bench.archive.keep(bench.root, SESSION)
    finding = bench.only("--full")
    assert (finding["status"], finding["lines"]) == ("proven", 3)


def test_a_hostile_name_cannot_write_to_the_terminal(bench: Bench) -> None:
    bench.write("-p/\x1b[2J\nevil.jsonl", b"{}\n")
    time.sleep(0.2)
    done = run("verify", "--grace", "0.1", env={"CLAUDE_DIR": str(bench.root)})
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert r"missing: testhost -p/\x1b[2J\nevil.jsonl" in done.stdout


def test_without_mongodb_verify_says_so_and_asks_to_try_later(tmp_path: Path) -> None:
    uri = "mongodb://me:secret@127.0.0.1:1/?serverSelectionTimeoutMS=200"
    done = run("verify", env={"MONGO_URI": uri, "CLAUDE_DIR": str(tmp_path)})
    assert done.returncode == 75
    assert "secret" not in done.stderr + done.stdout
    assert "does not answer" in done.stderr
    assert "Topology" not in done.stderr
    assert "configured timeouts" not in done.stderr
