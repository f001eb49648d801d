"""Read everything that is there now, then exit."""

from collections.abc import Callable
from itertools import chain

from cclake_common.stop import Stop

from cclake_tailer.discovery import Found, Place, Walker
from cclake_tailer.file_server import FileServer


def scan(server: FileServer, walker: Walker) -> set[Place]:
    """Walk over all roots and queue files with new content.

    Returns:
        The places of the files that this call queued or marked as gone.
    """
    changed: set[Place] = set()
    for _twice in range(2):
        walker.left_out.clear()
        seen: set[Place] = set()
        found: list[Found] = []
        for item in chain.from_iterable(map(walker.walk_root, server.registry.roots)):
            seen.add(item.place)
            if not server.is_settled(item):
                found.append(item)
        changed |= server.look((), found)
        if not server.has_suspects:
            break
    return changed | server.check_unseen(seen)


def read_once(
    server: FileServer,
    walker: Walker,
    rest_seconds: float,
    stop: Stop,
    show: Callable[[], None] = lambda: None,
) -> None:
    """Read all new lines below the roots, until done or asked to stop.

    Args:
        server: Reads the files.
        walker: Finds the files.
        rest_seconds: Idle time after which a last line without a newline is read.
        stop: A request to stop, honoured between two turns.
        show: Called after each turn.
    """
    server.comparer.settle = 0.0
    scan(server, walker)
    while not stop and (server.pending or server.recheck or server.comparer.is_due()):
        if server.pending:
            server.step()
        elif server.comparer.is_due():
            server.compare()
        else:
            places, server.recheck = server.recheck, set()
            server.look(places)
        show()
    server.watcher.finish_idle(rest_seconds)
