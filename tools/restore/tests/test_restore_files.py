"""Compare restored files with the originals, and restore from damaged archives."""

import errno
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cclake_common.failure import Failure
from cclake_restore.output_folder import OutputFolder
from corpus import Archive, document_of, file_key, run, some_lines
from harness import Mongod, connect

SESSION = "11111111-1111-4111-8111-111111111111"
MAIN = f"-home-me-x/{SESSION}.jsonl"


@pytest.fixture
def archive(mongod: Mongod, mongo_db: str) -> Iterator[Archive]:
    with connect(mongod.uri) as client:
        yield Archive(client[mongo_db])


def restore(out: Path, *options: str, status: int = 0) -> list[dict[str, Any]]:
    done = run("restore", "--out", str(out), "--json", *options)
    assert done.returncode == status, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def a_tree(root: Path) -> dict[str, bytes]:
    files = {
        MAIN: some_lines(1, 100),
        f"-home-me-x/{SESSION}/subagents/agent-1.jsonl": some_lines(2, 20)[:-1],
        f"-home-me-x/{SESSION}/subagents/agent-1.meta.json": b'{\n "a": 1\n}',
        f"-home-me-x/{SESSION}/tool-results/o.txt": os.urandom(5000),
        "-home-me-y/22222222-2222-4222-8222-222222222222.jsonl": b"\n\n\r\n{}\n\xff\n",
        "-home-me-y/name with 雪 and\nnewline.jsonl": b'{"big":"'
        + b"x" * 12_500_000
        + b'"}\n',
        "-home-me-y/empty.jsonl": b"",
    }
    for path, data in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return files


def keep_all(archive: Archive, root: Path, **more: Any) -> dict[str, bytes]:
    files = a_tree(root)
    for path in files:
        archive.keep(root, path, **more)
    return files


def test_every_file_comes_back_byte_for_byte(archive: Archive, tmp_path: Path) -> None:
    files = keep_all(archive, tmp_path / "projects")
    results = restore(tmp_path / "out")
    assert tree(tmp_path / "out") == files == tree(tmp_path / "projects")
    assert {one["path"]: one["bytes"] for one in results} == {
        path: len(data) for path, data in files.items()
    }
    assert not [one for one in results if one["error"]]


def test_nothing_is_overwritten(archive: Archive, tmp_path: Path) -> None:
    files = keep_all(archive, tmp_path / "projects")
    mine = tmp_path / "out" / MAIN
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    results = restore(tmp_path / "out", status=1)
    refused = [one["path"] for one in results if one["error"] == "it exists already"]
    assert refused == [MAIN]
    assert tree(tmp_path / "out") == files | {MAIN: b"mine"}
    again = restore(tmp_path / "out", status=1)
    assert all(one["error"] == "it exists already" for one in again)


def test_without_a_folder_nothing_is_written(archive: Archive, tmp_path: Path) -> None:
    files = keep_all(archive, tmp_path / "projects")
    listed = run("restore", "--dry-run")
    assert listed.returncode == 0
    assert len(listed.stdout.splitlines()) == len(files)
    assert f"{len(files)} files would be restored" in listed.stderr
    nowhere = run("restore")
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert "--out" in nowhere.stderr


def test_an_unknown_host_lists_the_known_ones(archive: Archive, tmp_path: Path) -> None:
    keep_all(archive, tmp_path / "projects")
    done = run("restore", "--out", str(tmp_path / "out"), "--host", "labtop")
    assert done.returncode == 1
    assert "Hosts: testhost." in done.stderr


def test_a_dry_run_writes_nothing_and_knows_the_sizes(
    archive: Archive, tmp_path: Path
) -> None:
    files = keep_all(archive, tmp_path / "projects")
    results = restore(tmp_path / "out", "--dry-run")
    assert {one["path"]: one["bytes"] for one in results} == {
        path: len(data) for path, data in files.items()
    }
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "projects"),
    [
        (("--session", SESSION), {"-home-me-x"}),
        (("--project", "-home-me-y"), {"-home-me-y"}),
        (("--project", "/home/me/y"), {"-home-me-y"}),
    ],
)
def test_one_session_or_project_is_restored_alone(
    archive: Archive, tmp_path: Path, options: tuple[str, ...], projects: set[str]
) -> None:
    files = keep_all(archive, tmp_path / "projects")
    restore(tmp_path / "out", *options)
    assert tree(tmp_path / "out") == {
        path: data for path, data in files.items() if path.split("/")[0] in projects
    }


FORK, AGENT = "33333333-3333-4333-8333-333333333333", "agent-a1b2"


