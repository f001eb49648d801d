"""Very long lines: no process needs more than 200 MB for one of 50 MB."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from harness import Mongod, wait_for
from live import Live, lines

LONG = 50_000_000
# The tailer holds such a line once, the others more often.
MOST = {"tailer": 110 << 20, "buffer": 200 << 20, "flusher": 200 << 20}
IDLE = 66 << 20
# A reader that held the backlog would need 60 MB more.
MOST_READER = 56 << 20


@pytest.fixture
def live(tmp_path: Path, mongod: Mongod, mongo_db: str) -> Iterator[Live]:
    with Live(tmp_path, mongod.uri, MONGO_DB=mongo_db) as live:
        yield live


def peak(process: psutil.Process) -> int:
    """Return the maximum memory of a process, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_line_of_fifty_megabytes_needs_little_memory(live: Live) -> None:
    live.start()
    body = b'{"type":"user","text":"' + b"x" * LONG + b'"}'
    live.ledger.append("p/a.jsonl", *lines(0, 5), body, *lines(5, 5))
    live.wait_delivered()
    assert live.pair is not None
    assert live.flusher is not None
    peaks = {
        "tailer": peak(live.tailer()),
        "buffer": peak(psutil.Process(live.pair.pid)),
        "flusher": peak(psutil.Process(live.flusher.pid)),
    }
    assert {name: peak for name, peak in peaks.items() if peak >= MOST[name]} == {}
    wait_for(lambda: live.queued() == 0)
    live.ledger.assert_exact(live.database)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and glibc")
def test_a_backlog_takes_memory_of_the_flusher_alone_which_returns_it(
    live: Live,
) -> None:
    live.start_pair()
    for number in range(8):
        for n in range(1000 * number, 1000 * (number + 1)):
            (body,) = lines(n, 1, width=(n * 7919 % 97) ** 3 // 30)
            live.ledger.append(f"p/{number}.jsonl", body)
    wait_for(lambda: live.queued() == 8000, "they wait in the buffer")
    assert live.pair is not None
    for reader in (psutil.Process(live.pair.pid), live.tailer()):
        assert peak(reader) < MOST_READER
    live.start_flusher()
    live.wait_delivered()
    assert live.flusher is not None
    flusher = psutil.Process(live.flusher.pid)
    wait_for(lambda: flusher.memory_info().rss < IDLE, "memory is given back")
    assert peak(flusher) > IDLE + (5 << 20), "there was something to give back"
