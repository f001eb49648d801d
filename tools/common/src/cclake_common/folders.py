"""Spell folders one way, as gold does."""

import re

_OTHER = ("//", "/\\", "\\", "/mnt/", "/cygdrive/")
_DRIVE = r"[A-Za-z]:(?:[\\/]|$)|[\\/]{2}"


def normal_path(path: str) -> str:
    """Return a folder as the dbt macro `normal_path` writes it.

    Windows and WSL have several names for a folder: drives and the names of hosts in
    either case, slashes either way, and `/mnt/c`.
    """
    if not path.startswith(_OTHER) and path[1:2] != ":":
        return path  # the status line does not wait for regular expressions
    if re.match(_DRIVE, path):
        path = path.replace("\\", "/")
        path = re.sub(r"(?i)^//[?.]/UNC/", "//", path)
        path = re.sub(r"^//[?.]/", "", path)
    path = re.sub(r"^//(?:(?i:wsl\$|wsl\.localhost))/[^/]+(/|$)", "/", path)
    path = re.sub(r"^/(?:mnt|cygdrive)/([A-Za-z])(/|$)", r"\1:/", path)
    if re.match("[A-Za-z]:", path):
        return path[0].upper() + path[1:]
    if host := re.match("//[^/]*", path):
        return host[0].lower() + path[host.end() :]
    return path
