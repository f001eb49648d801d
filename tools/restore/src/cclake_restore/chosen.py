"""Which archived files are to be restored, and where each goes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cclake_archive.checkpoints import HISTORY, Checkpoint


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user asked for; None stands for everything.

    Attributes:
        session: A session's id or a file's name, or the beginning of one.
        project: The name of a project's folder, or the project's path.
    """

    session: str | None = None
    project: str | None = None

    def takes(self, path: str) -> bool:
        """Whether a path belongs to the chosen project."""
        folders = (self.project, encoded(self.project or ""))
        return not self.project or path.split("/")[0] in folders


@dataclass(frozen=True, slots=True)
class Target:
    """A file and the relative path that it is restored to.

    Attributes:
        note: Why it does not go to its own path; empty when it does.
        refused: Why it goes nowhere; empty when it does not.
    """

    file: Checkpoint
    path: str
    note: str = ""
    refused: str = ""


def encoded(project: str) -> str:
    """The folder that Claude Code makes for a project's path."""
    return re.sub(r"[^A-Za-z0-9]", "-", project)


def targets(files: Iterable[Checkpoint], choice: Choice) -> list[Target]:
    """Where each chosen file goes, in the order of the paths.

    A path that several files had over time belongs to the one that has it now, or
    had it last; the others get their key as a suffix.
    """
    wanted = [one for one in files if one.path == HISTORY or choice.takes(one.path)]
    folders = _folders(wanted)
    found: dict[str, Target] = {}
    for file in sorted(wanted, key=_rank):
        target = _target(file, folders[file.host, file.root])
        if target.path in found:
            target = _beside(target)
        found[target.path] = target
    return sorted(found.values(), key=lambda target: target.path)


def is_safe(path: str) -> bool:
    """Whether a relative path stays inside the folder that it is put into."""
    return not {"", ".", ".."} & {*path.split("/")} and "\0" not in path


def _target(file: Checkpoint, folder: str) -> Target:
    if file.path == HISTORY:
        return Target(file, HISTORY)
    path = folder + file.path
    refused = "" if is_safe(path) else "its path leads out of the folder"
    return Target(file, path, refused=refused)


def _beside(target: Target) -> Target:
    path = f"{target.path}.{target.file.key}"
    if target.file.path == HISTORY:
        refused = "there are several histories: choose one --host"
        return Target(target.file, path, refused=refused)
    note = f"a later file has the path {target.path}"
    return Target(target.file, path, note, target.refused)


def _rank(file: Checkpoint) -> tuple[bool, float]:
    """Files that are live come first, then the newest."""
    newest = file.at.timestamp() if hasattr(file.at, "timestamp") else 0.0
    return file.state != "live", -newest


def _folders(files: Iterable[Checkpoint]) -> dict[tuple[str, str], str]:
    """The folder for each host and root; none where there is only one of them."""
    places = sorted({(file.host, file.root) for file in files})
    hosts = {host for host, _root in places}
    made = {}
    for host, root in places:
        roots = [other for other in places if other[0] == host]
        steps = [host] if len(hosts) > 1 else []
        steps += [encoded(root)] if len(roots) > 1 else []
        made[host, root] = "".join(f"{step.replace('/', '-')}/" for step in steps)
    return made
