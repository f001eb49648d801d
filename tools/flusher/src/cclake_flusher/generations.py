"""Generations go on where an older buffer stopped.

A buffer that was lost is made anew, and the tailer counts generations from 0
again. In MongoDB a file's newest generation must stay its newest: so what a new
buffer says of a file that another one has delivered is lifted above it.
"""

from collections.abc import Sequence

from cclake_flusher.documents import Line
from cclake_flusher.mongo import Mongo
from cclake_flusher.queue import Checkpoint, Queue


class Generations:
    """What is added to the generations of each file of one buffer."""

    def __init__(self, mongo: Mongo, queue: Queue) -> None:
        self._mongo = mongo
        self._queue = queue
        self._bases: dict[str, int] = queue.bases()

    def lift(self, each_of: Sequence[Line] | Sequence[Checkpoint]) -> None:
        """Set `base` of lines or checkpoints.

        Raises:
            PyMongoError: Nothing has been set.
        """
        unseen = {each.file for each in each_of} - self._bases.keys()
        if unseen:
            self._learn(unseen)
        for each in each_of:
            each.base = self._bases[each.file]

    def _learn(self, files: set[str]) -> None:
        found = self._mongo.database["files"].find(
            {"_id": {"$in": sorted(files)}, "buffer": {"$ne": self._queue.buffer}},
            {"gen": 1},
        )
        above = {each["_id"]: int(each["gen"]) + 1 for each in found}
        if above:
            # Before the first document carries it, so that a kill changes nothing.
            self._queue.keep_bases(above)
        self._bases |= dict.fromkeys(files, 0) | above
