"""The numbers of `bench/live.py` as lines for people."""

import statistics
from typing import Any


def middle(values: list[float]) -> str:
    """Return the median of values, and their range where there are several."""
    median = f"{statistics.median(values):.2f}"
    if len(values) == 1:
        return median
    return f"{median} ({min(values):.2f}–{max(values):.2f})"


def ratio(mine: list[float], other: list[float]) -> float:
    """Return how many times as long one takes as the other, median by median."""
    return round(statistics.median(mine) / statistics.median(other), 2)


def table(found: dict[str, Any]) -> str:
    """Return the numbers as lines for people."""
    names = [name for name in ("ours", "agentsview") if name in found]
    rows = [["", *names, "ratio" if len(names) > 1 else ""]]
    for what in found[names[0]]:
        values = [found[name].get(what) for name in names]
        if not isinstance(values[0], list):
            rows.append([what, *(_plain(value) for value in values), ""])
            continue
        both = all(isinstance(value, list) for value in values) and len(values) > 1
        rows.append(
            [
                what,
                *(middle(value) if isinstance(value, list) else "" for value in values),
                f"{ratio(*values):.2f}" if both else "",
            ]
        )
    rows.append(["source_lines", f"{found['source_lines']:,}"])
    return "\n".join(
        f"{row[0]:18}"
        + "".join(f"{cell:>24}" for cell in row[1:3])
        + "".join(f"{cell:>8}" for cell in row[3:])
        for row in rows
        if row[0] not in ("rest_each", "disk_bytes")
    ) + "".join(_details(name, found[name]) for name in names)


def _plain(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else ""


def _details(name: str, numbers: dict[str, Any]) -> str:
    lines = [f"\n{name}, MB on the disk: "]
    lines += [
        f"{store} {size / 1e6:,.0f}, " for store, size in numbers["disk_bytes"].items()
    ]
    lines += [f"\n{name}, MB and % of a core at rest: "]
    lines += [
        f"{each} {mb:,} {share}, " for each, (mb, share) in numbers["rest_each"].items()
    ]
    return "".join(lines).replace(", \n", "\n").rstrip(", ")
