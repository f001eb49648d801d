"""The file of stars, labels and notes, as interruptions leave it."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from cclake_common.kept import Store

HALF = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("pragma cache_size = 1")
db.execute("begin immediate")
db.execute("update kept set note = note || randomblob(100000)")
db.execute("update kept set starred = 0")
os.kill(os.getpid(), 9)
"""


def test_an_empty_file_has_nothing_and_takes_the_next_change(tmp_path: Path) -> None:
    store = Store(tmp_path / "kept.db")
    store.path.touch()
    assert store.rows() == []
    store.change("s1", starred=True)
    assert [one.session_id for one in store.all()] == ["s1"]


def test_an_interrupted_change_is_rolled_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "kept.db")
    for number in range(200):
        store.change(f"s{number:03}", starred=True, note="x" * 1000)
    before = Store(store.path).rows()
    done = subprocess.run([sys.executable, "-c", HALF, store.path])
    assert done.returncode == -signal.SIGKILL
    assert store.path.with_name("kept.db-journal").exists()
    assert Store(store.path).rows() == before


def test_a_file_that_may_only_be_read_is_read(tmp_path: Path) -> None:
    Store(tmp_path / "kept.db").change("s1", starred=True)
    copy = tmp_path / "read" / "kept.db"
    copy.parent.mkdir()
    shutil.copy(tmp_path / "kept.db", copy)
    copy.chmod(0o400)
    copy.parent.chmod(0o500)
    try:
        assert len(Store(copy).rows()) == 1
    finally:
        copy.parent.chmod(0o700)
