"""Select the archived files to restore, and where each goes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cclake_archive.checkpoints import HISTORY, Checkpoint


@dataclass(frozen=True, slots=True)
class Selection:
    """The selection of the user; None selects everything.

    Attributes:
        session: A session's id or a file's name, or the beginning of one.
        project: The name of a project's folder, or the project's path.
    """

    session: str | None = None
    project: str | None = None

    def includes(self, path: str) -> bool:
        """Return whether a path belongs to the selected project."""
        folders = (self.project, encoded(self.project or ""))
        return not self.project or path.split("/")[0] in folders


@dataclass(frozen=True, slots=True)
class Target:
    """A file and the relative path that it is restored to.

    Attributes:
        note: Why it does not go to its own path; empty if it does.
        refused: Why it can't be restored; empty if it can.
    """

    file: Checkpoint
    path: str
    note: str = ""
    refused: str = ""


def encoded(project: str) -> str:
    """Return the name that Claude Code gives to a project's folder."""
    return re.sub(r"[^A-Za-z0-9]", "-", project)


def targets(files: Iterable[Checkpoint], selection: Selection) -> list[Target]:
    """Return where each selected file goes, ordered by path.

    If several files had the same path over time, the one that has it now, or had it
    last, gets it. The others get their key as a suffix.
    """
    wanted = [
        one for one in files if one.path == HISTORY or selection.includes(one.path)
    ]
    folders = _folders(wanted)
    found: dict[str, Target] = {}
    for file in sorted(wanted, key=_rank):
        target = _target(file, folders[file.host, file.root])
        if target.path in found:
            target = _beside(target)
        found[target.path] = target
    return sorted(found.values(), key=lambda target: target.path)


def is_safe(path: str) -> bool:
    """Return whether a relative path stays inside of its folder."""
    return not {"", ".", ".."} & {*path.split("/")} and "\0" not in path


def _target(file: Checkpoint, folder: str) -> Target:
    if file.path == HISTORY:
        return Target(file, HISTORY)
    path = folder + file.path
    refused = "" if is_safe(path) else "its path points outside of the folder"
    return Target(file, path, refused=refused)


def _beside(target: Target) -> Target:
    path = f"{target.path}.{target.file.key}"
    if target.file.path == HISTORY:
        refused = "there are several histories: select one with --host"
        return Target(target.file, path, refused=refused)
    note = f"a later file has the path {target.path}"
    return Target(target.file, path, note, target.refused)


def _rank(file: Checkpoint) -> tuple[bool, float]:
    """Return the sort key: live files first, then the newest."""
    newest = file.at.timestamp() if hasattr(file.at, "timestamp") else 0.0
    return file.state != "live", -newest


def _folders(files: Iterable[Checkpoint]) -> dict[tuple[str, str], str]:
    """Return the folder of each host and root; empty if there is only one."""
    places = sorted({(file.host, file.root) for file in files})
    hosts = {host for host, _root in places}
    made = {}
    for host, root in places:
        roots = [other for other in places if other[0] == host]
        steps = [host] if len(hosts) > 1 else []
        steps += [encoded(root)] if len(roots) > 1 else []
        made[host, root] = "".join(f"{step.replace('/', '-')}/" for step in steps)
    return made
