"""Changes of files while the tailer runs, and while it does not."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import wait_for
from tailing import Tailer, holds


class World:
    """A folder of logs, the ledger of written lines, and a tailer."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "claude" / "projects"
        self.home = self.root / "-home-me-x"
        self.home.mkdir(parents=True)
        self.tailer = Tailer(self.root, folder, "--rest-seconds", "0.5")
        self.written: list[bytes] = []
        self.path = self.home / "one.jsonl"

    def lines(self, count: int, size: int = 40) -> bytes:
        """Return new lines, each different from all before."""
        fresh: list[bytes] = []
        for _ in range(count):
            number = len(self.written) + len(fresh)
            fresh.append(json.dumps({"n": number, "pad": "ü" * size}).encode())
        self.written += fresh
        return b"".join(line + b"\n" for line in fresh)

    def append(self, count: int = 5, path: Path | None = None) -> None:
        with (path or self.path).open("ab") as file:
            file.write(self.lines(count))

    def settled(self) -> None:
        """Wait until everything that was written has arrived."""
        self.tailer.wait_lines(set(self.written))

    def check(self) -> None:
        """Check that nothing is lost or repeated, and no file has a gap."""
        self.settled()
        self.tailer.stop()
        payloads = self.tailer.kept.payloads()
        assert set(payloads) == set(self.written)
        assert [line for line, count in payloads.items() if count > 1] == []
        self.tailer.kept.check_tiles()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(world: World, change: Callable[[], None], down: bool) -> None:
    """Change something while the tailer runs, or while it is killed."""
    world.append()
    with world.tailer:
        world.settled()
        if down:
            world.tailer.kill()
        change()
        if down:
            world.tailer.start()
        world.check()


updown = pytest.mark.parametrize("down", [False, True], ids=["running", "down"])


@updown
def test_appended_lines_are_read_once(world: World, down: bool) -> None:
    run(world, world.append, down)


@updown
def test_a_renamed_file_continues_at_its_offset(world: World, down: bool) -> None:
    def change() -> None:
        world.path = world.path.rename(world.home / "two.jsonl")
        world.append()

    run(world, change, down)
    state = world.tailer.kept.state("-home-me-x/two.jsonl")
    assert state["gen"] == 0


@updown
def test_a_renamed_file_and_a_new_one_in_its_place_are_two(
    world: World, down: bool
) -> None:
    def change() -> None:
        world.path.rename(world.home / "two.jsonl")
        world.append()

    run(world, change, down)
    one = world.tailer.kept.state("-home-me-x/one.jsonl")
    two = world.tailer.kept.state("-home-me-x/two.jsonl")
    assert one["file"] != two["file"]
    assert one["gen"] == two["gen"] == 0


@updown
def test_two_files_that_swap_their_names_keep_their_keys(
    world: World, down: bool
) -> None:
    other = world.home / "two.jsonl"
    world.append(3, other)
    keys: dict[str, str] = {}

    def change() -> None:
        for name in ("one", "two"):
            state = world.tailer.kept.state(f"-home-me-x/{name}.jsonl")
            keys[name] = state["file"]
        middle = world.home / "middle"
        world.path.rename(middle)
        other.rename(world.path)
        middle.rename(other)
        world.append(2)
        world.append(2, other)

    run(world, change, down)
    assert world.tailer.kept.state("-home-me-x/one.jsonl")["file"] == keys["two"]
    assert world.tailer.kept.state("-home-me-x/two.jsonl")["file"] == keys["one"]


@updown
def test_a_file_that_moves_to_another_folder_continues(
    world: World, down: bool
) -> None:
    def change() -> None:
        folder = world.root / "other" / "deep"
        folder.mkdir(parents=True)
        world.path = world.path.rename(folder / "one.jsonl")
        world.append()

    run(world, change, down)


@updown
def test_files_of_a_renamed_folder_continue(world: World, down: bool) -> None:
    below = world.home / "s" / "subagents"
    below.mkdir(parents=True)
    world.append(3, below / "agent-1.jsonl")

    def change() -> None:
        world.home = world.home.rename(world.root / "-home-me-y")
        world.path = world.home / "one.jsonl"
        world.append()
        world.append(3, world.home / "s" / "subagents" / "agent-1.jsonl")

    run(world, change, down)
    states = [json.loads(text) for text in world.tailer.kept.checkpoints.values()]
    assert {state["state"] for state in states} == {"live"}
    assert all(state["path"].startswith("-home-me-y/") for state in states)


@updown
def test_a_truncated_file_begins_a_generation(world: World, down: bool) -> None:
    def change() -> None:
        world.path.write_bytes(world.lines(2))

    run(world, change, down)
    assert world.tailer.kept.state("-home-me-x/one.jsonl")["gen"] == 1


@updown
def test_a_file_rewritten_longer_begins_a_generation(world: World, down: bool) -> None:
    def change() -> None:
        data = world.lines(30)
        with world.path.open("r+b") as file:
            file.write(data)

    run(world, change, down)
    assert world.tailer.kept.state("-home-me-x/one.jsonl")["gen"] == 1


@updown
def test_a_file_truncated_to_nothing_is_read_from_its_start(
    world: World, down: bool
) -> None:
    def change() -> None:
        os.truncate(world.path, 0)
        time.sleep(0.2)
        world.append()

    run(world, change, down)
    assert world.tailer.kept.state("-home-me-x/one.jsonl")["gen"] == 1


