"""The buffer is deleted or damaged, in use or not: 0 lost, 0 duplicated."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import PATIENCE, wait_for
from live import Live, lines

pytestmark = pytest.mark.fault


def delete(buffer: Path) -> None:
    for part in ("", "-wal", "-shm"):
        Path(f"{buffer}{part}").unlink(missing_ok=True)


def delete_one_file(buffer: Path) -> None:
    buffer.unlink()


def zero_the_header(buffer: Path) -> None:
    with buffer.open("r+b") as file:
        file.write(bytes(16384))


def cut_in_half(buffer: Path) -> None:
    os.truncate(buffer, buffer.stat().st_size // 2)


def overwrite_pages(buffer: Path) -> None:
    rng = random.Random(1)
    with buffer.open("r+b") as file:
        for page in range(1, buffer.stat().st_size // 16384, 3):
            file.seek(page * 16384)
            file.write(rng.randbytes(16384))


HARM = [delete, delete_one_file, zero_the_header, cut_in_half, overwrite_pages]
by_name = pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)


@by_name
def test_a_buffer_that_is_damaged_while_nothing_runs_is_recreated(
    live: Live, harm: Callable[[Path], None]
) -> None:
    live.start_pair()
    live.ledger.append("p/a.jsonl", *lines(0, 400))
    wait_for(lambda: live.queued() == 400, "they wait in the buffer")
    live.start_flusher(BATCH_SIZE="50", CCLAKE_FAULT="before_delete")
    assert live.flusher is not None
    assert live.flusher.wait(PATIENCE) == 137
    live.kill_pair()
    harm(live.buffer)
    live.ledger.append("p/a.jsonl", *lines(400, 10))
    live.supervise()
    live.assert_exact()


@by_name
def test_a_buffer_that_is_damaged_while_in_use_is_recreated(
    live: Live, harm: Callable[[Path], None]
) -> None:
    live.supervise()
    live.ledger.append("p/a.jsonl", *lines(0, 400))
    live.wait_delivered()
    harm(live.buffer)
    live.ledger.append("p/a.jsonl", *lines(400, 10))
    wait_for(lambda: live.health().get("status") == "ok", "all is well again")
    live.assert_exact()


def test_lines_of_deleted_logs_in_a_damaged_buffer_are_recovered(live: Live) -> None:
    live.start_pair()
    live.ledger.append("p/gone.jsonl", *lines(0, 100, width=3000))
    wait_for(lambda: live.queued() == 100, "they wait in the buffer")
    (live.root / "p" / "gone.jsonl").unlink()
    live.kill_pair()
    # Of the last page of the table only; all rows before it can be read.
    with live.buffer.open("r+b") as file:
        file.seek(2 * 16384 + 100)
        file.write(b"\xff" * 3000)
    live.supervise()
    wait_for(lambda: live.database.conversations.estimated_document_count() > 80)
    assert live.ledger.check(live.database).unexpected == set()
