"""The roots as the caller named them, and what the file system below them is."""

import os
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")
_NETWORK = {
    "9p", "afs", "ceph", "cifs", "fuse.sshfs", "fuse.rclone", "gfs2", "lustre",
    "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs",
}  # fmt: skip


def network_type(path: str, mountinfo: Path = _MOUNTINFO) -> str | None:
    """The type of the network file system that a path is on; None for a local one.

    The kernel reports only the writes of this machine there.
    """
    try:
        lines = mountinfo.read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return None
    best, kind = "", ""
    real = os.path.realpath(path)
    for line in filter(None, lines):
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode("utf-8", "surrogateescape")
        mount = os.fsdecode(point.decode("unicode_escape").encode("latin-1"))
        inside = real == mount or real.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, right.split(" ")[0]
    return kind if kind in _NETWORK else None
