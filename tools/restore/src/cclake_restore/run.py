"""Restoring, from the choice to the files."""

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

from cclake_restore.chosen import Choice, Target, targets
from cclake_restore.content import Content
from cclake_restore.folder import THERE, Folder
from cclake_restore.sessions import files_of

EVERYTHING = Choice()


@dataclass(frozen=True)
class Request:
    """What to restore, and where to.

    Attributes:
        out: The folder that stands for the root; a dry run needs none.
        history: The file for the prompt history, which lies beside the root; None
            leaves it out.
        generation: An older generation of each file; None for the newest.
        dry_run: Only say what would be written.
    """

    out: Path | None = None
    choice: Choice = EVERYTHING
    host: str | None = None
    history: Path | None = None
    generation: int | None = None
    dry_run: bool = False


@dataclass(slots=True)
class Result:
    """What became of one file."""

    path: str
    host: str
    gen: int
    bytes: int = 0
    note: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def restore(
    uri: str,
    database: str,
    request: Request,
    begin: Callable[[int], None] = lambda _total: None,
) -> Iterator[Result]:
    """Restore file by file; gives the result of each.

    Args:
        uri: Address of MongoDB.
        database: Name of the database.
        request: What to restore.
        begin: Told the number of files.

    Raises:
        Failure: MongoDB does not answer, or nothing in it was chosen.
    """
    with open_database(uri, database, "restore") as db:
        yield from _restore(db, request, begin)


def _restore(
    db: Database[Document], request: Request, begin: Callable[[int], None]
) -> Iterator[Result]:
    files = list(read_checkpoints(db, request.host))
    if session := request.choice.session:
        keys = files_of(db, files, session)
        files = [file for file in files if file.key in keys or file.path == HISTORY]
    job = Job(db, request)
    chosen = [
        target for target in targets(files, request.choice) if job.concerns(target.file)
    ]
    if not chosen:
        raise _nothing(db, request)
    begin(len(chosen))
    if request.dry_run or request.out is None:
        for target in chosen:
            yield job.run(target, job.measure)
        return
    with Folder(request.out) as folder:
        for target in chosen:
            yield job.run(target, lambda one: job.write(one, folder))


def _nothing(db: Database[Document], request: Request) -> Failure:
    known = ", ".join(hosts(db))
    project = request.choice.project
    of = f" of the project {project}" if project else ""
    return Failure(
        f"the archive has no such file{of}",
        f"`restore --dry-run` lists all. Hosts: {known or 'none'}.",
    )


@dataclass(frozen=True)
class Job:
    """One request to one database."""

    db: Database[Document]
    request: Request

    def concerns(self, file: Checkpoint) -> bool:
        """Whether the request is about this file at all."""
        wanted = file.path != HISTORY or self.request.history is not None
        return wanted and (self.request.generation or 0) <= file.gen

    def run(self, target: Target, work: Callable[[Target], int]) -> Result:
        """Do the work on one file, which gives its bytes; a failure is a result."""
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
            result.error = f"a document of it is damaged: {error}"
        return result

    def measure(self, target: Target) -> int:
        """The bytes that would be written."""
        history = self._history(target.file)
        out = self.request.out
        place = history or (out and out / target.path)
        if place and os.path.lexists(place):
            raise Failure(THERE)
        return self._content(target.file).size()

    def write(self, target: Target, folder: Folder) -> int:
        """Write the file; gives its bytes."""
        pieces = self._content(target.file).pieces()
        history = self._history(target.file)
        if history is None:
            return folder.write(target.path, pieces)
        with Folder(history.absolute().parent) as beside:
            return beside.write(history.name, pieces)

    def _history(self, file: Checkpoint) -> Path | None:
        return self.request.history if file.path == HISTORY else None

    def _content(self, file: Checkpoint) -> Content:
        asked = self.request.generation
        if asked is None or asked == file.gen:
            return Content(self.db, file.key, file.gen, file.off)
        return Content(self.db, file.key, asked, None)
