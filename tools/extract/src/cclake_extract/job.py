"""What one call of `extract run` does, by its options."""

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
from cclake_extract.care.auto import care, due
from cclake_extract.damage import damage, forget_damaged, told
from cclake_extract.run import extract
from cclake_extract.state import state_of


@dataclass
class Job:
    """One extraction with its options."""

    lake: Lake
    database: Database[Document]
    full: bool = False
    since: datetime | None = None
    care_every: int = 20

    def run(self) -> dict[str, Any]:
        """Do it; returns the outcome.

        Raises:
            Failure: `--since` was given for a table that has a watermark.
        """
        if self.full:
            forget_damaged(self.lake)
        with told(self.lake), bars("documents") as shown:
            if shown.shown:
                shown.start("extract", self._total() or None)
            advance = partial(shown.advance, "extract")
            if self.full or self.since:
                self._taken()
                outcome = backfill(self.lake, self.database, self._since(), advance)
            else:
                outcome = extract(self.lake, self.database, advance)
        return outcome.as_dict() | {"care": self._care() if outcome.commits else None}

    def _total(self) -> int:
        ranges = mongo.behind(acknowledged(self.database), self._taken())
        return sum(up_to - after for _, after, up_to in ranges)

    def preview(self) -> dict[str, Any]:
        """Return how many documents a run would read now, buffer by buffer."""
        ranges = mongo.behind(acknowledged(self.database), self._taken())
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

    def _care(self) -> dict[str, Any] | None:
        """Take care of the table when it is due; never at the cost of the run."""
        try:
            table = require_table(self.lake)
            if self.care_every and due(table, self.care_every):
                with answering(self.lake):
                    return care(table)
        except Exception as error:  # what was extracted is in the table, whatever it is
            why = self._reason(error)
            hint = f" {why.hint}" if isinstance(why, Failure) else ""
            said = visible_lines(f"extract: table care failed: {why}{hint}")
            print(said, file=sys.stderr)
        return None

    def _reason(self, error: Exception) -> Exception:
        """Return the damage that explains an error, or the error."""
        try:
            found = damage(self.lake)
        except Exception:  # the catalog is silent by now: the first error says more
            return error
        return damaged(self.lake, found) if found else error

    def _taken(self) -> dict[str, int]:
        table = find_table(self.lake)
        taken = state_of(table).watermarks if table else {}
        if self.since and taken and not self.full:
            raise Failure(
                "the table has rows already and continues from its watermark",
                "give --full-backfill with --since to rebuild it from that day on",
            )
        return {} if self.full else taken