def keep_family(archive: Archive, root: Path) -> None:
    """A session, a fork that begins with a line of it, and a subagent apart."""
    files = {
        MAIN: SESSION,
        f"-home-me-x/{FORK}.jsonl": SESSION,
        f"-home-me-x/{AGENT}.jsonl": SESSION,
        "-home-me-x/22222222-2222-4222-8222-222222222222.jsonl": "22222222",
    }
    for path, session in files.items():
        key = archive.keep(root, path, data=b'{"a":1}\n{"b":1}\n')
        one = {"source.file": key, "source.off": 0}
        archive.db.conversations.update_one(one, {"$set": {"sessionId": session}})
    archive.keep(root, f"-home-me-x/{FORK}/tool-results/{SESSION[:4]}.txt", data=b"r")


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (SESSION, {SESSION, FORK, AGENT}),
        (SESSION[:3], {SESSION, FORK, AGENT}),
        (FORK[:8], {FORK, SESSION[:4]}),
        (AGENT, {AGENT}),
    ],
)
def test_a_session_is_known_by_its_lines_and_by_the_names_of_files(
    archive: Archive, tmp_path: Path, wanted: str, names: set[str]
) -> None:
    keep_family(archive, tmp_path)
    restore(tmp_path / "out", "--session", wanted)
    assert {Path(path).stem for path in tree(tmp_path / "out")} == names


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--session", "2"), "2 sessions or files begin with 2"),
        (("--session", "1.1"), "no session or file of the archive begins with 1.1"),
        (("--session", SESSION, "--host", "desk"), "no session or file of the archive"),
        (("--project", "/home/me/z"), "no matching file of the project /home/me/z"),
    ],
)
def test_an_unknown_or_ambiguous_name_is_one_clear_line(
    archive: Archive, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    keep_family(archive, tmp_path)
    done = run("restore", "--dry-run", *options)
    assert done.returncode == 1
    assert said in done.stderr
    if said.startswith("2"):
        assert "22222222, 22222222-2222-4222-8222-222222222222" in done.stderr


def test_hosts_and_roots_get_their_own_folders(
    archive: Archive, tmp_path: Path
) -> None:
    def keep(host: str, root: str, data: bytes) -> None:
        key = file_key(host, root)
        archive.keep(Path(root), MAIN, host=host, key=key, data=data)

    keep("laptop", "/a/projects", b"1\n")
    keep("desk", "/a/projects", b"2\n")
    keep("desk", "/b/projects", b"3\n")
    restore(tmp_path / "all")
    assert tree(tmp_path / "all") == {
        f"laptop/{MAIN}": b"1\n",
        f"desk/-a-projects/{MAIN}": b"2\n",
        f"desk/-b-projects/{MAIN}": b"3\n",
    }
    restore(tmp_path / "one", "--host", "laptop")
    assert tree(tmp_path / "one") == {MAIN: b"1\n"}


def test_older_generations_can_be_restored(archive: Archive, tmp_path: Path) -> None:
    same, old, new = some_lines(3, 10), some_lines(4, 30), some_lines(5, 5)
    for gen, data in enumerate((same + old, same + new)):
        archive.keep(tmp_path, MAIN, gen=gen, data=data)
    restore(tmp_path / "new")
    restore(tmp_path / "old", "--generation", "0")
    assert tree(tmp_path / "new") == {MAIN: same + new}
    assert tree(tmp_path / "old") == {MAIN: same + old}
    done = run("restore", "--out", str(tmp_path / "no"), "--generation", "2")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "restore: the archive has no matching file",
    )


def test_history_is_restored_only_where_it_is_wanted(
    archive: Archive, tmp_path: Path
) -> None:
    archive.keep(tmp_path, MAIN, data=b"{}\n")
    archive.keep(tmp_path, "../history.jsonl", data=b'{"display":"x"}\n')
    restore(tmp_path / "out")
    assert tree(tmp_path / "out") == {MAIN: b"{}\n"}
    history = tmp_path / "elsewhere" / "h.jsonl"
    restore(tmp_path / "more", "--history", str(history))
    assert history.read_bytes() == b'{"display":"x"}\n'
    assert not (tmp_path / "history.jsonl").exists()
    archive.keep(
        tmp_path, "../history.jsonl", host="other", data=b"1\n", key="0" * 15 + "1"
    )
    archive.keep(tmp_path, MAIN, host="other", data=b"1\n", key="0" * 15 + "2")
    results = restore(
        tmp_path / "third", "--history", str(tmp_path / "third.jsonl"), status=1
    )
    assert [one["error"] for one in results if one["error"]] == [
        "there are several histories: select one with --host"
    ]


@pytest.mark.parametrize(
    "path",
    ["../escaped.jsonl", "/tmp/escaped.jsonl", "a/../../escaped.jsonl", "a//b", "."],
)
def test_a_path_that_points_outside_is_refused(
    archive: Archive, tmp_path: Path, path: str
) -> None:
    archive.keep(tmp_path, path, data=b"{}\n", key="ab" * 8)
    archive.keep(tmp_path, MAIN, data=b"{}\n")
    results = restore(tmp_path / "deep" / "out", status=1)
    assert [one["error"] for one in results if one["error"]] == [
        "its path points outside of the folder"
    ]
    assert tree(tmp_path) == {f"deep/out/{MAIN}": b"{}\n"}


