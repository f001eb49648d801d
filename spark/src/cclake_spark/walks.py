"""Walk from nodes to their parents and theirs, where SQL has no recursion."""

from collections.abc import Iterable
from typing import Any


def walk(
    nodes: Iterable[str], parents: Iterable[str], limit: int
) -> list[dict[str, Any]]:
    """Return each node with its ancestors, nearest first.

    Args:
        nodes: The node of each edge.
        parents: The parent of each edge.
        limit: Maximum steps of a walk, which ends a circle; 0 for any number, and then
            each ancestor is returned once.
    """
    above: dict[str, set[str]] = {}
    for node, parent in zip(nodes, parents, strict=True):
        above.setdefault(node, set()).add(parent)
    found = []
    for node in above:
        reached, seen, steps = {node}, set[str](), 0
        while reached and (not limit or steps < limit):
            steps += 1
            reached = {up for one in reached for up in above.get(one, ())}
            if not limit:
                reached -= seen
                seen |= reached
            found += [
                {"node": node, "ancestor": up, "steps": steps} for up in sorted(reached)
            ]
    return found
