"""Any order of file actions, kills and outages; the real tools against the ledger.

`CCLAKE_MACHINE_EXAMPLES=200 pytest tests/ingest/test_live_machine.py` looks for
orders that nobody has thought of; without it the same few are run each time.
"""

import os
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from harness import PATIENCE, Mongod
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from live_world import PLACES, World

EXAMPLES = os.environ.get("CCLAKE_MACHINE_EXAMPLES")
place = st.sampled_from(PLACES)
# One of the existing files.
which = st.integers(0, len(PLACES) - 1)
# The largest is longer than what a checkpoint remembers of a file's end.
size = st.sampled_from([0, 40, 900, 5_000, 70_000])
count = st.integers(1, 30)


class LiveMachine(RuleBasedStateMachine):
    """Every complete line that could be read is in MongoDB once, whatever happens.

    A file is rewritten or deleted only when the buffer has all of it, and renamed
    only when the buffer knows it: else no tool could tell whose lines they were.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    # --- what is done to files ---

    @initialize(first=place, second=place)
    def there_are_logs(self, first: str, second: str) -> None:
        self.world.append(first, 5, 900)
        self.world.append(second, 5, 40)

    @rule(name=place, count=count, size=size)
    def append(self, name: str, count: int, size: int) -> None:
        self.world.append(name, count, size)

    @rule(which=which, size=size, cut=st.integers(1, 40))
    def tear(self, which: int, size: int, cut: int) -> None:
        """Write the beginning of a line; a later step may complete it."""
        log = self.world.log(self.world.name(which))
        if not log.rest:
            line = self.world.new_lines(1, size)[:-1]
            cut = min(cut, len(line) - 1)
            log.rest = line[cut:]
            self.world.write(log, line[:cut])
            self.world.count("torn")

    @rule(which=which, percent=st.integers(0, 99), count=count, size=size)
    def truncate(self, which: int, percent: int, count: int, size: int) -> None:
        """Truncate anywhere, even within a line, and continue writing."""
        if (log := self.world.read(self.world.name(which))) is not None:
            os.truncate(log.path, log.path.stat().st_size * percent // 100)
            log.rewritten()
            self.world.write(log, self.world.new_lines(count, size))
            self.world.count("truncated")

    @rule(which=which, count=count, size=size)
    def rewrite_longer(self, which: int, count: int, size: int) -> None:
        if (log := self.world.read(self.world.name(which))) is not None:
            longer = self.world.new_lines(count, size)
            while len(longer) <= log.path.stat().st_size:
                longer += self.world.new_lines(1, 20_000)
            log.path.write_bytes(b"")
            log.rewritten()
            self.world.write(log, longer)
            self.world.count("rewritten")

    @rule(which=which, where=which)
    def rename(self, which: int, where: int) -> None:
        name = self.world.name(which)
        free = [to for to in PLACES if to not in self.world.files]
        if name in self.world.files and free:
            self.world.rename(name, free[where % len(free)])
            self.world.count("renamed")

    @rule(which=which)
    def replace_by_equal_copy(self, which: int) -> None:
        name = self.world.name(which)
        if name in self.world.files:
            self.world.known(name)
            path = self.world.files[name].path
            copy = path.with_suffix(".copy")
            shutil.copyfile(path, copy)
            copy.rename(path)
            self.world.count("copied")

    @rule(which=which)
    def unlink(self, which: int) -> None:
        """Delete a file; a later step may create it again."""
        name = self.world.name(which)
        if self.world.read(name) is not None:
            self.world.unlink(name)
            self.world.count("deleted")

    # --- what is done to processes ---

    @precondition(lambda self: not self.world.pair_is_down)
    @rule(who=st.sampled_from(["tailer", "buffer", "both", "restart"]))
    def end_the_pair(self, who: str) -> None:
        self.world.end_pair(who)
        self.world.count(f"pair {who}")

    @precondition(lambda self: not self.world.pair_is_down)
    @rule()
    def the_pair_goes_down(self) -> None:
        self.world.live.kill_pair()
        self.world.pair_is_down = True
        self.world.count("pair down")

    @precondition(lambda self: self.world.pair_is_down)
    @rule()
    def the_pair_comes_up(self) -> None:
        self.world.pair_is_down = False
        self.world.revive()

    @rule()
    def kill_the_flusher(self) -> None:
        self.world.live.kill_flusher()
        self.world.revive()
        self.world.count("flusher")

    @precondition(lambda self: self.world.server.answers())
    @rule(which=which, where=which)
    def lose_the_buffer(self, which: int, where: int) -> None:
        """Lose the buffer, and rename a file before it is recreated."""
        self.world.lose_buffer()
        name = self.world.name(which)
        free = [to for to in PLACES if to not in self.world.files]
        if name in self.world.files and free:
            self.world.rename_at_once(name, free[where % len(free)])
        self.world.buffer_is_new = True
        self.world.revive()
        self.world.count("buffer lost")

    @precondition(lambda self: self.world.server.answers())
    @rule(stays=st.booleans())
    def kill_mongod(self, stays: bool) -> None:
        """Lines may be written before another step starts it again."""
        self.world.recover()
        self.world.server.kill()
        if not stays:
            self.world.server.start()
        self.world.count(f"mongod {'down' if stays else 'killed'}")

    @precondition(lambda self: not self.world.server.answers())
    @rule()
    def mongod_comes_up(self) -> None:
        self.world.start_mongod()

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.world.revive()
        time.sleep(seconds)

    def teardown(self) -> None:
        self.world.end()


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(PATIENCE * (3 + int(EXAMPLES or 0) / 4))
def test_no_order_of_file_actions_kills_and_outages_loses_or_repeats_a_line(
    server: Mongod, tmp_path: Path
) -> None:
    done: Counter[str] = Counter()

    class Machine(LiveMachine):
        def __init__(self) -> None:
            super().__init__(World(server, tmp_path, done))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=int(EXAMPLES or 12),
            stateful_step_count=12,
            deadline=None,
            derandomize=EXAMPLES is None,
            database=None,
            print_blob=True,
            # To shrink by running for minutes is not worth it: few steps fail alike.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(dict(done))
    assert done["lines"] > 100 and done["read"] > 10, done
