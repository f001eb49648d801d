"""Build the bodies of API requests from dashboards.

The shapes are those of the REST API of Metabase 50 and later: native queries with
template tags, `visualization_settings` by output column, dashcards in a grid of 24.
"""

import json
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cclake_metabase.layout import places
from cclake_metabase.model import CHARTS, FILTERS, Card, Dashboard

Body = dict[str, Any]

VALUES = {
    "project": "select project_name as value from dim_projects group by 1 order by 1",
    "host": "select host as value from dim_sessions group by 1 order by 1",
    "model": "select model as value from dim_models order by 1",
}
"""The query for the choices of each filter; it becomes a card of one column."""


def values_card(name: str, database: int, collection: int) -> Body:
    """Return the card whose rows are the choices of one filter."""
    return {
        "name": f"Choices: {FILTERS[name][0].lower()}",
        "description": "The choices of a filter of the dashboards.",
        "display": "table",
        "collection_id": collection,
        "dataset_query": _query(VALUES[name], {}, database),
        "visualization_settings": {},
    }


def card(card: Card, database: int, collection: int, pages: str) -> Body:
    """Return the body of `POST /api/card`.

    Args:
        card: The card.
        database: Id of the database in Metabase.
        collection: Id of the collection.
        pages: Address of the pages, for links; without a slash at the end.
    """
    return {
        "name": card.name,
        "description": card.description or None,
        "display": card.display,
        "collection_id": collection,
        "dataset_query": _query(card.sql, _tags(card), database),
        "parameters": [_card_parameter(name) for name in card.filters],
        "visualization_settings": _settings(card, pages),
    }


def dashboard(
    dashboard: Dashboard, cards: Mapping[str, int], choices: Mapping[str, int]
) -> Body:
    """Return the body of `PUT /api/dashboard/:id`, with all cards and the filters.

    Args:
        dashboard: The dashboard.
        cards: Id of each card in Metabase, by name.
        choices: Id of the card with a filter's choices, by filter.
    """
    return {
        "name": dashboard.name,
        "description": dashboard.description,
        "parameters": [_parameter(name, choices) for name in dashboard.filters],
        "dashcards": [
            {
                "id": -number,
                "card_id": cards[place.card.name],
                "row": place.row,
                "col": place.col,
                "size_x": place.card.width,
                "size_y": place.card.height,
                "visualization_settings": {},
                "parameter_mappings": [
                    {
                        "parameter_id": name,
                        "card_id": cards[place.card.name],
                        "target": ["variable", ["template-tag", name]],
                    }
                    for name in place.card.filters
                ],
            }
            for number, place in enumerate(places(dashboard.cards), 1)
        ],
    }


def _query(sql: str, tags: Body, database: int) -> Body:
    native = {"query": sql.strip() + "\n", "template-tags": tags}
    return {"type": "native", "database": database, "native": native}


def _tags(card: Card) -> Body:
    return {
        name: {
            "id": _tag_id(name),
            "name": name,
            "display-name": FILTERS[name][0],
            "type": FILTERS[name][1],
            "required": False,
        }
        for name in card.filters
    }


def _tag_id(name: str) -> str:
    # Constant, so that an unchanged card has an unchanged body.
    return str(uuid5(NAMESPACE_URL, f"cclake:filter:{name}"))


def _card_parameter(name: str) -> Body:
    label, kind = FILTERS[name]
    return {
        "id": _tag_id(name),
        "name": label,
        "slug": name,
        "type": "date/single" if kind == "date" else "category",
        "target": ["variable", ["template-tag", name]],
    }


def _parameter(name: str, choices: Mapping[str, int]) -> Body:
    label, kind = FILTERS[name]
    found: Body = {"id": name, "name": label, "slug": name}
    if kind == "date":
        return found | {"type": "date/single"}
    return found | {
        "type": "string/=",
        "isMultiSelect": False,
        "values_source_type": "card",
        "values_source_config": {
            "card_id": choices[name],
            "value_field": ["field", "value", {"base-type": "type/Text"}],
        },
    }


def _settings(card: Card, pages: str) -> Body:
    found: Body = {}
    if card.display in CHARTS:
        found["graph.dimensions"] = list(card.x)
        found["graph.metrics"] = list(card.y)
    elif card.display == "pie":
        found["pie.dimension"], found["pie.metric"] = card.x[0], card.y[0]
    elif card.display == "scalar" and card.y:
        found["scalar.field"] = card.y[0]
    if card.stack:
        found["stackable.stack_type"] = card.stack
    if columns := _column_settings(card, pages):
        found["column_settings"] = columns
    return found


def _column_settings(card: Card, pages: str) -> Body:
    """Return settings by column; Metabase's keys are JSON arrays in strings."""
    columns: dict[str, Body] = {}
    for name in card.money:
        columns.setdefault(name, {}).update(number_style="currency", currency="USD")
    for name in card.percent:
        columns.setdefault(name, {}).update(number_style="percent", decimals=1)
    for name, title in card.titles.items():
        columns.setdefault(name, {}).update(column_title=title)
    for name, path in card.links.items():
        columns.setdefault(name, {}).update(view_as="link", link_url=pages + path)
    return {
        json.dumps(["name", name], separators=(",", ":")): settings
        for name, settings in columns.items()
    }
