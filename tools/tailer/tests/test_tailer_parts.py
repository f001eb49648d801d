"""Unit tests of small parts of the tailer."""

import os
import socket
from pathlib import Path

import pytest
from cclake_tailer.discovery import Found, Place, is_chunk, is_source
from cclake_tailer.fd_cache import FdCache
from cclake_tailer.fingerprint import file_key, handle_of, open_regular
from cclake_tailer.lines import encoding_of
from cclake_tailer.records import Checkpoint, decode, encode
from cclake_tailer.registry import Registry
from cclake_tailer.watch import network_type
from cclake_verify.disk import has_lines, is_log
from hypothesis import given
from hypothesis import strategies as st

SESSION = "0b1c2d3e-1111-4111-8111-111111111111"
MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 30 8:2 / /home/me/my\\040disk rw - xfs /dev/sdb rw
32 22 0:41 / /mnt/caf\u00e9 rw - fuse.sshfs laptop: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/logs", None),
        ("/home/me/.claude/projects", "nfs4"),
        ("/home/me/my disk/projects", None),
        ("/homes/me", None),
        ("/mnt/caf\u00e9/x", "fuse.sshfs"),
    ],
)
def test_network_file_systems_are_recognised(
    path: str, kind: str | None, tmp_path: Path
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS, "utf-8")
    assert network_type(path, table) == kind


def test_without_mountinfo_no_path_is_on_a_network(tmp_path: Path) -> None:
    assert network_type("/home", tmp_path / "none") is None


@pytest.mark.parametrize(
    ("path", "source", "chunk"),
    [
        ("p/s.jsonl", True, False),
        ("p/s/subagents/agent-1.jsonl", True, False),
        ("p/s/subagents/agent-1.meta.json", True, True),
        ("p/s/tool-results/x.txt", True, True),
        ("p/s/tool-results/x.jsonl", True, True),
        ("tool-results/x", True, True),
        ("p/tool-results", False, True),
        ("p/settings.json", False, True),
        ("p/memory/notes.md", False, True),
        (f"p/{SESSION}.json", False, True),
        (f"p/{SESSION}/workflows/w.json", True, True),
        (f"p/{SESSION}/workflows/scripts/w.js", True, True),
        (f"p/{SESSION}/workflows/w.jsonl", True, False),
        (f"p/{SESSION}/what/comes/next", True, True),
        (f"above/.claude/projects/p/{SESSION}/x", True, True),
        (f"{SESSION}/{SESSION}/local/src/x.py", False, True),
        (f"p/deep/{SESSION}/x", False, True),
        ("../history.jsonl", True, False),
    ],
)
def test_paths_decide_what_is_archived_and_how(
    path: str, source: bool, chunk: bool
) -> None:
    assert is_source(path) == source
    assert is_chunk(path) == chunk
    assert is_source(path, side_files=False) == (source and not chunk)


def test_a_reused_inode_has_another_handle(tmp_path: Path) -> None:
    seen: dict[int, str | None] = {}
    for _ in range(30):
        path = tmp_path / "a"
        path.touch()
        fd = open_regular(str(path))
        inode, handle = os.fstat(fd).st_ino, handle_of(fd)
        os.close(fd)
        path.unlink()
        assert handle is not None
        assert seen.get(inode) != handle
        seen[inode] = handle


def test_fifos_sockets_devices_and_folders_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "itself").symlink_to("itself")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name in ("fifo", "socket", "device", "folder", "itself", "none"):
            with pytest.raises(OSError):
                open_regular(str(tmp_path / name))
    # A writer at the other end would have found a reader.
    with pytest.raises(OSError, match="No such device"):
        os.open(tmp_path / "fifo", os.O_WRONLY | os.O_NONBLOCK)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("utf-32-be", "UTF-32"),
        ("utf-8", None),
        ("utf-8-sig", None),
    ],
)
def test_the_first_bytes_reveal_the_encoding(text: str, encoding: str | None) -> None:
    assert encoding_of('{"a":1}'.encode(text)[:4]) == encoding


names = "p projects subagents tool-results workflows x a.jsonl a.meta.json w.json a.gz"
paths = st.lists(
    st.sampled_from([SESSION, SESSION.upper(), *names.split()]), min_size=1, max_size=5
).map("/".join)


@given(paths)
def test_verify_expects_exactly_what_the_tailer_archives(path: str) -> None:
    assert is_log(path) == is_source(path)
    if is_log(path):
        assert has_lines(path) != is_chunk(path)


def test_checkpoints_round_trip() -> None:
    known = Checkpoint("h", "/r", "p/\u00e9.jsonl", "ab" * 8, 2, 100, 120, handle="00")
    text = encode(known)
    assert text.endswith(b"\n") and text.startswith(b'{"kind":"checkpoint","host":"h"')
    assert decode(text) == known
    more = text.replace(b'"gen":2', b'"later":{"x":1},"gen":2')
    assert decode(more) == known


@pytest.mark.parametrize("text", [b'{"kind":"stats"}', b'{"kind":"line","entry":{}}'])
def test_records_of_other_kinds_are_not_checkpoints(text: bytes) -> None:
    assert decode(text) is None


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'{"kind":"checkpoint"}', b'{"kind":"checkpoint","off":"x"}'],
)
def test_text_that_is_not_a_record_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode(text)


def test_a_new_file_at_the_path_of_a_renamed_one_gets_its_own_key(
    tmp_path: Path,
) -> None:
    info = tmp_path.stat()
    registry = Registry("h", ["/r"])
    keys = []
    for number in range(3):
        known = registry.create(Found(Place("/r", "a.jsonl"), info))
        registry.move(known, Place("/r", f"{number}.jsonl"))
        keys.append(known.file)
    assert keys == [file_key("h", None, "a.jsonl", nth) for nth in range(3)]
    assert len(set(keys)) == 3


def test_the_fd_cache_closes_the_oldest_file_when_full(tmp_path: Path) -> None:
    held: FdCache[int] = FdCache()
    held.limit = 3
    for number in range(5):
        held.put(number, os.open(tmp_path, os.O_RDONLY))
    assert held.keys == [2, 3, 4]
    fd = held.take(3)
    assert fd is not None
    os.close(fd)
    held.release_all()
    assert len(held) == 0


def test_a_later_checkpoint_replaces_the_place_and_inode_of_an_earlier_one() -> None:
    registry = Registry("h", ["/r"])
    registry.resume(Checkpoint("h", "/r", "old", "k" * 16, dev=1, ino=2))
    registry.resume(Checkpoint("h", "/r", "new", "k" * 16, off=7, dev=1, ino=3))
    assert len(registry) == 1
    assert registry.at(Place("/r", "old")) is None
    assert registry.with_inode((1, 2)) is None
    known = registry.at(Place("/r", "new"))
    assert known is registry.with_inode((1, 3)) is registry.with_key("k" * 16)
    assert known is not None and known.off == 7


def test_a_file_that_only_mongodb_knows_is_marked_until_it_is_read() -> None:
    known = Checkpoint("h", "/r", "p", "k" * 16, former=True)
    assert b'"former":true' in encode(known)
    known.restart()
    assert b"former" not in encode(known)
