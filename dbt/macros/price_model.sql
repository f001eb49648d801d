{#
    The name under which a model is in the price list: the plain name, without
    the provider, date and revision that Bedrock, Vertex and gateways add.
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0' is 'claude-sonnet-4-5'. A model that
    is no Claude keeps its name, for the user's own list.
#}
{% macro price_model(column) -%}
    coalesce(
        nullif(
            regexp_replace(
                regexp_replace(
                    regexp_replace(
                        replace(
                            regexp_extract(lower({{ column }}), 'claude-[a-z0-9.-]+'),
                            '.', '-'
                        ),
                        '-v\d+(-\d+)?$', ''
                    ),
                    '-(\d{8}|latest)$', ''
                ),
                '^(claude-(opus|sonnet)-4)-0$', '\1'
            ),
            ''
        ),
        lower({{ column }})
    )
{%- endmacro %}
