"""Writers that write, tear, move, swap, copy and rewrite; a tailer that is killed."""

import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import wait_for
from tailing import Tailer

STEPS = 250


class Writer(threading.Thread):
    """Change files in random ways, and record what was written."""

    def __init__(self, home: Path, tailer: Tailer, seed: str) -> None:
        super().__init__()
        self.home = home
        self.tailer = tailer
        self.chance = random.Random(seed)
        self.name = home.name
        self.files = [home / "0.jsonl"]
        self.copies = self.name == "w0"
        self.written: list[bytes] = []
        self.done: Counter[str] = Counter()
        self.steps = 0
        home.mkdir()

    def run(self) -> None:
        # A copy at a place that nobody saw yet is a new file, so who copies stays.
        moves = [self.rename, self.rename_and_create, self.swap, self.move_folder]
        actions: list[Callable[[Path], None]] = [*[self.append] * 20, self.rewrite]
        actions += [self.copy_over] * 3 if self.copies else moves
        for _ in range(STEPS):
            action = self.chance.choice(actions)
            action(self.chance.choice(self.files))
            self.done[action.__name__] += 1
            self.steps += 1
            time.sleep(self.chance.random() * 0.01)

    def _lines(self) -> bytes:
        fresh: list[bytes] = []
        for _ in range(self.chance.randint(1, 5)):
            number = len(self.written) + len(fresh)
            pad = "y" * self.chance.choice([0, 10, 300, 5000, 100_000])
            fresh.append(f'{{"w":"{self.name}","n":{number},"p":"{pad}"}}'.encode())
        self.written += fresh
        return b"".join(line + b"\n" for line in fresh)

    def append(self, path: Path) -> None:
        data = self._lines()
        with path.open("ab", buffering=0) as file:
            while data:
                cut = self.chance.choice([len(data), self.chance.randint(1, len(data))])
                file.write(data[:cut])
                data = data[cut:]

    def _fresh(self) -> Path:
        self.done["names"] += 1
        name = f"{self.done['names']}.jsonl"
        folder = self.chance.choice([self.home, self.home / "a", self.home / "a" / "b"])
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def rename(self, path: Path) -> None:
        if path.exists():
            new = self._fresh()
            path.rename(new)
            self.files[self.files.index(path)] = new

    def rename_and_create(self, path: Path) -> None:
        before = list(self.files)
        self.rename(path)
        if self.files != before and len(self.files) < 6:
            self.files.append(path)
            self.append(path)

    def swap(self, path: Path) -> None:
        other = self.chance.choice(self.files)
        if path.exists() and other.exists() and path != other:
            aside = self.home / "aside"
            path.rename(aside)
            other.rename(path)
            aside.rename(other)

    def copy_over(self, path: Path) -> None:
        if path.exists():
            copy = self.home / "copy.tmp"
            shutil.copyfile(path, copy)
            copy.rename(path)

    def move_folder(self, _path: Path) -> None:
        new = self.home.with_name(f"{self.name}-{self.done['move_folder']}")
        self.files = [new / path.relative_to(self.home) for path in self.files]
        self.home = self.home.rename(new)

    def rewrite(self, path: Path) -> None:
        """Remove lines that were read; only then is the expected result known."""
        seen = self.tailer.kept.seen
        wait_for(lambda: seen.issuperset(self.written), "all lines are read")
        path.write_bytes(self._lines())


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_of_changes_and_kills_loses_and_repeats_nothing(
    tmp_path: Path, seed: int
) -> None:
    root = tmp_path / "projects"
    root.mkdir()
    chance = random.Random(seed)
    with Tailer(root, tmp_path, "--rest-seconds", "30") as tailer:
        writers = [Writer(root / f"w{n}", tailer, f"{seed}-{n}") for n in range(4)]
        for writer in writers:
            writer.start()
        kills = 0

        def work() -> bool:
            ended = not any(writer.is_alive() for writer in writers)
            return ended or sum(writer.steps for writer in writers) >= due

        while any(writer.is_alive() for writer in writers):
            due = sum(writer.steps for writer in writers) + chance.randint(1, 150)
            wait_for(work, "the writers work")
            if chance.random() < 0.5:
                tailer.kill()
                tailer.start(ready=False)
                kills += 1
            else:
                tailer.signal(signal.SIGSTOP)
                time.sleep(chance.random() * 0.3)
                tailer.signal(signal.SIGCONT)
        written = {line for writer in writers for line in writer.written}
        wait_for(lambda: written <= tailer.kept.seen, "all lines are read")
        tailer.stop()
    counts = tailer.kept.payloads()
    again = {line[:80]: count for line, count in counts.items() if count > 1}
    done = sum((writer.done for writer in writers), Counter())
    assert again == {}, (seed, kills, done)
    assert set(counts) == written
    assert tailer.counters()["rescan_found_total"] == 0
    tailer.kept.check_tiles()
    assert kills > 0 and min(done.values()) > 0
