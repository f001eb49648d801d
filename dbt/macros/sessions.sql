{% macro uuid_pattern() -%}
    [0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}
{%- endmacro %}


{#
    The session that a log file is named after, or the folder that it lies in. Only a
    whole name counts: a working folder may hold a UUID as well.
#}
{% macro path_session(path) -%}
    {%- call(path) by_row('text', path) -%}
    nullif(
        regexp_extract(
            {{ path }},
            '(?:^|/)({{ uuid_pattern() }})(?:\.jsonl$|/(?:subagents|tool-results|workflows)/)',
            1
        ),
        ''
    )
    {%- endcall %}
{%- endmacro %}


{# The agent that a log file is named after; an empty text if it is named otherwise. #}
{% macro file_agent(path) -%}
    {%- call(text) by_row('text', path) -%}
        regexp_extract({{ text }}, '(?:^|/)agent-([^/]+)\.jsonl$', 1)
    {%- endcall %}
{%- endmacro %}


{#
    The folder of a project's logs, wherever the root of all logs is: what lies below
    `projects`, or what holds the main file.
#}
{% macro log_folder(path, project_id) -%}
    {%- call(path, project_id) by_row('text', path, project_id) -%}
    coalesce(
        nullif(regexp_extract({{ path }}, '^(?:.*/)?projects/([^/]+)/', 1), ''),
        nullif(
            regexp_extract(
                {{ path }},
                '([^/]+)/(?:{{ uuid_pattern() }}/(?:subagents|tool-results|workflows)/.*|[^/]+\.jsonl)$',
                1
            ),
            ''
        ),
        {{ project_id }}
    )
    {%- endcall %}
{%- endmacro %}


{#
    Whether a line's session or entry may have to be found elsewhere: it does not
    evidently name its session, or it is a copy. A test of text, so that most lines
    need no parsing for it.
#}
{% macro is_loose(alias) -%}
    (
        not coalesce(
            contains(
                {{ alias }}.entry, '"sessionId":"' || nullif({{ alias }}.session_id, '') || '"'
            ),
            false
        )
        or contains({{ alias }}.entry, '"forkedFrom"')
    )
{%- endmacro %}
