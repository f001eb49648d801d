"""Write, rename, rewrite and delete logs while everything is killed at random.

    python tests/support/soak.py --seconds 60 --seed 1

The real tailer, buffer, flusher and mongod; writers append whole and torn lines to
many files. In the end every complete line that was on disk long enough to be read
must be in MongoDB: 0 lost, 0 duplicated, bytes equal. Exit status 0 or 1.
"""

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from harness import Mongod
from live import Live

FILES = 24
# Files are rewritten or deleted only once they rest and the buffer has all of them. So
# all their lines could be read.
RESTED_S = 2.0


class Writer:
    """Writes to the logs what the ledger notes."""

    def __init__(self, live: Live, rng: random.Random) -> None:
        self.live = live
        self.ledger = live.ledger
        self.rng = rng
        self.files: dict[str, float] = {}
        self.torn: dict[str, bytes] = {}
        self.count = 0
        self.done: Counter[str] = Counter()
        self.names = 0

    def line(self) -> bytes:
        """A new line, mostly short, sometimes very long."""
        self.count += 1
        size = int(self.rng.expovariate(1 / 900))
        if self.rng.random() < 0.002:
            size = 400_000
        record = {"type": "user", "uuid": f"u{self.count}", "text": "x" * size}
        return json.dumps(record, separators=(",", ":")).encode()

    def step(self) -> None:
        """Do one thing to one file."""
        if len(self.files) < FILES:
            self._append(self._new_name())
            return
        # Some of the files rest, until they are rewritten or deleted.
        path = self.rng.choice(list(self.files)[: FILES * 2 // 3])
        chance = self.rng.random()
        if chance < 0.93:
            self._append(path)
        elif chance < 0.96:
            self._tear(path)
        elif chance < 0.975:
            self._rename(path)
        elif chance < 0.985:
            self._replace_by_equal_copy(path)
        elif self._has_rested():
            self._rewrite_or_delete()

    def _new_name(self) -> str:
        self.names += 1
        return f"p{self.rng.randrange(4)}/{self.names}.jsonl"

    def _append(self, path: str) -> None:
        self._mend(path)
        lines = [self.line() for _ in range(self.rng.randrange(1, 40))]
        self.ledger.append(path, *lines)
        self.files[path] = time.monotonic()

    def _tear(self, path: str) -> None:
        """Write the first part of a line; the rest comes with the next append."""
        self._mend(path)
        whole = self.line()
        cut = self.rng.randrange(1, len(whole))
        with (self.ledger.root / path).open("ab") as file:
            self.ledger.note(path, file.tell(), whole)
            file.write(whole[:cut])
        self.torn[path] = whole[cut:] + b"\n"
        self.files[path] = time.monotonic()
        self.done["torn"] += 1

    def _mend(self, path: str) -> None:
        rest = self.torn.pop(path, b"")
        if rest:
            with (self.ledger.root / path).open("ab") as file:
                file.write(rest)

    def _rename(self, path: str) -> None:
        if not self._is_known(path):
            return
        self._mend(path)
        new = self._new_name()
        self.ledger.renamed(path, new)
        del self.files[path]
        self.files[new] = time.monotonic()
        self.done["renamed"] += 1

    def _replace_by_equal_copy(self, path: str) -> None:
        self._mend(path)
        file = self.ledger.root / path
        copy = file.with_suffix(".copy")
        shutil.copy(file, copy)
        copy.rename(file)
        self.files[path] = time.monotonic()
        self.done["replaced"] += 1

    def _has_rested(self) -> bool:
        return time.monotonic() - min(self.files.values()) > RESTED_S

    def _rewrite_or_delete(self) -> None:
        """Take the file that rested longest, once all of it has been delivered."""
        path = min(self.files, key=self.files.__getitem__)
        self._mend(path)
        if not self._is_read(path):
            self.files[path] = time.monotonic()
            return
        file = self.ledger.root / path
        if self.rng.random() < 0.5:
            file.unlink()
            del self.files[path]
            self.done["deleted"] += 1
            return
        lines = [self.line() for _ in range(self.rng.randrange(1, 60))]
        self.ledger.note(path, 0, *lines)
        file.write_bytes(b"".join(line + b"\n" for line in lines))
        self.files[path] = time.monotonic()
        self.done["rewritten"] += 1

    def _is_known(self, path: str) -> bool:
        """Whether a checkpoint knows this very file.

        One that is renamed before its first sight gets its key from its new name,
        and a copy that is renamed at once is a new file: both rightly.
        """
        key = self.ledger.keys[path]
        rows = self.live.query(f"select checkpoint from files where file = '{key}'")
        status = (self.ledger.root / path).stat()
        return bool(rows) and json.loads(rows[0][0])["ino"] == status.st_ino

    def _is_read(self, path: str) -> bool:
        size = (self.ledger.root / path).stat().st_size
        key = self.ledger.keys[path]
        rows = self.live.query(f"select off from files where file = '{key}'")
        return bool(rows) and rows[0][0] == size


def kill_something(live: Live, server: Mongod, rng: random.Random) -> str:
    """Kill -9 one of the processes; the supervisor starts it again."""
    victim = rng.choice(["tailer", "buffer", "flusher", "flusher", "mongod"])
    if victim == "mongod":
        server.kill()
        time.sleep(rng.random())
        server.start()
    elif victim == "tailer":
        try:
            live.tailer().kill()
        except (psutil.Error, AssertionError):
            return "nothing"
    else:
        process = live.pair if victim == "buffer" else live.flusher
        assert process is not None
        process.kill()
    return victim


def soak(seconds: float, kills_wanted: int, seed: int, folder: Path) -> int:
    """Run it; prints the counts. Returns the exit status."""
    rng = random.Random(seed)
    kills: Counter[str] = Counter()
    server = Mongod(folder / "mongod").start()
    try:
        with Live(folder, f"{server.uri}/?socketTimeoutMS=5000") as live:
            live.supervise()
            writer = Writer(live, rng)
            end = time.monotonic() + seconds
            # Kills follow what was written: a slow machine does the same, later.
            next_kill = 300.0
            for step in itertools.count():
                if kills.total() >= kills_wanted and time.monotonic() >= end:
                    break
                writer.step()
                time.sleep(rng.expovariate(200))
                if step > next_kill:
                    kills[kill_something(live, server, rng)] += 1
                    next_kill = step + rng.expovariate(1 / 225)
            for path in list(writer.torn):
                writer._mend(path)
            try:
                live.wait_delivered()
            except AssertionError as error:
                print(f"soak: {error}", file=sys.stderr)
            verdict = live.ledger.check(live.database, live.buffer)
            print(f"seed {seed}: {writer.count} lines, {dict(writer.done)}")
            print(f"kills: {dict(kills)}; buffer: {dict(live.counters())}")
            print(verdict, f", conservation error {live.conservation_error()}", sep="")
            bad = verdict.lost or verdict.unexpected or verdict.damaged
            return 1 if bad or live.conservation_error() else 0
    finally:
        server.kill()


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="at least so long")
    parser.add_argument("--kills", type=int, default=0, help="at least so many kills")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        return soak(options.seconds, options.kills, options.seed, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
