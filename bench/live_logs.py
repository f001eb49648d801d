"""Conversations for `bench/live.py`, which grow while they are watched."""

import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

GENERATE = Path(__file__).parents[1] / "tests" / "fixtures" / "parity" / "generate.py"
TURN = 5  # lines: a prompt, three parts of an answer, a result
TURNS = 100  # of each session in the history


class Logs:
    """The parity fixture in a folder, and turns of its own shape after it."""

    def __init__(self, folder: Path, lines: int) -> None:
        sessions = max(1, lines // (TURN * TURNS))
        command = [sys.executable, str(GENERATE), str(folder)]
        subprocess.run(
            [*command, str(sessions), str(TURNS)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.root = folder / "projects"
        self.files = sorted(self.root.rglob("*.jsonl"), key=lambda path: path.name)
        self.lines = sessions * TURN * TURNS
        self._turns = [_first_turn(path) for path in self.files]
        self._next = 0

    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(path.stat().st_size for path in self.files)

    def say(self, word: str) -> list[str]:
        """Append one prompt with a word; return its session."""
        number = self._number()
        line = self._again(number, [self._turns[number][0]], word)
        return self._write(number, line)

    def work(self, lines: int, word: str) -> list[str]:
        """Append whole turns to ten sessions, the word in the last answer of each."""
        sessions = []
        count = min(10, len(self.files))
        for _ in range(count):
            number = self._number()
            turns: list[dict[str, Any]] = []
            for left in range(lines // TURN // count - 1, -1, -1):
                new = self._again(number, self._turns[number], "" if left else word)
                turns += new
            sessions += self._write(number, turns)
        return sessions

    def _number(self) -> int:
        self._next = (self._next + 1) % len(self.files)
        return self._next

    def _write(self, number: int, lines: list[dict[str, Any]]) -> list[str]:
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        with self.files[number].open("a", encoding="utf-8") as log:
            log.write(text)
        return [self.files[number].stem]

    def _again(
        self, number: int, turn: list[dict[str, Any]], word: str
    ) -> list[dict[str, Any]]:
        """Return a turn with new ids and the present time; the word in its text."""
        text, mark = json.dumps(turn), uuid.uuid4().hex[:12]
        for kind in ("msg", "req", "toolu"):
            text = text.replace(f'"{kind}_', f'"{kind}_{mark}_')
        lines: list[dict[str, Any]] = json.loads(text)
        parent = None
        for line in lines:
            line["uuid"], line["parentUuid"] = str(uuid.uuid4()), parent
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            line["timestamp"] = now.replace("+00:00", "Z")
            parent = line["uuid"]
        spoken = lines[0]["message"]
        for line in lines if word else ():
            for part in line["message"]["content"]:
                if isinstance(part, dict) and part["type"] == "text":
                    spoken = part
        if word:
            key = "text" if "text" in spoken else "content"
            spoken[key] += f" {word}"
        return lines


def _first_turn(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as log:
        return [json.loads(log.readline()) for _ in range(TURN)]
