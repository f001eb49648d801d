"""A history shaped like Claude Code's: the same bytes for the same seed and size."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

FILES, PROJECTS = 200, 20
WORDS = [
    *("the", "file", "reads", "a", "row", "and", "returns", "it", "when", "all"),
    *("tests", "pass", "für", "größere", "Läufe", "結果", "naïve", "cache", "→"),
    *("done", "value", "index", "error", "token", "stream", "path", "list", "of"),
]
# Bytes of text by kind of line; with the rest of the line the mean is about 3.8 KB.
SIZES = {"assistant": 860, "user": 830, "system": 200, "file-history-snapshot": 60}
# One line in so many is long: this many bytes, times up to the other number.
LONG_EVERY, LONG = 2_222, (200_000, 14)


class Corpus:
    """Makes lines; each carries its number, so that loss and repeats are countable."""

    def __init__(self, seed: int = 7) -> None:
        self._chance = random.Random(seed)
        # Texts are slices of one long text: cheap to make, and not all alike.
        self._text = " ".join(self._chance.choices(WORDS, k=400_000))

    def lines(self, count: int) -> Iterator[bytes]:
        """The lines, without newlines."""
        kinds = self._chance.choices(list(SIZES), (48, 40, 7, 5), k=count)
        for number, kind in enumerate(kinds):
            size = int(self._chance.expovariate(1 / SIZES[kind]))
            if number % LONG_EVERY == LONG_EVERY - 1:
                kind, size = (
                    "user",
                    int(LONG[0] * LONG[1] ** self._chance.random()) // 3,
                )
            yield orjson.dumps(self._entry(number, kind, size))

    def write(self, root: Path, count: int, files: int = FILES) -> tuple[int, int]:
        """Write a tree of logs; gives the number of lines and bytes."""
        per_file, size = -(-count // files), 0
        lines = self.lines(count)
        for number in range(files):
            folder = root / f"-home-me-project-{number % PROJECTS:02}"
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{number:08x}-0000-4000-8000-000000000000.jsonl"
            with (folder / name).open("wb") as file:
                for _, line in zip(range(per_file), lines, strict=False):
                    size += file.write(line + b"\n")
        return count, size

    def _some(self, size: int) -> str:
        text = self._text
        parts = []
        while size > 0:
            start = self._chance.randrange(len(text) - 1)
            part = text[start : start + size]
            parts.append(part)
            size -= len(part)
        return "".join(parts)

    def _entry(self, number: int, kind: str, size: int) -> dict[str, Any]:
        session = f"{number % FILES:08x}-0000-4000-8000-000000000000"
        common: dict[str, Any] = {
            "parentUuid": f"{number - 1:08x}-1111-4111-8111-111111111111",
            "isSidechain": False,
            "userType": "external",
            "cwd": "/home/me/project",
            "sessionId": session,
            "version": "2.1.30",
            "gitBranch": "main",
            "type": kind,
            "uuid": f"{number:08x}-1111-4111-8111-111111111111",
            "timestamp": f"2026-05-01T10:{number // 60 % 60:02}:{number % 60:02}.000Z",
            "durationMs": number,
        }
        make: dict[str, Callable[[int, int], dict[str, Any]]] = {
            "assistant": self._assistant,
            "user": self._user,
            "system": self._system,
            "file-history-snapshot": self._snapshot,
        }
        return common | make[kind](number, size)

    def _assistant(self, number: int, size: int) -> dict[str, Any]:
        usage = {
            "input_tokens": 4,
            "cache_creation_input_tokens": number % 9000,
            "cache_read_input_tokens": 20_000 + number % 50_000,
            "output_tokens": number % 700,
            "service_tier": "standard",
            "server_tool_use": None,
        }
        content = [
            {"type": "thinking", "thinking": self._some(size), "signature": "x" * 300},
            {"type": "text", "text": self._some(size)},
            {
                "type": "tool_use",
                "id": f"toolu_{number:020}",
                "name": "Edit",
                "input": {"file_path": "/home/me/a.py", "old_string": self._some(size)},
            },
        ]
        message = {
            "id": f"msg_{number:020}",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-5-20251101",
            "content": content,
            "stop_reason": None,
            "usage": usage,
        }
        return {"message": message, "requestId": f"req_{number:020}"}

    def _user(self, number: int, size: int) -> dict[str, Any]:
        output = self._some(size)
        result = {
            "tool_use_id": f"toolu_{number:020}",
            "type": "tool_result",
            "content": [{"type": "text", "text": output}],
            "is_error": number % 20 == 0,
        }
        lines = [f" {line}" for line in self._some(size).split(". ")]
        patch = {"oldStart": 1, "oldLines": 3, "newStart": 1, "newLines": 4}
        return {
            "message": {"role": "user", "content": [result]},
            "toolUseResult": {
                "stdout": output,
                "stderr": "",
                "interrupted": False,
                "structuredPatch": [patch | {"lines": lines}],
            },
        }

    def _system(self, _number: int, size: int) -> dict[str, Any]:
        return {
            "subtype": "informational",
            "content": self._some(size),
            "level": "info",
        }

    def _snapshot(self, number: int, size: int) -> dict[str, Any]:
        backups = {
            f"src/module_{part}/file.{number % 7}.py": {
                "backupFileName": None if part % 2 else f"{number:016x}@v1",
                "version": part,
                "backupTime": "2026-05-01T10:00:00.000Z",
            }
            for part in range(1 + size // 8)
        }
        return {"snapshot": {"trackedFileBackups": backups}, "isSnapshotUpdate": True}
