"""Count the tokens of a folder of log files, in plain Python.

It shares no code and no SQL with the models: it is the other witness. Run it on
a folder to see the totals: python tests/support/independent_count.py FOLDER
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COUNTERS = ("input", "output", "cache_write", "cache_read")
NAMES = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)
Counts = dict[str, int]
Json = dict[str, Any]


def count(root: Path) -> dict[str, Counts]:
    """Tokens of each API response below a folder, by its key."""
    records = [
        record for path in sorted(root.rglob("*.jsonl")) for record in _file(path)
    ]
    by_message: dict[str, list[Json]] = defaultdict(list)
    for record in records:
        by_message[record["id"]].append(record)
    found: dict[str, Counts] = {}
    for message_id, group in by_message.items():
        logged = [record for record in group if not record["progress"]]
        for key, members in _responses(message_id, logged or group):
            found[key] = _total(members)
    return found


def totals(responses: dict[str, Counts]) -> Counts:
    """The sums over all responses."""
    return {name: sum(each[name] for each in responses.values()) for name in COUNTERS}


def _responses(message_id: str, group: list[Json]) -> Iterator[tuple[str, list[Json]]]:
    known = re.match(r"msg_(01|bdrk|vrtx)", message_id)
    if known or any(record["request"] for record in group):
        yield message_id, group
        return
    first: dict[str, str] = {}
    for record in group:
        first.setdefault(record["file"], record["uuid"])
    keyed: dict[str, list[Json]] = defaultdict(list)
    for record in group:
        keyed[f"{message_id}/{first[record['file']]}"].append(record)
    yield from keyed.items()


def _total(records: list[Json]) -> Counts:
    chains = [_items(record["usage"]) for record in records]
    chains = [chain for chain in chains if len(chain) > 1]
    if chains:
        longest = max(chains, key=lambda c: (len(c), _counts(c[-1])["output"]))
        parts = [_counts(step) for step in longest]
        return {name: sum(part[name] for part in parts) for name in COUNTERS}
    seen = [_counts(record["usage"]) for record in records]
    write = max(counts["flat"] for counts in seen)
    nested = max(c["five"] for c in seen) + max(c["hour"] for c in seen)
    return {
        "input": max(c["input"] for c in seen),
        "output": max(c["output"] for c in seen),
        "cache_write": max(write, nested),
        "cache_read": max(c["cache_read"] for c in seen),
    }


def _items(usage: Json) -> list[Json]:
    listed = usage.get("iterations")
    items = [
        item
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict) and any(item.get(name) is not None for name in NAMES)
    ]
    if items and all(item.get("type") == "advisor_message" for item in items):
        return [usage, *items]
    return items


def _counts(given: object) -> Counts:
    usage: Json = given if isinstance(given, dict) else {}
    nested = usage.get("cache_creation")
    nested = nested if isinstance(nested, dict) else {}
    flat = _number(usage.get("cache_creation_input_tokens"))
    five = _number(nested.get("ephemeral_5m_input_tokens"))
    hour = _number(nested.get("ephemeral_1h_input_tokens"))
    return {
        "input": _number(usage.get("input_tokens")),
        "output": _number(usage.get("output_tokens")),
        "cache_read": _number(usage.get("cache_read_input_tokens")),
        "cache_write": max(flat, five + hour),
        "flat": flat,
        "five": five,
        "hour": hour,
    }


def _number(value: object) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return int(value) if whole and 0 <= int(value) <= 10**9 else 0  # type: ignore[call-overload]


def _file(path: Path) -> Iterator[Json]:
    for line in path.read_bytes().split(b"\n"):
        for entry in _entries(line):
            kind = entry.get("type")
            if kind == "assistant":
                yield from _record(entry, path, progress=False)
            elif kind == "progress" and isinstance(entry.get("data"), dict):
                data = entry["data"]
                if data.get("type") != "agent_progress":
                    continue
                copies = data.get("normalizedMessages")
                for inner in [
                    data.get("message"),
                    *(copies if isinstance(copies, list) else []),
                ]:
                    if isinstance(inner, dict):
                        yield from _record(inner, path, progress=True)


def _record(entry: Json, path: Path, progress: bool) -> Iterator[Json]:
    message = entry.get("message")
    if not isinstance(message, dict) or message.get("model") == "<synthetic>":
        return
    if progress and message.get("role") != "assistant":
        return
    usage = message.get("usage")
    fork = entry.get("forkedFrom")
    origin = fork.get("messageUuid") if isinstance(fork, dict) else None
    uuid = str(origin or entry.get("uuid"))
    name = _name(message.get("id"))
    if not name and not isinstance(usage, dict):
        return
    yield {
        "id": name or f"uuid:{uuid}",
        "request": entry.get("requestId"),
        "uuid": uuid,
        "file": str(path),
        "progress": progress,
        "usage": usage if isinstance(usage, dict) else {},
    }


def _name(value: object) -> str | None:
    if value is None or isinstance(value, list | dict):
        return None
    return value if isinstance(value, str) else json.dumps(value)


def _entries(line: bytes) -> Iterator[Json]:
    text = line.decode("utf-8", "replace").lstrip("\0")
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    if isinstance(whole, dict):
        yield whole
        return
    at = text.find('{"')
    while at >= 0:
        try:
            found, end = json.JSONDecoder().raw_decode(text, at)
        except ValueError:
            at = text.find('{"', at + 1)
            continue
        if isinstance(found, dict) and "message" in found:
            yield found
            at = text.find('{"', end)
        else:
            at = text.find('{"', at + 1)


if __name__ == "__main__":
    print(json.dumps(totals(count(Path(sys.argv[1]))), indent=2))
