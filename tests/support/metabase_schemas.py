"""JSON schemas of the bodies that Metabase accepts, written from its source.

Read in the autumn of 2026: `CardCreateSchema` and `CardUpdateSchema` of
`queries_rest/api/card.clj`, `DashUpdates` and `UpdatedDashboardCard` of
`dashboards_rest/api.clj`, and `parameters/schema.clj`. Its maps of cards and dashboards are
closed: an unknown key is refused. Those of parameters are open; here they are closed too,
with the keys that its front end reads, so that a misspelt one is found.
"""

from typing import Any

from jsonschema import Draft202012Validator

Schema = dict[str, Any]
ID: Schema = {"type": "integer", "minimum": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
FILLED: Schema = {"type": "string", "pattern": r"\S"}
TRUTH: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
ANY: Schema = {}


def maybe(schema: Schema) -> Schema:
    """Allow null as well."""
    if "type" in schema:  # the messages then name what is wrong below it
        kinds = schema["type"]
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return schema | {"type": [*kinds, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def listed(schema: Schema) -> Schema:
    """Return a list of it."""
    return {"type": "array", "items": schema}


def closed(required: dict[str, Schema], optional: dict[str, Schema]) -> Schema:
    """Return an object with these keys and no others; optional ones may be null."""
    return {
        "type": "object",
        "properties": required | {key: maybe(each) for key, each in optional.items()},
        "required": list(required),
        "additionalProperties": False,
    }


TARGET: Schema = {
    "type": "array",
    "prefixItems": [
        {"const": "variable"},
        {"type": "array", "prefixItems": [{"const": "template-tag"}, FILLED]},
    ],
    "minItems": 2,
    "maxItems": 2,
}
FIELD: Schema = {
    "type": "array",
    "prefixItems": [{"const": "field"}, {"type": ["string", "integer"]}, maybe(OBJECT)],
    "minItems": 3,
    "maxItems": 3,
}
PARAMETER = closed(
    {
        "id": FILLED,
        "type": {"enum": ["category", "date/single", "date/range", "string/="]},
    },
    {
        "default": ANY,
        "filteringParameters": listed(FILLED),
        "isMultiSelect": TRUTH,
        "mappings": listed(OBJECT),
        "name": TEXT,
        "required": TRUTH,
        "sectionId": FILLED,
        "slug": TEXT,
        "target": TARGET,
        "temporal_units": listed(FILLED),
        "values_query_type": {"enum": ["none", "list", "search"]},
        "values_source_config": closed(
            {},
            {
                "values": listed(ANY),
                "card_id": ID,
                "value_field": FIELD,
                "label_field": FIELD,
            },
        ),
        "values_source_type": {"enum": ["static-list", "card"]},
    },
)
MAPPING = closed(
    {"parameter_id": FILLED, "target": TARGET}, {"card_id": ID, "dashcard": OBJECT}
)
TAG = closed(
    {
        "id": FILLED,
        "name": FILLED,
        "display-name": FILLED,
        "type": {"enum": ["text", "number", "date", "boolean", "dimension"]},
    },
    {"required": TRUTH, "default": ANY},
)
QUERY = closed(
    {
        "type": {"const": "native"},
        "database": ID,
        "native": closed(
            {"query": FILLED},
            {"template-tags": {"type": "object", "additionalProperties": TAG}},
        ),
    },
    {},
)
COMMON = {
    "parameters": listed(PARAMETER),
    "parameter_mappings": listed(MAPPING),
    "type": {"enum": ["question", "model", "metric"]},
    "collection_position": ID,
    "result_metadata": listed(OBJECT),
    "cache_ttl": ID,
    "dashboard_id": ID,
    "dashboard_tab_id": ID,
}
NEW_CARD = closed(
    {
        "name": FILLED,
        "dataset_query": QUERY,
        "display": FILLED,
        "visualization_settings": OBJECT,
    },
    COMMON
    | {
        "entity_id": FILLED,
        "description": FILLED,
        "collection_id": {"anyOf": [ID, FILLED]},
        "size": closed({"size_x": ID, "size_y": ID}, {}),
        "source_card_id": ID,
    },
)
CHANGED_CARD = closed(
    {},
    COMMON
    | {
        "name": FILLED,
        "dataset_query": QUERY,
        "display": FILLED,
        "description": TEXT,
        "visualization_settings": OBJECT,
        "archived": TRUTH,
        "enable_embedding": TRUTH,
        "embedding_type": TEXT,
        "embedding_params": OBJECT,
        "collection_id": ID,
        "collection_preview": TRUTH,
    },
)
DASHCARD = closed(
    {"id": {"type": "integer"}, "size_x": ID, "size_y": ID, "row": COUNT, "col": COUNT},
    {
        "card_id": ID,
        "action_id": ID,
        "dashboard_tab_id": {"type": "integer"},
        "parameter_mappings": listed(MAPPING),
        "visualization_settings": OBJECT,
        "inline_parameters": listed(FILLED),
        "series": listed(closed({"id": ID}, {})),
    },
)
CHANGED_DASHBOARD = closed(
    {},
    {
        "name": FILLED,
        "description": TEXT,
        "caveats": TEXT,
        "points_of_interest": TEXT,
        "show_in_getting_started": TRUTH,
        "enable_embedding": TRUTH,
        "embedding_type": TEXT,
        "embedding_params": OBJECT,
        "parameters": listed(PARAMETER),
        "position": ID,
        "width": {"enum": ["fixed", "full"]},
        "archived": TRUTH,
        "auto_apply_filters": TRUTH,
        "collection_id": ID,
        "collection_position": ID,
        "cache_ttl": ID,
        "dashcards": listed(DASHCARD),
        "tabs": listed(OBJECT),
    },
)
SCHEMAS = {
    ("POST", "card"): NEW_CARD,
    ("PUT", "card"): CHANGED_CARD,
    ("PUT", "dashboard"): CHANGED_DASHBOARD,
}


def problem(method: str, kind: str, body: Any) -> str:
    """Return what Metabase would refuse in a body; empty if nothing is known."""
    found = Draft202012Validator(SCHEMAS.get((method, kind), {})).iter_errors(body)
    return "; ".join(f"{each.json_path}: {each.message[:200]}" for each in found)
