"""Read settings: the option, then the environment, then the default.

Modules that few settings need are imported where they are used: `report statusline`
must start in milliseconds.
"""

import contextlib
import os
import re
import stat
from pathlib import Path

from cclake_common.failure import Failure

# The address of a unix socket holds 108 bytes on Linux, 104 on macOS.
SOCKET_PATH_LIMIT = 100
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
NO = ("no", "0", "false", "off")
_PASSWORD = re.compile(r"(?P<scheme>[a-z+]+://[^:/@\s]*:)\S*@")


def checkout() -> Path | None:
    """Return the checkout that the tools run from; None if they run from wheels.

    Only the folder that has this module: one above an installation, such as the user's
    home, may have a justfile and a dbt project of its own.
    """
    above = Path(__file__).resolve().parents
    root = above[min(4, len(above) - 1)]
    return root if (root / "tools" / "common" / "pyproject.toml").is_file() else None


def home() -> Path:
    """Return the data directory: `CCLAKE_HOME`, or `~/.claude-sync`."""
    return _path(os.environ.get("CCLAKE_HOME") or "~/.claude-sync")


def in_home(variable: str, name: str, given: Path | None = None) -> Path:
    """Return the path in an option, in a variable, or in the data directory."""
    value = str(given) if given else os.environ.get(variable)
    return _path(value) if value else home() / name


def roots(given: str | None = None) -> list[Path]:
    """Return the folders in `CLAUDE_DIR` (`:` between), or `~/.claude/projects`."""
    value = given or os.environ.get("CLAUDE_DIR") or "~/.claude/projects"
    return [_path(part) for part in value.split(os.pathsep) if part]


def host() -> str:
    """Return the name of this machine in every record.

    `CCLAKE_HOST`, or the one that is kept in the data directory, or its host name.
    """
    if named := os.environ.get("CCLAKE_HOST") or _kept_host():
        return named
    import socket

    return socket.gethostname()


def keep_host() -> None:
    """Keep the name: a machine that is renamed would be archived a second time."""
    if not _kept_host():
        (home() / "host").write_text(f"{host()}\n", encoding="utf-8")


def _kept_host() -> str:
    try:
        return (home() / "host").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def socket_path(name: str) -> Path:
    """Return the path of a server's socket, which only this user can open.

    It is in the data directory. If that path is too long for a socket or has a comma,
    it is in a folder of this user among the temporary files.

    Raises:
        Failure: That folder belongs to somebody else.
    """
    path = home() / name
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT and "," not in str(path):
        return path
    import tempfile
    from hashlib import blake2b

    digest = blake2b(os.fsencode(path.parent), digest_size=8).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"cclake-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise Failure(
            f"{folder} belongs to another user of this machine",
            "Set TMPDIR to a folder of yours, or CCLAKE_HOME to a shorter path.",
        )
    folder.chmod(0o700)
    return folder / name


def mongo_uri() -> str:
    """Return `MONGO_URI`, or the address of the private mongod: a unix socket."""
    from urllib.parse import quote

    given = os.environ.get("MONGO_URI")
    return given or f"mongodb://{quote(str(socket_path('mongo.sock')), safe='')}"


def hosts() -> frozenset[str]:
    """Return the names that a `Host` header may have, without port.

    Another site could point its own name at this machine; its pages would then read
    what is meant for this machine alone.
    """
    extra = os.environ.get("CCLAKE_ALLOWED_HOSTS", "").replace(",", " ").split()
    return frozenset(LOOPBACK) | {name.lower() for name in extra}


def web_token() -> str:
    """Return the secret that opens the pages; "" unless `CCLAKE_WEB_TOKEN` is set."""
    if os.environ.get("CCLAKE_WEB_TOKEN", "no").lower() in ("", *NO):
        return ""
    return secret("web-token")


def secret(name: str) -> str:
    """Return a secret of the data directory.

    It is created once, readable by its user only.

    Args:
        name: The name of its file.

    Raises:
        Failure: The file does not hold a secret.
    """
    path = home() / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        import secrets
        import tempfile

        # Written completely or not at all; if two processes start at once, one wins.
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{name}"
        ) as new:
            new.write(f"{secrets.token_urlsafe(32)}\n")
            new.flush()
            with contextlib.suppress(FileExistsError):
                os.link(new.name, path)
    path.chmod(0o600)
    token = path.read_text(encoding="utf-8").strip()
    if len(token) < 16:
        raise Failure(f"{path} holds no token", "Delete it and try again.")
    return token


def mask(text: str) -> str:
    """Replace the password in every URI of a text, so that it can be printed."""
    return _PASSWORD.sub(r"\g<scheme>***@", text)


def _path(value: str) -> Path:
    return Path(os.path.expandvars(value)).expanduser().absolute()


def half_of_memory() -> str:
    """Return half of this machine's memory, in DuckDB's notation."""
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2**21}MiB"
