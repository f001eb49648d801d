import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cclake_common.stop import Stop
from cclake_pipeline import watch as watch_module
from cclake_pipeline import watermarks
from cclake_pipeline.watch import Pace, Watch
from cclake_pipeline.watermarks import Unreachable, Watermarks
from harness import PATIENCE, Mongod, connect, free_port, wait_for

SOON = Pace(interval=60, quiet=0.05, poll=0.02)


class Loop:
    """A watch in a thread, whose runs are only noted down."""

    def __init__(
        self, uri: str, database: str, pace: Pace = SOON, done: int | None = None
    ) -> None:
        self.marks: list[int] = []
        self.said: list[str] = []
        self.prepared = 0
        self.outcomes: list[bool] = []
        self.during: dict[int, Callable[[], int]] = {}  # a run from this mark
        self.stop = Stop()
        self._watermarks = Watermarks(uri, database)
        self._watch = Watch(
            self._watermarks,
            self._run,
            self._prepare,
            pace,
            self.stop,
            self.said.append,
        )
        self._thread = threading.Thread(target=self._watch.forever, args=(done,))
        self._thread.start()

    def _run(self, mark: int) -> int | None:
        outcome = self.outcomes.pop(0) if self.outcomes else True
        reached = self.during[mark]() if mark in self.during else mark
        self.marks.append(mark)
        return reached if outcome else None

    def _prepare(self) -> None:
        self.prepared += 1

    def wait_for_runs(self, count: int) -> None:
        wait_for(lambda: len(self.marks) >= count, f"{count} runs")

    def end(self) -> None:
        self.stop._on_signal(15, None)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._watermarks.__exit__(None, None, None)


@pytest.fixture
def loops() -> Iterator[Callable[..., Loop]]:
    made: list[Loop] = []

    def make(
        uri: str, database: str, pace: Pace = SOON, done: int | None = None
    ) -> Loop:
        made.append(Loop(uri, database, pace, done))
        return made[-1]

    yield make
    for loop in made:
        loop.end()


def acknowledge(mongod: Mongod, database: str, buffer: str, seq: int) -> None:
    with connect(mongod.uri) as client:
        client[database].watermarks.update_one(
            {"_id": buffer}, {"$set": {"acked_seq": seq}}, upsert=True
        )


def test_it_runs_at_once_and_then_only_for_news(
    mongod: Mongod, mongo_db: str, loops: Callable[..., Loop]
) -> None:
    loop = loops(mongod.uri, mongo_db)
    loop.wait_for_runs(1)
    time.sleep(0.3)
    assert loop.marks == [0]
    acknowledge(mongod, mongo_db, "a", 5)
    loop.wait_for_runs(2)
    acknowledge(mongod, mongo_db, "b", 2)
    loop.wait_for_runs(3)
    assert loop.marks == [0, 5, 7]


def test_a_restart_waits_for_news_where_all_is_done(
    mongod: Mongod, mongo_db: str, loops: Callable[..., Loop]
) -> None:
    acknowledge(mongod, mongo_db, "a", 5)
    loop = loops(mongod.uri, mongo_db, SOON, 5)
    behind = loops(mongod.uri, mongo_db, SOON, 4)
    behind.wait_for_runs(1)
    assert loop.marks == []
    acknowledge(mongod, mongo_db, "a", 6)
    loop.wait_for_runs(1)
    assert loop.marks == [6]


def test_what_a_run_has_taken_as_well_is_no_news(
    mongod: Mongod, mongo_db: str, loops: Callable[..., Loop]
) -> None:
    def more_arrives() -> int:
        acknowledge(mongod, mongo_db, "a", 8)
        return 8

    loop = loops(mongod.uri, mongo_db)
    loop.during[5] = more_arrives
    loop.wait_for_runs(1)
    acknowledge(mongod, mongo_db, "a", 5)
    loop.wait_for_runs(2)
    time.sleep(0.3)
    acknowledge(mongod, mongo_db, "b", 1)
    loop.wait_for_runs(3)
    assert loop.marks == [0, 5, 9]


def test_news_that_keeps_coming_waits_no_longer_than_the_interval(
    mongod: Mongod, mongo_db: str, loops: Callable[..., Loop]
) -> None:
    loop = loops(mongod.uri, mongo_db, Pace(interval=0.5, quiet=30, poll=0.02))
    loop.wait_for_runs(1)
    seqs = itertools.count(1)

    def runs_though_more_comes() -> bool:
        acknowledge(mongod, mongo_db, "a", next(seqs))
        return len(loop.marks) > 1

    wait_for(runs_though_more_comes, "a run while news comes")