def test_a_link_in_the_folder_does_not_lead_out(
    archive: Archive, tmp_path: Path
) -> None:
    archive.keep(tmp_path, MAIN, data=b"{}\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "victim").mkdir()
    (tmp_path / "out" / "-home-me-x").symlink_to(tmp_path / "victim")
    (result,) = restore(tmp_path / "out", status=1)
    assert result["error"]
    assert tree(tmp_path / "victim") == {}


def test_bytes_that_gridfs_has_lost_cost_their_file_only(
    archive: Archive, tmp_path: Path
) -> None:
    files = keep_all(archive, tmp_path / "projects")
    archive.db["raw.chunks"].delete_many({"n": 0})
    results = restore(tmp_path / "out", status=1)
    failed = [one for one in results if one["error"]]
    assert [one["path"] for one in failed] == [
        "-home-me-y/name with 雪 and\nnewline.jsonl"
    ]
    assert "bytes are missing in GridFS" in failed[0]["error"]
    assert tree(tmp_path / "out") == {
        path: data for path, data in files.items() if path != failed[0]["path"]
    }


@pytest.mark.parametrize("unnamed", [True, False])
def test_a_killed_restore_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unnamed: bool
) -> None:
    if not unnamed:  # as on a stick, or on macOS
        monkeypatch.setattr(os, "O_TMPFILE", 0)

    def killed() -> Iterator[bytes]:
        yield b"one\n" * 1_000_000
        os.kill(os.getpid(), signal.SIGKILL)

    def begin() -> int:
        child = os.fork()
        if not child:
            with OutputFolder(tmp_path / "out") as folder:
                folder.write("p/a.jsonl", killed())
        return child

    assert os.waitpid(begin(), 0)[1] == signal.SIGKILL
    assert bool(tree(tmp_path / "out")) is not unnamed
    with OutputFolder(tmp_path / "out") as folder:
        folder.write("p/b.jsonl", [b"two\n"])
    assert tree(tmp_path / "out") == {"p/b.jsonl": b"two\n"}


def test_the_draft_of_a_running_restore_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", 0)
    with OutputFolder(tmp_path / "out") as folder:

        def another() -> Iterator[bytes]:
            yield b"one\n"
            folder.write("p/b.jsonl", [b"two\n"])

        folder.write("p/a.jsonl", another())
    assert tree(tmp_path / "out") == {"p/a.jsonl": b"one\n", "p/b.jsonl": b"two\n"}


def test_a_file_system_without_links_gets_complete_files_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with OutputFolder(tmp_path / "stick") as folder:
        assert folder.write("p/a.jsonl", [b"one\n", b"two\n"]) == 8
        with pytest.raises(Failure, match="exists already"):
            folder.write("p/a.jsonl", [b"other"])
    assert tree(tmp_path / "stick") == {"p/a.jsonl": b"one\ntwo\n"}


def test_a_hole_or_a_forged_line_leaves_no_file(
    archive: Archive, tmp_path: Path
) -> None:
    archive.keep(tmp_path, "p/hole.jsonl", data=some_lines(6, 9))
    archive.keep(tmp_path, "p/forged.jsonl", data=b'{"a":1}\n{"a":2}\n')
    archive.keep(tmp_path, "p/end.jsonl", data=b'{"a":1}\n{"a":2}\n')
    conversations = archive.db.conversations
    conversations.delete_one({"sourceFile": "p/hole.jsonl", "source.off": {"$gt": 0}})
    conversations.delete_one({"sourceFile": "p/end.jsonl", "source.off": 8})
    conversations.update_one(
        {"sourceFile": "p/forged.jsonl", "source.off": 8}, {"$set": {"entry.a": 3}}
    )
    errors = {one["path"]: one["error"] for one in restore(tmp_path / "o", status=1)}
    assert errors["p/forged.jsonl"] == "the document at byte 8 does not match its _id"
    assert errors["p/end.jsonl"] == "the archive has a hole at byte 8"
    assert errors["p/hole.jsonl"].startswith("the archive has a hole at byte")
    assert tree(tmp_path / "o") == {}


def test_incomplete_lines_after_the_checkpoint_do_no_harm(
    archive: Archive, tmp_path: Path
) -> None:
    key = archive.keep(tmp_path, MAIN, data=b'{"a":1}\n')
    archive.put(document_of(key, 20, b"later", 6), "testhost", MAIN)
    restore(tmp_path / "out")
    assert tree(tmp_path / "out") == {MAIN: b'{"a":1}\n'}


def test_a_path_that_two_files_had_belongs_to_the_live_one(
    archive: Archive, tmp_path: Path
) -> None:
    archive.keep(tmp_path, MAIN, data=b"old\n", key="0a" * 8, state="gone")
    archive.keep(tmp_path, MAIN, data=b"new\n", key="0b" * 8)
    restore(tmp_path / "out")
    assert tree(tmp_path / "out") == {
        MAIN: b"new\n",
        f"{MAIN}.{'0a' * 8}": b"old\n",
    }
