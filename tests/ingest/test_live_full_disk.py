"""Another program fills the disk: nothing is lost, and ingestion recovers."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Mongod, wait_for
from live import Live, lines

pytestmark = pytest.mark.fault


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB for the data directory."""
    place = tmp_path / "cclake"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mongod]:
    """Return a mongod that is not started yet."""
    server = Mongod(tmp_path / "mongod")
    yield server
    server.kill()


@pytest.fixture
def live(tmp_path: Path, small_disk: Path, server: Mongod) -> Iterator[Live]:
    with Live(tmp_path, server.uri, CCLAKE_MIN_FREE_MB="1") as live:
        yield live


def fill(place: Path) -> Path:
    """Use all free bytes."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            while True:
                try:
                    if file.write(bytes(size)) < size:
                        break
                except OSError:
                    break
    return filler


def test_on_a_full_disk_the_queue_is_delivered_and_reading_resumes(
    live: Live, server: Mongod, small_disk: Path
) -> None:
    live.environ["CCLAKE_MIN_FREE_MB"] = "0"
    live.start_pair()
    live.ledger.append("p/a.jsonl", *lines(0, 300, width=20_000))
    wait_for(lambda: live.queued() == 300, "queued")
    wait_for(lambda: (small_disk / "buffer.db.ballast").exists(), "ballast aboard")
    filler = fill(small_disk)
    live.ledger.append("p/a.jsonl", *lines(300, 1500, width=20_000))
    wait_for(lambda: "waiting to commit" in live.log.read_text(), "it waits")
    server.start()
    live.start_flusher()
    wait_for(lambda: live.ledger.missing(live.database) <= 1500, "it delivers")
    assert live.pair is not None
    assert live.pair.poll() is None, "a full disk is no reason to exit"
    filler.unlink()
    live.assert_exact()
    wait_for(lambda: (small_disk / "buffer.db.ballast").exists(), "ballast is back")


def test_reading_pauses_before_the_disk_is_full(
    live: Live, server: Mongod, small_disk: Path
) -> None:
    live.environ["CCLAKE_MIN_FREE_MB"] = "12"
    live.start_pair()
    live.ledger.append("p/a.jsonl", *lines(0, 2000, width=20_000))
    paused = "select value from meta where name = 'paused'"
    wait_for(lambda: live.query(paused) == [("free",)], "it pauses")
    assert live.queued() < 2000
    assert os.statvfs(small_disk).f_bavail > 0, "room is left"
    server.start()
    live.start_flusher()
    live.assert_exact()
