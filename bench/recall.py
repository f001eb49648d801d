"""Times of `recall` and of the status line, start included, beside Python's own start.

    .venv/bin/python bench/recall.py [--messages 50000] [--folder DIR] [--rounds 15]
        [--json]

Runs each command as a process of its own on an export that `bench/web.py` makes, beside
an empty MongoDB: in turns, after one round that is not counted. Prints medians: elapsed
and processor time, and the ratio of the processor time to that of `python -c pass`. The
ratio of one run can be compared with that of another machine or another load; the bars
are milliseconds of an idle machine. With --folder the export is kept and used again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from harness import BIN, Mongod, connect
from sample import LONG, MAIN
from shipper import Shipper
from web import make

FLOOR = "python -c pass"
SEARCH, HOOK, LINE = 150.0, 100.0, 60.0  # bars, in milliseconds
MODEL = "claude-opus-4-6"
NEWER = 200  # lines above the export


@dataclass
class Timed:
    """A command with its times in milliseconds.

    Attributes:
        command: Its words.
        bar: Milliseconds that it should need at most; 0 for none.
        given: What it reads from standard input.
        settings: Its environment, beside that of all.
    """

    command: list[str]
    bar: float = 0
    given: bytes = b""
    settings: dict[str, str] = field(default_factory=dict)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, env: dict[str, str]) -> None:
        """Run it once."""
        begin = time.perf_counter()
        with subprocess.Popen(
            self.command, env=env | self.settings, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdin
            assert process.stdout
            process.stdin.write(self.given)
            process.stdin.close()
            printed = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, self.command
        assert printed or self.command[1] == "-c", self.command
        self.wall.append((time.perf_counter() - begin) * 1000)
        self.cpu.append((used.ru_utime + used.ru_stime) * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = given.folder or temporary
        if not (folder / "exports" / "conversations.db").exists():
            make(folder / "exports" / "conversations.db", given.messages)
        mongod = Mongod(temporary)
        stack.callback(mongod.stop)
        mongod.start()
        newer = stack.enter_context(connect(mongod.uri))
        shipper = Shipper(newer["newer"])
        for number in range(NEWER):
            shipper.say(f"a newer part of the module {number}")
        found = measure(folder, temporary, mongod.uri, given.rounds)
    print(json.dumps(found) if given.json else table(found))


def measure(
    folder: Path, home: Path, uri: str, rounds: int
) -> dict[str, dict[str, float]]:
    """Run all commands in turns; return the medians of each."""
    env = {
        "PATH": os.environ["PATH"], "HOME": str(home), "CCLAKE_HOME": str(home),
        "EXPORT_DIR": str(folder / "exports"), "MONGO_URI": uri,
        "CCLAKE_HOST": "laptop", "CCLAKE_TIMEZONE": "UTC",
    }  # fmt: skip
    timed = commands(home)
    for number in range(rounds + 1):
        for one in timed.values():
            one.run(env)
            if not number:  # files come into the cache
                one.wall.clear()
                one.cpu.clear()
    floor = statistics.median(timed[FLOOR].cpu)
    return {
        name: {
            "wall_ms": round(statistics.median(one.wall), 1),
            "cpu_ms": round(statistics.median(one.cpu), 1),
            "ratio": round(statistics.median(one.cpu) / floor, 1),
            "bar_ms": one.bar,
        }
        for name, one in timed.items()
    }


def commands(home: Path) -> dict[str, Timed]:
    """Return the commands by name."""
    recall, report = str(BIN / "recall"), str(BIN / "report")
    hook = json.dumps({"cwd": "/home/me/alpha", "session_id": "x"}).encode()
    return {
        FLOOR: Timed([sys.executable, "-c", "pass"]),
        "search, newest": Timed([recall, "module"], SEARCH),
        "search, rare word": Timed([recall, "screenshot"], SEARCH),
        "search, best, rare word": Timed([recall, "screenshot", "--best"], SEARCH),
        "search, best, common word": Timed([recall, "part", "--best"], SEARCH),
        "search, a project": Timed([recall, "module", "-p", "gamma"], SEARCH),
        "search, MongoDB away": Timed(
            [recall, "module"], SEARCH, settings={"MONGO_URI": "mongodb://127.0.0.1:9"}
        ),
        f"search, {NEWER} newer lines": Timed(
            [recall, "module"], settings={"MONGO_DB": "newer"}
        ),
        "list": Timed([recall, "list"]),
        "list, by cost": Timed([recall, "list", "--sort", "cost"]),
        "show, a short session": Timed([recall, "show", MAIN]),
        "show, a turn of a long one": Timed([recall, "show", LONG, "--turn", "3"]),
        "hook": Timed([recall, "hook"], HOOK, hook),
        "report statusline": Timed([report, "statusline"], LINE, status(home)),
    }


def status(home: Path) -> bytes:
    """Return what Claude Code gives to a status line, with a log of 200 responses."""
    transcript = home / "transcript.jsonl"
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    lines = (
        {
            "type": "assistant", "requestId": f"req_{number}", "sessionId": MAIN,
            "timestamp": now,
            "message": {
                "id": f"msg_new{number}", "role": "assistant", "model": MODEL,
                "content": [{"type": "text", "text": "word " * 200}],
                "usage": {"input_tokens": 10, "output_tokens": 1000},
            },
        }
        for number in range(200)
    )  # fmt: skip
    transcript.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    model = {"id": MODEL, "display_name": "Opus 4.6"}
    given = {"session_id": MAIN, "transcript_path": str(transcript), "model": model}
    return json.dumps(given).encode()


def table(found: dict[str, dict[str, float]]) -> str:
    """Return the numbers as lines for people."""
    lines = [f"{'':28} {'wall ms':>8} {'CPU ms':>8} {'ratio':>6} {'bar ms':>7}"]
    for name, one in found.items():
        bar = f"{one['bar_ms']:.0f}" if one["bar_ms"] else ""
        lines.append(
            f"{name:28} {one['wall_ms']:8} {one['cpu_ms']:8} {one['ratio']:6} {bar:>7}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
