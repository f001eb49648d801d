"""Measures how live and how light the whole stack is, beside AgentsView.

    just bench live                               # 200,000 lines: some minutes
    just bench live --lines 10000 --rounds 3      # to try it
    just bench live --only ours --json

Both start on a copy of the parity fixture and an empty data directory, one after the
other, and are then asked in turns while the other one waits:

    cold            start until all is there: the dashboard counts all responses (ours),
                    all sessions are listed (AgentsView), and the last line is found;
                    first_session: until the list shows any; cold_cpu: CPU seconds
    one             one line appended until search finds it
    many            1,000 lines in ten sessions until search finds the last of each
    gold            the same, until the dashboard counts them; then `report` must, too
    pipeline_cpu    CPU seconds of `pipeline watch` and its stages for them
    nothing         `./just pipeline`, `agentsview sync` without anything new
    rest            memory (PSS: shared pages are divided among those that share
                    them) and CPU of all processes, once nothing moves
    disk            allocated bytes of all stores, and of each

Search is asked over HTTP every 20 ms, the dashboard every 0.1 s, and during the cold
start everything every 0.5 s. AgentsView is installed by pip into an
environment made for the run, without telemetry; where that fails it is left out.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import live_table
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from front_door import ROOT
from live_sides import AgentsView, Ours, Side, install, wait

MANY = 1000
PROGRAMS = (
    "mongod", "flusher", "buffer", "tailer", "pipeline", "dbt", "datasette",
    "agentsview",
)  # fmt: skip
SOURCES = ("tools/*/src", "datasette/src", "metabase/src", "flows/src")
Numbers = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rest", type=float, default=60, help="seconds at rest")
    parser.add_argument("--only", choices=("ours", "agentsview"))
    parser.add_argument("--folder", type=Path, help="where temporary data lies")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what runs is stopped
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="cclake-live-", dir=given.folder)
            )
        )
        sides: list[Side] = []
        if given.only != "ours" and (program := install(folder / "venv")):
            sides.append(AgentsView(folder / "theirs", given.lines, program))
        if given.only != "agentsview":
            sides.append(Ours(folder / "ours", given.lines))
        for side in sides:
            stack.callback(side.stop)
        found = measure(sides, given.rounds, given.rest)
    found["source_lines"] = source_lines()
    print(json.dumps(found) if given.json else live_table.table(found))


def measure(sides: list[Side], rounds: int, rest: float) -> dict[str, Any]:
    """Return all numbers of each side, by its name."""
    found: dict[str, Any] = {side.name: {} for side in sides}
    for side in sides:
        word = f"colditem{side.name}"
        sessions = side.logs.say(word)
        say(f"{side.name}: starting on {side.logs.lines + 1:,} lines ...")
        found[side.name]["log_bytes"] = side.logs.size()
        found[side.name] |= {
            name: [round(value, 2)]
            for name, value in side.start(word, sessions).items()
        }
        quiet(side)
    for number in range(rounds):
        for side in sides:
            say(f"{side.name}: round {number + 1}")
            for name, value in one_round(side, number).items():
                say(f"  {name} {value:.3f}")
                found[side.name].setdefault(name, []).append(round(value, 3))
    for side in sides:
        say(f"{side.name}: {rest:g} s at rest ...")
        found[side.name] |= at_rest(side, rest)
        found[side.name]["disk_bytes"] = side.disk()
    return found


def one_round(side: Side, number: int) -> dict[str, float]:
    """Return the seconds of one line, of many, and of nothing new."""
    word = f"oneitem{number}"
    sessions = side.logs.say(word)
    found = {"one_s": wait(lambda: side.finds(word, sessions))}
    quiet(side)
    used = side.pipeline_cpu() if isinstance(side, Ours) else 0.0
    words = f"manyitem{number}"
    begin = time.perf_counter()
    touched = side.logs.work(MANY, words)
    wait(lambda: side.finds(words, touched))
    found["many_s"] = time.perf_counter() - begin
    if isinstance(side, Ours):
        side.answers += MANY // 5
        wait(side.in_gold, 0.1)
        found["gold_s"] = time.perf_counter() - begin
        counted = side.report()
        assert counted == side.answers, f"report counts {counted}, not {side.answers}"
        found["report_s"] = time.perf_counter() - begin
        quiet(side)
        found["pipeline_cpu_s"] = side.pipeline_cpu() - used
    quiet(side)
    return found | {"nothing_s": side.nothing_new()}


def quiet(side: Side, span: float = 4.0, share: float = 0.05) -> None:
    """Wait until the processes of a side take next to no CPU for some seconds."""
    while True:
        before = cpu(side)
        time.sleep(span)
        after = cpu(side)
        used = sum(after[pid] - before.get(pid, 0.0) for pid in after)
        if before.keys() == after.keys() and used < span * share:
            return


def cpu(side: Side) -> dict[int, float]:
    """Return the CPU seconds of each process so far."""
    found = {}
    for process in side.processes():
        try:
            found[process.pid] = sum(process.cpu_times()[:2])
        except psutil.Error:
            continue
    return found


def at_rest(side: Side, seconds: float) -> dict[str, Any]:
    """Return memory and CPU of all processes while nothing happens."""
    quiet(side)
    before = cpu(side)
    time.sleep(seconds)
    after = cpu(side)
    share: dict[str, float] = {}
    memory: dict[str, int] = {}
    for process in side.processes():
        name = label(process)
        used = after.get(process.pid, 0.0) - before.get(process.pid, 0.0)
        share[name] = share.get(name, 0.0) + used / seconds * 100
        memory[name] = memory.get(name, 0) + process.memory_full_info().pss
    return {
        "rest_cpu_percent": round(sum(share.values()), 2),
        "rest_pss_mb": round(sum(memory.values()) / 1e6, 1),
        "rest_each": {
            name: [round(memory[name] / 1e6, 1), round(share[name], 2)]
            for name in memory
        },
    }


def label(process: psutil.Process) -> str:
    """Return the name of a tool, whatever runs it."""
    words = [Path(word).name for word in process.cmdline()]
    return next((word for word in words if word in PROGRAMS), "others")


def source_lines() -> int:
    """Return the lines of Python in src that are not blank."""
    return sum(
        bool(line.strip())
        for pattern in SOURCES
        for folder in ROOT.glob(pattern)
        for path in folder.rglob("*.py")
        for line in path.read_bytes().splitlines()
    )


def say(text: str) -> None:
    """Print what happens now."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
