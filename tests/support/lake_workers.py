"""Loops for processes that a test kills; importable by a fork server."""

import contextlib
import os
import random
import sys
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection

from cclake_common.failure import Failure
from cclake_extract import mongo, reader, splits
from cclake_extract.backfill import backfill
from cclake_extract.incremental import extract
from cclake_extract.maintenance import compact as compaction
from cclake_extract.maintenance.compact import compact
from cclake_extract.maintenance.expire import expire
from cclake_lake.catalog import answering, require_table
from cclake_lake.settings import Lake
from harness import connect


def announced(
    work: Callable[[str, str, str], None],
    steps: Connection,
    most: int,
    seed: int,
    where: tuple[str, str, str],
) -> None:
    """Do `work`, and send a byte after each of its steps that a die chooses.

    A step is a call that Python makes; up to `most` of them are between two bytes.
    So whoever kills at a byte meets work, however fast or slow the machine is.
    """
    dice = random.Random(seed)
    left = dice.randint(1, most)

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            steps.send_bytes(b"!")
            left = dice.randint(1, most)

    sys.setprofile(step)
    work(*where)


def lake_of(where: str) -> Lake:
    """The lake in a folder, or that of settings: NAME=VALUE, one a line."""
    if "\n" not in where:
        return Lake(warehouse=where)
    for line in where.splitlines():
        name, _, value = line.partition("=")
        os.environ[name] = value
    return Lake.from_env()


def small_files() -> None:
    """Files of a few rows, so that a short test has many commits."""
    splits.FILE_ROWS = 40
    reader.BATCH_ROWS = 20
    mongo.BATCH = 10
    compaction.SMALL_ROWS = 200
    vars(compaction)["FILE_ROWS"] = 400


def extractor(uri: str, name: str, where: str) -> None:
    """Extract forever."""
    small_files()
    lake = lake_of(where)
    with connect(uri) as client:
        while True:
            _calmly(lake, lambda: extract(lake, client[name]))


def keeper(_uri: str, _name: str, where: str) -> None:
    """Compact and expire forever, and delete at once what expiry allows."""
    small_files()
    lake = lake_of(where)

    def work() -> None:
        table = require_table(lake)
        if random.random() < 0.5:
            compact(table, at_least=4)
        else:
            expire(table, keep=8, grace=timedelta(0))

    while True:
        _calmly(lake, work)


def _calmly(lake: Lake, work: Callable[[], object]) -> None:
    # The catalog stayed busy, or is away: once more.
    with contextlib.suppress(Failure), answering(lake):
        work()


def rebuilder(uri: str, name: str, where: str) -> None:
    """Rebuild the table forever."""
    small_files()
    lake = lake_of(where)
    with connect(uri) as client:
        while True:
            _calmly(lake, lambda: backfill(lake, client[name]))


def once(uri: str, name: str, where: str) -> None:
    """Extract what is new."""
    small_files()
    with connect(uri) as client:
        extract(lake_of(where), client[name])
