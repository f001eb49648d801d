"""Recognise a file by its kernel handle and digests of its content."""

import ctypes
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable

_AT_EMPTY_PATH = 0x1000
_MAX_HANDLE = 128


class _Handle(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.c_uint32),
        ("type", ctypes.c_int32),
        ("data", ctypes.c_ubyte * _MAX_HANDLE),
    )


def _name_to_handle_at() -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    call: Callable[..., int] | None = getattr(libc, "name_to_handle_at", None)
    return call


_call = _name_to_handle_at()


def handle_of(fd: int) -> str | None:
    """Return the kernel's file handle of an open file in hex; None without one.

    Unlike an inode number, the kernel never reuses it for another file.
    """
    if _call is None:
        return None
    handle = _Handle(bytes=_MAX_HANDLE)
    mount = ctypes.c_int()
    arguments = (fd, b"", ctypes.byref(handle), ctypes.byref(mount), _AT_EMPTY_PATH)
    if _call(*arguments) != 0:
        return None
    return bytes(handle.data[: handle.bytes]).hex() + f"{handle.type:02x}"


def digest(data: bytes) -> str:
    """Return blake2b with 16 bytes, in hex."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def file_key(host: str, root: str | None, path: str, nth: int = 0) -> str:
    """Return the key of a file that is seen for the first time.

    Args:
        host: Name of the machine.
        root: None for the first root, else the root's path.
        path: Path below the root.
        nth: Number of other files that already have a key of this path.
    """
    parts = [host, path] if root is None else [host, root, path]
    if nth:
        parts.append(str(nth))
    data = "\0".join(parts).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def open_regular(path: str) -> int:
    """Open a regular file for reading; follow a link.

    Raises:
        OSError: As os.open does; EINVAL for anything that is not a regular file.
            Such a file is not opened: that would wake a writer that waits on a FIFO.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
        raise OSError(errno.EINVAL, "not a regular file", path)
    # Do not block if a FIFO has taken its place in the meantime.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "not a regular file", path)
