"""Run the whole proof."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cclake_archive.checkpoints import hosts
from cclake_archive.client import Document, open_database
from cclake_common.failure import Failure
from cclake_lake.settings import Lake
from pymongo.database import Database

from cclake_verify.archive import Archive
from cclake_verify.buffer import Pending, read_buffer
from cclake_verify.disk import has_lines
from cclake_verify.finding import BEHIND, BROKEN, CHANGED, MISSING, Finding
from cclake_verify.proof_cache import ProofCache
from cclake_verify.report import Report
from cclake_verify.stores import Advance, Stores, buffer_finding


@dataclass(frozen=True)
class Settings:
    """The places of all stores, and the rules of the proof."""

    mongo_uri: str
    mongo_db: str
    host: str
    roots: Sequence[Path]
    state: Path
    buffer: Path
    warehouse: Path
    exports: Path
    lake: Lake
    grace: float
    side_files: bool = True


def verify(
    settings: Settings,
    only_host: str | None = None,
    full: bool = False,
    begin: Callable[[int], None] = lambda _total: None,
    step: Callable[[Finding], None] = lambda _finding: None,
    advance: Advance = lambda _store, _rows: None,
) -> Report:
    """Prove every file, then every store.

    Args:
        settings: The places of all stores, and the rules of the proof.
        only_host: Prove the files of this host only.
        full: Read again what was proven before, and compare the content of the stores.
        begin: Called with the number of files.
        step: Called with each finding.
        advance: Called with the name of a store and the number of rows just read.

    Raises:
        Failure: A store does not answer.
    """
    with open_database(settings.mongo_uri, settings.mongo_db, "verify") as database:
        return _verify(settings, database, only_host, full, begin, step, advance)


def _is_left_out(finding: Finding) -> bool:
    """Return whether a side file lags only because side files are no longer read."""
    lags = finding.status in (MISSING, BEHIND, CHANGED)
    return lags and not has_lines(finding.path)


def _verify(
    settings: Settings,
    db: Database[Document],
    only_host: str | None,
    full: bool,
    begin: Callable[[int], None],
    step: Callable[[Finding], None],
    advance: Advance,
) -> Report:
    pending = read_buffer(settings.buffer, settings.host, full, settings.grace)
    report = Report(settings.grace, full, pending=pending)
    cache = ProofCache(settings.state, archive_id(db))
    try:
        archive = Archive(db, settings.host, settings.roots, cache)
        points = archive.checkpoints(only_host)
        if only_host not in (None, settings.host) and not points:
            raise _unknown(db, str(only_host))
        begin(len(points))
        report.files = archive.prove(points, full, step)
        if only_host in (None, settings.host):
            report.files += archive.missing(points)
            report.left_out = archive.left_out
        if not settings.side_files:
            kept = [one for one in report.files if not _is_left_out(one)]
            if len(kept) < len(report.files):
                report.left_out["side files"] = len(report.files) - len(kept)
            report.files = kept
        if pending:
            _explain(report.files, pending)
        broken = sum(one.status == BROKEN for one in report.files)
        stores = Stores(db, cache, full, advance)
        report.stores = stores.compare(
            settings.lake, settings.warehouse, settings.exports, broken
        )
        if pending:
            report.stores.append(buffer_finding(pending.queued, pending.faults))
        cache.save()
    finally:
        cache.close()
    return report


def archive_id(db: Database[Document]) -> str:
    """Return the identity of the archive, which changes if it is recreated."""
    for found in db.list_collections(filter={"name": "conversations"}):
        return str(found["info"]["uuid"].hex())
    return ""


def _unknown(db: Database[Document], host: str) -> Failure:
    """Return the failure for a host without archived files: a proof would be empty."""
    known = ", ".join(hosts(db))
    return Failure(f"the archive has no host {host}", f"It has: {known or 'none'}.")


def _explain(findings: list[Finding], pending: Pending) -> None:
    for finding in findings:
        dead = pending.dead_between(finding.file, 0, finding.off)
        if finding.status == BROKEN and dead:
            finding.faults.append(
                f"{dead} of its lines are dead letters: `buffer dead-letters list`"
            )
