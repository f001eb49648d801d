"""Run one extraction by the options of `extract run`."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from cclake_archive.client import Document
from cclake_archive.watermarks import acknowledged
from cclake_common.failure import Failure
from cclake_common.progress import bars
from cclake_common.visible import visible_lines
from cclake_lake.catalog import answering, damaged, find_table, require_table
from cclake_lake.settings import Lake
from pymongo.database import Database

from cclake_extract import mongo
from cclake_extract.backfill import backfill
from cclake_extract.damage import damage, explained, forget_damaged
from cclake_extract.incremental import extract
from cclake_extract.maintenance.policy import due, maintain
from cclake_extract.watermark import state_of


@dataclass
class Run:
    """One extraction with its options."""

    lake: Lake
    database: Database[Document]
    full: bool = False
    since: datetime | None = None
    maintain_every: int = 20

    def execute(self) -> dict[str, Any]:
        """Extract, and return the outcome.

        Raises:
            Failure: `--since` was given for a table that has a watermark.
        """
        if self.full:
            forget_damaged(self.lake)
        with explained(self.lake), bars("documents") as shown:
            if shown.shown:
                shown.start("extract", self._total() or None)
            advance = partial(shown.advance, "extract")
            if self.full or self.since:
                self._taken()
                outcome = backfill(self.lake, self.database, self._since(), advance)
            else:
                outcome = extract(self.lake, self.database, advance)
        return outcome.as_dict() | {
            "maintenance": self._maintain() if outcome.commits else None
        }

    def _total(self) -> int:
        ranges = mongo.missing_ranges(acknowledged(self.database), self._taken())
        return sum(up_to - after for _, after, up_to in ranges)

    def preview(self) -> dict[str, Any]:
        """Return how many documents a run would read, for each buffer."""
        ranges = mongo.missing_ranges(acknowledged(self.database), self._taken())
        conversations = self.database["conversations"]
        moment = self._since()
        late = {"ingestedAt": {"$gte": moment}} if moment else {}
        counts = {
            buffer: conversations.count_documents(
                mongo.query(buffer, after, up_to) | late
            )
            for buffer, after, up_to in ranges
        }
        return {"dry_run": True, "documents": sum(counts.values()), "buffers": counts}

    def _since(self) -> datetime | None:
        return self.since.replace(tzinfo=UTC) if self.since else None

    def _maintain(self) -> dict[str, Any] | None:
        """Maintain the table when that is due; a failure does not fail the run."""
        try:
            table = require_table(self.lake)
            if self.maintain_every and due(table, self.maintain_every):
                with answering(self.lake):
                    return maintain(table)
        except Exception as error:  # the extracted rows are committed in any case
            why = self._reason(error)
            hint = f" {why.hint}" if isinstance(why, Failure) else ""
            said = visible_lines(f"extract: table maintenance failed: {why}{hint}")
            print(said, file=sys.stderr)
        return None

    def _reason(self, error: Exception) -> Exception:
        """Return the damage that explains an error, or the error."""
        try:
            found = damage(self.lake)
        except Exception:  # the catalog no longer answers: the first error says more
            return error
        return damaged(self.lake, found) if found else error

    def _taken(self) -> dict[str, int]:
        table = find_table(self.lake)
        taken = state_of(table).watermarks if table else {}
        if self.since and taken and not self.full:
            raise Failure(
                "--since needs an empty table: this one resumes from its watermark",
                "Give --full-backfill with --since to rebuild it from that day.",
            )
        return {} if self.full else taken
