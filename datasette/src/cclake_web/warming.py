"""What a new generation reads before it is shown, so that no page has to wait."""

from cclake_web.data import rollup
from cclake_web.data.filters import Filters
from cclake_web.generation import Generation
from cclake_web.pages.dashboard import gathered
from cclake_web.pages.sessions import chart, choices, listed, totals
from cclake_web.pages.web import zones_seen


def prepare(export: Generation, before: Generation | None = None) -> None:
    """Make the sums, and all that the first pages show without a filter.

    Args:
        export: The new generation.
        before: The one whose sums may be carried on.
    """
    rollup.ask_list(export, lambda sums: choices(sums, export))
    rollup.continue_from(export, before)
    for zone in zones_seen():
        filters = Filters(zone=zone)
        listed(filters, "", export)
        totals(filters, export)
        chart(filters, "", export)
        gathered(export, filters)
