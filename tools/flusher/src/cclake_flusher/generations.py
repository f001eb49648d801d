"""Continue the generations of an older buffer.

After a buffer was lost, the tailer counts generations from 0 again. But in MongoDB, a
file's newest content must have its highest generation. So a new buffer adds a base to
the generations of every file that another buffer has delivered.
"""

from collections.abc import Sequence

from cclake_archive.checkpoints import FILES

from cclake_flusher.documents import Line
from cclake_flusher.mongo import Mongo
from cclake_flusher.queue import Checkpoint, Queue


class Generations:
    """The base that is added to the generations of each file of one buffer."""

    def __init__(self, mongo: Mongo, queue: Queue) -> None:
        self._mongo = mongo
        self._queue = queue
        self._bases: dict[str, int] = queue.bases()

    def apply_bases(self, each_of: Sequence[Line] | Sequence[Checkpoint]) -> None:
        """Set the `base` of lines or checkpoints.

        Raises:
            PyMongoError: Nothing was set.
        """
        unseen = {each.file for each in each_of} - self._bases.keys()
        if unseen:
            self._load_bases(unseen)
        for each in each_of:
            each.base = self._bases[each.file]

    def _load_bases(self, files: set[str]) -> None:
        found = self._mongo.database[FILES].find(
            {"_id": {"$in": sorted(files)}, "buffer": {"$ne": self._queue.buffer}},
            {"gen": 1},
        )
        above = {each["_id"]: int(each["gen"]) + 1 for each in found}
        if above:
            # Stored before the first document uses it, so that a kill changes nothing.
            self._queue.store_bases(above)
        self._bases |= dict.fromkeys(files, 0) | above
