"""Add our header, groups of tables, and plots to Datasette's own pages."""

from collections.abc import Sequence
from datetime import date, timedelta
from importlib import resources
from typing import Any
from urllib.parse import quote

from datasette.utils.asgi import Request
from jinja2 import ChoiceLoader, Environment, FileSystemLoader
from markupsafe import Markup

from cclake_web import formatting
from cclake_web.charts.svg import Chart, Series, bars, lines
from cclake_web.pages.web import asset_url, environment
from cclake_web.render.safe import plain

MOST = 360  # points of a plot
_FIRST = date(2001, 1, 1)  # points have no date: any will do
GROUPS = (
    ("Facts", "One row for each thing that happened.", ("fct_",)),
    ("Sums", "Facts added up by session, turn, day or quarter of an hour.", ("agg_",)),
    ("Dimensions", "What the facts are about.", ("dim_",)),
    ("Conversations", "What was said, in order, and its images.",
     ("thread_", "search_documents", "images")),
    ("Inside", "How the export was made, and how it is searched.", ("",)),
)  # fmt: skip


# Tags of Datasette's pages that lack a name or a tab stop, and their replacements.
NAMED = (
    ('<textarea id="sql-editor"', '<textarea aria-label="SQL" id="sql-editor"'),
    ('<div class="table-wrapper">',
     '<div class="table-wrapper" tabindex="0" role="region" aria-label="Rows">'),
    ('"column-descriptions">', '"column-descriptions" tabindex="0">'),
    *((f'name="_{name}"', f'name="_{name}" aria-label="{label}"') for name, label in (
        ("filter_column", "Column"), ("filter_op", "Condition"),
        ("filter_value", "Value"), ("sort", "Order"), ("search", "Search"),
    )),
    ("<h3", "<h2"), ("</h3>", "</h2>"),
)  # fmt: skip


def extend(env: Environment) -> None:
    """Give Datasette's templates our header, and ours before its own."""
    folder = str(resources.files("cclake_web").joinpath("stock"))
    assert env.loader
    env.loader = ChoiceLoader([FileSystemLoader(folder), env.loader])
    env.globals.update(
        our_header=header, table_groups=table_groups, plot=plot, asset_url=asset_url
    )
    env.filters["labelled"] = labelled


def header() -> Markup:
    """Return the header of our pages."""
    return Markup(
        environment()
        .get_template("_top.html")
        .render(path="/conversations", is_whole=True)
    )


def labelled(content: str) -> Markup:
    """Return a page of Datasette with names for its controls; the rest is unchanged."""
    # Text from logs is escaped, so it cannot contain these tags.
    found = str(content)
    for bare, named in NAMED:
        found = found.replace(bare, named)
    return Markup(found)


def table_groups(
    tables: Sequence[dict[str, Any]], views: Sequence[Any]
) -> list[tuple[str, str, list[Any]]]:
    """Return the tables in groups, each in the first group that it fits."""
    waiting = [*(one for one in tables if not one.get("hidden")), *views]
    found = []
    for title, about, beginnings in GROUPS:
        mine = [one for one in waiting if _name(one).startswith(beginnings)]
        waiting = [one for one in waiting if one not in mine]
        if mine:
            found.append((title, about, sorted(mine, key=_name)))
    return found


def _name(table: Any) -> str:
    return str(table["name"] if isinstance(table, dict) else table.name)


def session_link(value: str) -> Markup:
    """Return the id of a session as a link to its conversation."""
    return Markup('<a href="/session/{}">{}</a>').format(
        quote(value, safe=""), plain(value)
    )


def plot(
    request: Request, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Markup:
    """Return the choice of a plot, and the plot that the address asks for."""
    names = list(columns)
    kind = request.args.get("_plot") or ""
    x, y = request.args.get("_x"), request.args.get("_y")
    chosen = {
        "kind": kind if kind in ("bar", "line") else "",
        "_x": x if x in names else names[0],
        "_y": y if y in names else names[-1],
    }
    kept = [
        (name, value)
        for name in request.args
        if name not in ("_plot", "_x", "_y")
        for value in request.args.getlist(name)
    ]
    chart = None
    if chosen["kind"]:
        at, of = names.index(str(chosen["_x"])), names.index(str(chosen["_y"]))
        chart = drawn(str(chosen["kind"]), [(row[at], row[of]) for row in rows[:MOST]])
    return Markup(
        environment().get_template("_plot.html").render(
            path=request.path, kept=kept, chosen=chosen, columns=names, chart=chart,
            more=len(rows) > MOST, most=MOST,
        )
    )  # fmt: skip


def drawn(kind: str, pairs: Sequence[tuple[Any, Any]]) -> Markup | None:
    """Return values by name as bars or a line; None if none is a number.

    Rows that begin with the newest day are drawn from the oldest one.
    """
    texts = [
        formatting.one_line(Markup(str(name)).striptags(), 24) for name, _ in pairs
    ]
    values = [_number(value) for _, value in pairs]
    if all(value is None for value in values):
        return None
    if texts == sorted(texts, reverse=True):
        texts, values = texts[::-1], values[::-1]
    starts = [_FIRST + timedelta(days=number) for number in range(len(texts))]
    series = Series(
        "", [-1.0 if value is None else max(value, 0.0) for value in values]
    )
    chart = Chart("day", starts, [series], _said, names=texts)
    if kind == "line":
        return lines(chart)
    series.values = [max(value, 0.0) for value in series.values]
    return bars(chart)


def _number(value: Any) -> float | None:
    try:
        found = float(str(value).replace(",", ""))
    except ValueError:
        return None
    return found if abs(found) < 1e15 else None


def _said(value: float) -> str:
    return formatting.count(value) if abs(value) >= 100 else f"{value:.4g}"
