"""Restore the selected files."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bson.errors import BSONError
from cclake_archive.checkpoints import HISTORY, Checkpoint, hosts, read_checkpoints
from cclake_archive.client import Document, open_database
from cclake_common.failure import Failure
from pymongo.database import Database

from cclake_restore.content import Content
from cclake_restore.output_folder import EXISTS, OutputFolder
from cclake_restore.selection import Selection, Target, targets
from cclake_restore.sessions import files_of

EVERYTHING = Selection()


@dataclass(frozen=True)
class Request:
    """The request: what to restore, and where to.

    Attributes:
        out: The folder to restore into; a dry run does not need one.
        selection: The files to restore.
        host: Restore the files of this host only; None for all hosts.
        history: The file for the prompt history, which lies beside the root; None
            leaves it out.
        generation: The generation to restore; None for the newest of each file.
        dry_run: Only report what would be written.
    """

    out: Path | None = None
    selection: Selection = EVERYTHING
    host: str | None = None
    history: Path | None = None
    generation: int | None = None
    dry_run: bool = False


@dataclass(slots=True)
class Result:
    """The result for one file."""

    path: str
    host: str
    gen: int
    bytes: int = 0
    note: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return asdict(self)


def restore(
    uri: str,
    database: str,
    request: Request,
    begin: Callable[[int], None] = lambda _total: None,
) -> Iterator[Result]:
    """Restore file by file, and yield the result of each.

    Args:
        uri: Address of MongoDB.
        database: Name of the database.
        request: What to restore.
        begin: Called with the number of files.

    Raises:
        Failure: MongoDB does not answer, or no file was selected.
    """
    with open_database(uri, database, "restore") as db:
        yield from _restore(db, request, begin)


def _restore(
    db: Database[Document], request: Request, begin: Callable[[int], None]
) -> Iterator[Result]:
    files = list(read_checkpoints(db, request.host))
    if session := request.selection.session:
        keys = files_of(db, files, session)
        files = [file for file in files if file.key in keys or file.path == HISTORY]
    restorer = Restorer(db, request)
    chosen = [
        target
        for target in targets(files, request.selection)
        if restorer.wants(target.file)
    ]
    if not chosen:
        raise _nothing(db, request)
    begin(len(chosen))
    if request.dry_run or request.out is None:
        for target in chosen:
            yield restorer.run(target, restorer.measure)
        return
    with OutputFolder(request.out) as folder:
        for target in chosen:
            yield restorer.run(target, lambda one: restorer.write(one, folder))


def _nothing(db: Database[Document], request: Request) -> Failure:
    known = ", ".join(hosts(db))
    project = request.selection.project
    of = f" of the project {project}" if project else ""
    return Failure(
        f"the archive has no matching file{of}",
        f"`restore --dry-run` lists all. Hosts: {known or 'none'}.",
    )


@dataclass(frozen=True)
class Restorer:
    """Restore single files of a database for one request."""

    db: Database[Document]
    request: Request

    def wants(self, file: Checkpoint) -> bool:
        """Return whether the request includes a file."""
        wanted = file.path != HISTORY or self.request.history is not None
        return wanted and (self.request.generation or 0) <= file.gen

    def run(self, target: Target, work: Callable[[Target], int]) -> Result:
        """Work on one file; turn a failure into a result.

        Args:
            target: The file, and where it goes.
            work: Does the work, and returns the number of bytes.
        """
        file, asked = target.file, self.request.generation
        gen = file.gen if asked is None else asked
        result = Result(target.path, file.host, gen, note=target.note)
        try:
            if target.refused:
                raise Failure(target.refused)
            result.bytes = work(target)
        except Failure as failure:
            result.error = str(failure)
        except BSONError as error:
            result.error = f"one of its documents is damaged: {error}"
        return result

    def measure(self, target: Target) -> int:
        """Return the number of bytes that would be written."""
        history = self._history(target.file)
        out = self.request.out
        place = history or (out and out / target.path)
        if place and os.path.lexists(place):
            raise Failure(EXISTS)
        return self._content(target.file).size()

    def write(self, target: Target, folder: OutputFolder) -> int:
        """Write the file; return its number of bytes."""
        pieces = self._content(target.file).pieces()
        history = self._history(target.file)
        if history is None:
            return folder.write(target.path, pieces)
        with OutputFolder(history.absolute().parent) as beside:
            return beside.write(history.name, pieces)

    def _history(self, file: Checkpoint) -> Path | None:
        return self.request.history if file.path == HISTORY else None

    def _content(self, file: Checkpoint) -> Content:
        asked = self.request.generation
        if asked is None or asked == file.gen:
            return Content(self.db, file.key, file.gen, file.off)
        return Content(self.db, file.key, asked, None)
