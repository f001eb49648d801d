"""Read everything that is there now, and end."""

from collections.abc import Callable
from itertools import chain

from cclake_common.stop import Stop

from cclake_tailer.engine import Engine
from cclake_tailer.tree import Found, Place, Walker


def scan(engine: Engine, walker: Walker) -> set[Place]:
    """Walk over all roots and queue what is new.

    Returns:
        The places of the files that are queued or gone because of this.
    """
    changed: set[Place] = set()
    for _twice in range(2):
        walker.left_out.clear()
        seen: set[Place] = set()
        found: list[Found] = []
        for item in chain.from_iterable(map(walker.walk_root, engine.catalog.roots)):
            seen.add(item.place)
            if not engine.is_settled(item):
                found.append(item)
        changed |= engine.look((), found)
        if not engine.suspicious:
            break
    return changed | engine.miss_unseen(seen)


def read_once(
    engine: Engine,
    walker: Walker,
    rest_seconds: float,
    stop: Stop,
    show: Callable[[], None] = lambda: None,
) -> None:
    """Read all new lines below the roots, until done or asked to stop.

    Args:
        engine: Knows and reads the files.
        walker: Finds them.
        rest_seconds: A last line without newline is read when its file rested so long.
        stop: Ends it between two turns.
        show: Called after each turn.
    """
    engine.comparer.settle = 0.0
    scan(engine, walker)
    while not stop and (engine.pending or engine.again or engine.comparer.is_due()):
        if engine.pending:
            engine.step()
        elif engine.comparer.is_due():
            engine.compare()
        else:
            places, engine.again = engine.again, set()
            engine.look(places)
        show()
    engine.visitor.rest(rest_seconds)
