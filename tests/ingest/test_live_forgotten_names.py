"""Files are renamed after the buffer was lost; MongoDB still recognises them."""

import os
import signal
import subprocess
from filecmp import cmpfiles
from pathlib import Path

import pytest
from harness import PATIENCE, free_port, wait_for
from ledger import file_key
from live import Live, lines

pytestmark = pytest.mark.fault


def lose_the_buffer(live: Live) -> None:
    """Kill everything, and delete the buffer."""
    live.kill_pair()
    live.kill_flusher()
    for part in ("", "-wal", "-shm"):
        Path(f"{live.buffer}{part}").unlink(missing_ok=True)


def keys(live: Live) -> dict[str, str]:
    """Return path and file key of all files that are live in MongoDB."""
    found = live.database["files"].find({"state": "live"})
    return {str(each["path"]): str(each["_id"]) for each in found}


def key(path: str, nth: str = "") -> str:
    return file_key("testhost", f"{path}\0{nth}" if nth else path)


def test_files_renamed_before_a_lost_buffer_is_recreated_keep_their_keys(
    live: Live,
) -> None:
    names = ["p/renamed.jsonl", "p/moved.jsonl", "p/left.jsonl", "p/stays.jsonl"]
    live.start()
    for number, name in enumerate(names):
        live.ledger.append(name, *lines(1000 * number, 200))
    result = live.root / "p" / "s" / "tool-results" / "one.txt"
    result.parent.mkdir(parents=True)
    result.write_bytes(b"what a tool said")
    live.wait_delivered()
    wait_for(lambda: len(keys(live)) == 5, "all files are delivered")
    live.kill_flusher()
    live.ledger.append("p/moved.jsonl", *lines(5000, 50))
    wait_for(lambda: live.queued() == 50, "some wait in the buffer alone")
    lose_the_buffer(live)
    live.ledger.renamed("p/renamed.jsonl", "p/new name.jsonl")
    live.ledger.renamed("p/moved.jsonl", "elsewhere/deep/moved.jsonl")
    live.ledger.keys["p/renamed.jsonl"] = key("p/renamed.jsonl", "1")
    live.ledger.append("p/renamed.jsonl", *lines(6000, 20))
    live.ledger.append("p/new name.jsonl", *lines(7000, 20))
    gone = (live.root / "p/left.jsonl").read_bytes()
    (live.root / "p/left.jsonl").unlink()
    result.rename(result.with_name("two.txt"))

    live.start()
    live.wait_delivered()
    wait_for(lambda: len(keys(live)) == 5, "the deletion is delivered")
    assert keys(live) == {
        "p/new name.jsonl": key("p/renamed.jsonl"),
        "elsewhere/deep/moved.jsonl": key("p/moved.jsonl"),
        "p/stays.jsonl": key("p/stays.jsonl"),
        "p/renamed.jsonl": key("p/renamed.jsonl", "1"),
        "p/s/tool-results/two.txt": key("p/s/tool-results/one.txt"),
    }
    # The ledger does not contain the chunk, which is not a line.
    deleted = live.database["conversations"].delete_many({"kind": "chunk"})
    assert deleted.deleted_count == 1, "it is no second file"
    live.assert_exact()
    assert live.counters()["duplicates"] == 3 * 200 + 1
    left = live.database["files"].find_one({"_id": key("p/left.jsonl")})
    assert left is not None
    assert (left["state"], left["off"]) == ("gone", len(gone))


def test_after_a_lost_buffer_and_renames_the_proof_holds_and_restore_works(
    live: Live, tmp_path: Path
) -> None:
    live.start()
    for number, name in enumerate(["p/a.jsonl", "p/b.jsonl", "p/c.jsonl"]):
        live.ledger.append(name, *lines(1000 * number, 50))
    live.wait_delivered()
    wait_for(lambda: len(keys(live)) == 3, "all files are delivered")
    lose_the_buffer(live)
    kept = (live.root / "p/c.jsonl").read_bytes()
    (live.root / "p/c.jsonl").unlink()
    # Two files change places.
    live.ledger.renamed("p/a.jsonl", "p/x.jsonl")
    live.ledger.renamed("p/b.jsonl", "p/a.jsonl")
    live.ledger.renamed("p/x.jsonl", "p/b.jsonl")
    live.start()
    live.assert_exact()
    wait_for(lambda: "p/c.jsonl" not in keys(live), "the deletion is known")
    live.run("verify", "--full")
    out = tmp_path / "restored"
    live.run("restore", "--host", "testhost", "--out", str(out))
    names = [p.relative_to(live.root) for p in live.root.rglob("*.jsonl")]
    same, _, _ = cmpfiles(live.root, out, names, shallow=False)
    assert len(same) == len(names) == 3
    assert (out / "p/c.jsonl").read_bytes() == kept


def test_a_start_that_is_killed_early_still_recognises_all_files(
    live: Live,
) -> None:
    live.start()
    for number in range(20):
        live.ledger.append(f"p/{number}.jsonl", *lines(1000 * number, 5))
    live.wait_delivered()
    wait_for(lambda: len(keys(live)) == 20, "all files are delivered")
    lose_the_buffer(live)
    for number in range(20):
        live.ledger.renamed(f"p/{number}.jsonl", f"q/{number}.jsonl")
    # Only the first files reach the new buffer.
    known = live.run("flusher", "checkpoints")
    folder = live.root.parent
    (folder / "known").write_text(known)
    first = subprocess.run(
        "tailer --once --resume known | head -20 | buffer append",
        shell=True,
        cwd=folder,
        env=live.environ,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert first.returncode == 0, first.stderr
    few = live.query("select count(*) from files")[0][0]
    assert 0 < few < 20
    live.start()
    live.assert_exact()
    assert all(keys(live)[f"q/{n}.jsonl"] == key(f"p/{n}.jsonl") for n in range(20))


def test_files_that_the_buffer_has_delivered_are_not_printed(
    live: Live,
) -> None:
    live.start()
    live.ledger.append("p/a.jsonl", *lines(0, 5))
    live.wait_delivered()
    wait_for(lambda: len(keys(live)) == 1, "the file is delivered")
    assert live.run("flusher", "checkpoints") == ""
    assert live.run("flusher", "checkpoints", "--host", "other") == ""
    lose_the_buffer(live)
    assert live.run("flusher", "checkpoints").count("\n") == 1


def test_ingestion_starts_without_mongodb(live: Live) -> None:
    live.environ["MONGO_URI"] = f"mongodb://127.0.0.1:{free_port()}"
    done = subprocess.run(
        ["flusher", "checkpoints", "--wait-seconds", "0.5"],
        env=live.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "MongoDB does not answer" in done.stderr
    pair = live.start_pair()
    live.ledger.append("p/a.jsonl", *lines(0, 5))
    wait_for(lambda: live.queued() == 5, "they are in the buffer")
    os.killpg(pair.pid, signal.SIGTERM)
    pair.wait(PATIENCE)
