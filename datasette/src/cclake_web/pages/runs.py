"""`/runs`: what the pipeline did, and whether it is healthy."""

import sqlite3

from cclake_common.masking import mask
from datasette.utils.asgi import Response

from cclake_web.data.runs import published_at, runs
from cclake_web.pages.web import Visit, view


@view
async def runs_page(visit: Visit) -> Response:
    """Return the last runs with their stages; failed ones with their messages."""
    record = visit.state.config.record

    def answer(connection: sqlite3.Connection) -> Response:
        found = runs(connection, record)
        for run in found:
            for stage in run.stages:
                stage.detail = mask(stage.detail)
        ended = [run for run in found if run.outcome != "running"]
        return visit.page(
            "runs.html",
            runs=found,
            last=ended[0] if ended else None,
            published=published_at(connection),
        )

    return await visit.export.read(answer)