def test_news_starts_what_a_run_needs_before_the_run(
    mongod: Mongod, mongo_db: str, loops: Callable[..., Loop]
) -> None:
    loop = loops(mongod.uri, mongo_db, Pace(interval=60, quiet=600, poll=0.02))
    loop.wait_for_runs(1)
    assert loop.prepared == 0
    acknowledge(mongod, mongo_db, "a", 1)
    wait_for(lambda: loop.prepared, "the preparation")
    assert loop.marks == [0]


def test_a_backlog_waits_for_a_longer_calm(
    mongod: Mongod, mongo_db: str, loops: Callable[..., Loop]
) -> None:
    pace = Pace(interval=60, quiet=0.05, poll=0.02, many=10, calm=600)
    loop = loops(mongod.uri, mongo_db, pace)
    loop.wait_for_runs(1)
    acknowledge(mongod, mongo_db, "a", 9)
    loop.wait_for_runs(2)
    acknowledge(mongod, mongo_db, "a", 19)
    wait_for(lambda: loop.prepared == 2, "the preparation")
    assert loop.marks == [0, 9]


def test_runs_beyond_the_burst_are_followed_by_a_pause(
    mongod: Mongod, mongo_db: str, loops: Callable[..., Loop]
) -> None:
    loop = loops(mongod.uri, mongo_db, replace(SOON, rest=1_000_000, burst=0))
    loop.wait_for_runs(1)
    acknowledge(mongod, mongo_db, "a", 1)
    wait_for(lambda: loop.prepared, "the preparation")
    assert loop.marks == [0]


def test_runs_within_the_burst_follow_each_other(
    mongod: Mongod, mongo_db: str, loops: Callable[..., Loop]
) -> None:
    loop = loops(mongod.uri, mongo_db, replace(SOON, rest=1_000_000, burst=60))
    loop.wait_for_runs(1)
    acknowledge(mongod, mongo_db, "a", 1)
    loop.wait_for_runs(2)


def test_after_a_pause_runs_are_allowed_again(
    mongod: Mongod, mongo_db: str, loops: Callable[..., Loop]
) -> None:
    loop = loops(mongod.uri, mongo_db, replace(SOON, rest=0.001, burst=0))
    loop.wait_for_runs(1)
    acknowledge(mongod, mongo_db, "a", 1)
    loop.wait_for_runs(2)


def test_an_idle_watch_asks_seldom(
    mongod: Mongod,
    mongo_db: str,
    loops: Callable[..., Loop],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    pause = Watch._pause

    def noted(watch: Watch, seconds: float) -> None:
        pauses.append(seconds)
        pause(watch, min(seconds, 0.05))

    monkeypatch.setattr(Watch, "_pause", noted)
    loop = loops(mongod.uri, mongo_db, replace(SOON, idle_poll=7.0, idle_after=0.2))
    wait_for(lambda: 7.0 in pauses, "a long pause")
    acknowledge(mongod, mongo_db, "a", 1)
    loop.wait_for_runs(2)
    assert pauses[0] == SOON.poll


def test_a_failed_run_is_tried_again_without_news(
    mongod: Mongod,
    mongo_db: str,
    loops: Callable[..., Loop],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch_module, "FIRST_BACKOFF_S", 0.05)
    loop = loops(mongod.uri, mongo_db)
    loop.wait_for_runs(1)
    loop.outcomes = [False, False, True]
    acknowledge(mongod, mongo_db, "a", 1)
    loop.wait_for_runs(4)
    time.sleep(0.3)
    assert loop.marks == [0, 1, 1, 1]
    assert sum("trying again" in line for line in loop.said) == 2


def test_it_waits_for_a_mongod_that_is_away(
    tmp_path: Path, loops: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watermarks, "PATIENCE_MS", 100)
    port = free_port()
    loop = loops(f"mongodb://127.0.0.1:{port}", "x")
    wait_for(lambda: loop.said, "the message")
    assert loop.marks == []
    server = Mongod(tmp_path, port=port).start()
    try:
        loop.wait_for_runs(1)
    finally:
        server.kill()
    assert len([line for line in loop.said if "is unavailable" in line]) == 1


def test_an_absent_mongod_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watermarks, "PATIENCE_MS", 100)
    address = f"mongodb://me:secret@127.0.0.1:{free_port()}"
    with Watermarks(address, "x") as marks, pytest.raises(Unreachable) as away:
        marks.total()
    assert "secret" not in str(away.value)