@updown
def test_after_a_last_line_is_removed_the_others_are_not_repeated(
    world: World, down: bool
) -> None:
    def change() -> None:
        data = world.path.read_bytes()
        os.truncate(world.path, data[:-1].rindex(b"\n") + 1)
        time.sleep(0.1)
        world.append()

    run(world, change, down)
    state = world.tailer.kept.state("-home-me-x/one.jsonl")
    whole = world.tailer.kept.content(state["file"], state["gen"])
    assert whole == world.path.read_bytes()


@updown
def test_a_file_deleted_and_created_again_begins_a_generation(
    world: World, down: bool
) -> None:
    def change() -> None:
        world.path.unlink()
        world.append(9)

    run(world, change, down)
    assert world.tailer.kept.state("-home-me-x/one.jsonl")["gen"] == 1


@updown
def test_an_equal_copy_renamed_over_a_file_continues(world: World, down: bool) -> None:
    def change() -> None:
        copy = world.home / "one.jsonl.tmp"
        shutil.copyfile(world.path, copy)
        copy.rename(world.path)
        time.sleep(0.1)
        world.append()

    run(world, change, down)
    assert world.tailer.kept.state("-home-me-x/one.jsonl")["gen"] == 0


@updown
def test_a_line_in_two_pieces_is_one_line(world: World, down: bool) -> None:
    line = world.lines(1)
    with world.path.open("ab") as file:
        file.write(line[:20])

    def change() -> None:
        with world.path.open("ab") as file:
            file.write(line[20:])

    world.written.insert(0, world.written.pop())
    with world.tailer:
        time.sleep(0.7)  # longer than a file must rest
        assert world.tailer.kept.lines == []
        if down:
            world.tailer.kill()
        change()
        if down:
            world.tailer.start()
        world.check()


def test_a_line_torn_into_pieces_over_seconds_is_one_line(world: World) -> None:
    line = world.lines(1, size=400)
    with world.tailer, world.path.open("ab", buffering=0) as file:
        for at in range(0, len(line), 50):
            file.write(line[at : at + 50])
            time.sleep(0.08)
        world.check()


def test_files_with_equal_first_lines_are_both_complete(world: World) -> None:
    head = world.lines(1, size=1500)
    world.written.clear()
    for name in "ab":
        (world.home / f"{name}.jsonl").write_bytes(head)
    with world.tailer:
        for name in "ab":
            world.append(4, world.home / f"{name}.jsonl")
        world.settled()
        world.tailer.stop()
    counts = world.tailer.kept.payloads()
    assert counts.pop(head[:-1]) == 2
    assert set(counts.values()) == {1}
    world.tailer.kept.check_tiles()


def test_files_with_equal_content_are_both_complete(world: World) -> None:
    data = world.lines(7)
    for name in "ab":
        (world.home / f"{name}.jsonl").write_bytes(data)
    with world.tailer:
        world.settled()
        (world.home / "c.jsonl").write_bytes(data)
        wait_for(lambda: len(world.tailer.kept.lines) == 21, "third file")
    assert set(world.tailer.kept.payloads().values()) == {3}


def test_files_in_new_folders_are_all_read(world: World) -> None:
    with world.tailer:
        for number in range(100):
            folder = world.root / f"p{number}" / "s" / "subagents"
            folder.mkdir(parents=True)
            world.append(1, folder / "agent.jsonl")
            world.append(1, world.root / f"p{number}" / "s.jsonl")
        world.check()
    assert world.tailer.counters()["rescan_found_total"] == 0


def test_short_lived_files_are_read_if_they_can_be_opened(world: World) -> None:
    with world.tailer:
        for number in range(20):
            path = world.home / f"{number}.jsonl"
            world.append(2, path)
            new = set(world.written[-2:])

            def noticed(path: Path = path, new: set[bytes] = new) -> bool:
                return new <= world.tailer.kept.seen or holds(world.tailer.pid, path)

            wait_for(noticed, "it is opened")
            path.unlink()
        world.check()
    states = [json.loads(text) for text in world.tailer.kept.checkpoints.values()]
    assert {state["state"] for state in states} == {"gone"}


def test_a_deleted_file_that_comes_back_continues(world: World) -> None:
    world.append()
    aside = world.root.parent / "aside"
    with world.tailer:
        world.settled()
        world.path.rename(aside)
        wait_for(
            lambda: any(b'"gone"' in x for x in world.tailer.kept.checkpoints.values()),
            "file is gone",
        )
        aside.rename(world.path)
        world.append()
        world.check()
    assert world.tailer.kept.state("-home-me-x/one.jsonl")["gen"] == 0


@pytest.mark.parametrize("megabytes", [2, 20])
def test_a_long_line_written_in_pieces_is_read(world: World, megabytes: int) -> None:
    line = world.lines(1, size=megabytes << 19)
    with world.tailer, world.path.open("ab", buffering=0) as file:
        for at in range(0, len(line), 300_000):
            file.write(line[at : at + 300_000])
        world.append(2)
        world.check()
        read = world.tailer.counters()["bytes_pread_total"]
    # Looking for the newline reads each byte once, sending the line once more.
    assert read < 3 * len(line) + 100_000
