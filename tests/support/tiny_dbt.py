"""A dbt project of one mart over `raw.conversations`, for tests of what runs dbt."""

from pathlib import Path

_PROJECT = """
name: tiny
version: "0.1.0"
profile: tiny
target-path: "{{ env_var('DBT_TARGET_PATH', 'target') }}"
log-path: "{{ env_var('DBT_LOG_PATH', 'logs') }}"
models:
  tiny:
    +materialized: table
    +schema: marts
"""
_PROFILES = """
tiny:
  target: dev
  outputs:
    dev: {type: duckdb, path: "{{ env_var('DUCKDB_PATH') }}", threads: 1}
"""
_SCHEMA = """
{% macro generate_schema_name(custom, node) %}{{ custom or target.schema }}
{% endmacro %}
"""
_MODEL = "select doc_id, part, session_id, entry from raw.conversations"
_YAML = """
models:
  - name: fct_messages
    columns:
      - name: doc_id
        data_tests: [not_null]
"""


def make_project(folder: Path, model: str = _MODEL) -> Path:
    """Write the project; its only mart is `fct_messages`."""
    files = {
        "dbt_project.yml": _PROJECT,
        "profiles.yml": _PROFILES,
        "macros/schema.sql": _SCHEMA,
        "models/fct_messages.sql": model,
        "models/fct_messages.yml": _YAML,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
