"""Tools that break one promise on purpose, which the tests must notice.

python unsafe.py flusher run        acknowledged without the journal
python unsafe.py buffer append      checkpoints committed before their lines
"""

import sys
import time
from typing import Any

from pymongo import MongoClient, WriteConcern
from pymongo.database import Database


def flusher() -> None:
    """A flusher that trusts an acknowledgement from memory."""
    from cclake_flusher import cli, mongo

    def careless(client: MongoClient[Any], name: str) -> Database[Any]:
        return client.get_database(name, write_concern=WriteConcern(w=1, j=False))

    vars(mongo)["durable"] = careless
    cli.main()


def buffer() -> None:
    """A buffer that commits the checkpoint on its own, and then dies."""
    from cclake_buffer import cli, recovery
    from cclake_buffer.batch import Batch
    from cclake_buffer.store import Store
    from cclake_common.failpoint import failpoint

    class Careless(Store):
        def commit(self, batch: Batch) -> None:
            self.connection.execute("begin immediate")
            self._write_checkpoints(batch, time.time(), 0)
            self.connection.execute("commit")
            failpoint("before_commit")
            super().commit(batch)

    vars(recovery)["Store"] = Careless
    cli.main()


if __name__ == "__main__":
    {"flusher": flusher, "buffer": buffer}[sys.argv.pop(1)]()
