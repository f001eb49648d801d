"""The tools themselves: a backlog through all three, and each of them at rest."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bson.raw_bson import RawBSONDocument
from cclake_flusher.documents import Batch, Line, build
from cclake_flusher.mongo import Mongo
from harness import BIN, Mongod, connect, free_port, wait_for
from ingest_meter import Meter, cpu_of

LIMIT_S = 110
BATCH = 1000


class Ours:
    """tailer | buffer, and flusher, on one root with one MongoDB database."""

    def __init__(self, mongod: Mongod, database: str, root: Path, home: Path) -> None:
        self.mongod, self.database, self.root, self.home = mongod, database, root, home
        # One connection for all looks: making one costs MongoDB a millisecond.
        self.client = connect(mongod.uri)
        home.mkdir(parents=True, exist_ok=True)
        self.env = os.environ | {
            "CCLAKE_HOME": str(home),
            "CCLAKE_HOST": "bench",
            "CLAUDE_DIR": str(root),
            "MONGO_URI": mongod.uri,
            "MONGO_DB": database,
            "HEALTH_PORT": str(free_port()),
            "CCLAKE_BUFFER_MAX_MB": "2048",
        }

    def start(
        self, tool: str, *arguments: str, **more: Any
    ) -> "subprocess.Popen[bytes]":
        """Start one tool."""
        return subprocess.Popen([str(BIN / tool), *arguments], env=self.env, **more)

    @contextmanager
    def pipeline(self, follow: bool) -> Iterator[dict[str, int]]:
        """All three processes; gives their process ids, and stops them at the end."""
        resume = self.home / "checkpoints"
        with resume.open("wb") as file:
            self.start("buffer", "checkpoints", stdout=file).wait(60)
        mode = "--follow" if follow else "--once"
        tailer = self.start(
            "tailer", mode, "--resume", str(resume), stdout=subprocess.PIPE
        )
        buffer = self.start("buffer", "append", stdin=tailer.stdout)
        assert tailer.stdout
        tailer.stdout.close()
        flusher = self.start("flusher", "run")
        try:
            yield {"tailer": tailer.pid, "buffer": buffer.pid, "flusher": flusher.pid}
        finally:
            for process in (tailer, buffer, flusher):
                process.terminate()
                process.wait(60)

    def acknowledged(self) -> int:
        """The newest sequence number that MongoDB has acknowledged."""
        found = self.client[self.database].watermarks.find_one()
        return int(found["acked_seq"]) if found else 0

    @property
    def mongod_pid(self) -> int:
        """The process of MongoDB."""
        assert self.mongod.process
        return self.mongod.process.pid

    def is_searchable(self) -> bool:
        """Whether the index that is made last is there."""
        return "words" in self.client[self.database].conversations.index_information()

    def documents(self) -> int:
        """Return the number of documents."""
        return self.client[self.database].conversations.count_documents({})


def backlog(ours: Ours, lines: int) -> tuple[Meter, float]:
    """A whole history into an empty MongoDB, from the start of the processes on.

    Returns:
        What it cost until all was acknowledged, and the CPU seconds of MongoDB for
        the indexes that readers want, which are made when the backlog is in.
    """
    with (
        ours.pipeline(follow=False) as pids,
        Meter({"mongod": ours.mongod_pid}, pids) as meter,
    ):
        wait_for(lambda: ours.acknowledged() >= lines, "all acknowledged", LIMIT_S)
        meter.stop()
        before = cpu_of(ours.mongod_pid)
        wait_for(ours.is_searchable, "the text index is there", LIMIT_S)
        time.sleep(1)
        indexes = cpu_of(ours.mongod_pid) - before
    assert ours.documents() == lines
    return meter, indexes


def floor(ours: Ours, corpus: list[bytes]) -> Meter:
    """MongoDB alone: the same documents, encoded before, with the same indexes."""
    mongo = Mongo(ours.mongod.uri, ours.database)
    mongo.prepare()
    common = Batch("floor", datetime.now(UTC))
    batches = [
        [
            RawBSONDocument(build(_line(number, body), common).data)
            for number, body in enumerate(corpus[start : start + BATCH], start)
        ]
        for start in range(0, len(corpus), BATCH)
    ]
    with Meter({"mongod": ours.mongod_pid, "client": os.getpid()}, {}) as meter:
        for batch in batches:
            mongo.conversations.insert_many(batch, ordered=False)
    mongo.close()
    return meter


def _line(number: int, body: bytes) -> Line:
    path = f"-home-me-project-{number % 20:02}/{number % 200:08x}.jsonl"
    file = f"{number % 200:016x}"
    return Line(number, "bench", path, file, 0, number, len(body), "line", 0.0, body)
