{#
    How a model is called. `int_model_names` applies these macros once to each name that
    the logs have; everything else looks there.
#}


{#
    The plain name, as Anthropic's own API and the price list have it. Providers add
    prefixes, regions, dates and revisions, put the version first, and write dots or
    underscores for dashes; some names end in a variant (thinking, fast, 1m).
    'us.anthropic.claude-4.5-sonnet-20250929-v1:0' is 'claude-sonnet-4-5'. A model that is
    not a Claude keeps its name, for the user's own list.
#}
{% macro price_model(column) -%}
    {%- call(column) by_row('text', column) -%}
    case
        when {{ is_claude(column) }}
            then
                regexp_replace(
                    regexp_replace(
                        regexp_replace(
                            regexp_replace(
                                {{ claude_words(column) }},
                                '^claude-(\d{1,2})((?:-\d{1,2})?)-([a-z]{2,})(-.*)?$',
                                'claude-\3-\1\2'
                            ),
                            '^claude-([a-z]{2,})-(\d{1,2})((?:-\d{1,2})?)(-.*)?$',
                            'claude-\1-\2\3'
                        ),
                        '^(claude-[a-z]+-\d+)-0$', '\1'
                    ),
                    -- Up to Claude 3 the version came first.
                    '^claude-([a-z]+)-([1-3])((?:-\d+)?)$', 'claude-\2\3-\1'
                )
        else lower(trim({{ column }}))
    end
    {%- endcall %}
{%- endmacro %}


{#
    Other models are named after a Claude whose answers they were trained on; smaller
    ones would have prices of their own.
#}
{% macro is_claude(column) -%}
    (
        regexp_matches(lower({{ column }}), '(^|[^a-z0-9])claude[^a-z0-9]')
        and not regexp_matches(
            lower({{ column }}),
            'distill|gguf|lora|fine-?tun|abliterat|[0-9]b($|[^a-z0-9])|[^a-z0-9](mini|nano|lite)($|[^a-z0-9])'
        )
    )
{%- endmacro %}


{# From the last 'claude' on, with a dash between all words and numbers. #}
{% macro claude_words(column) -%}
    trim(
        regexp_replace(
            regexp_extract(
                lower({{ column }}), '^(?:.*[^a-z0-9])?(claude[^a-z0-9].*)$', 1
            ),
            '[^a-z0-9]+', '-', 'g'
        ),
        '-'
    )
{%- endmacro %}


{# Who serves a Claude, by its name; null for Anthropic's own API. #}
{% macro model_provider(column) -%}
    {%- call(column) by_row('text', column) -%}
    case
        when not {{ is_claude(column) }} then null
        when {{ is_bedrock(column) }}
            then
                concat_ws(
                    ' ', 'Bedrock',
                    nullif(
                        regexp_extract(
                            lower({{ column }}), '([a-z-]+)\.anthropic\.claude', 1
                        ), ''
                    )
                )
        when contains(lower({{ column }}), 'bedrock') then 'Bedrock'
        when regexp_matches(lower({{ column }}), '@|vertex|publishers/') then 'Vertex'
        when regexp_matches(lower({{ column }}), 'openrouter|^~?anthropic/')
            then 'OpenRouter'
        when regexp_matches(lower({{ column }}), '(^|[^a-z0-9])(sap|anthropic--)')
            then 'SAP'
        else
            nullif(
                regexp_extract(
                    lower(trim({{ column }})),
                    '^([a-z0-9_. /-]{1,40}?)[^a-z0-9]+claude[^a-z0-9]', 1
                ), ''
            )
    end
    {%- endcall %}
{%- endmacro %}


{# Bedrock's own names: a profile of a geography, or the model in one region. #}
{% macro is_bedrock(column) -%}
    regexp_matches(lower({{ column }}), '(^|[^a-z0-9])anthropic\.claude[^a-z0-9]')
{%- endmacro %}


{# Served in one geography or region, which costs more than anywhere in the world. #}
{% macro is_regional(column) -%}
    {%- call(column) by_row('bool', column) -%}
    (
        {{ is_bedrock(column) }}
        and not contains(lower({{ column }}), 'global.anthropic.')
    )
    {%- endcall %}
{%- endmacro %}


{# Gateways sell fast mode as a separate model. #}
{% macro is_named_fast(column) -%}
    {%- call(column) by_row('bool', column) -%}
    (
        {{ is_claude(column) }}
        and regexp_matches(lower({{ column }}), '[^a-z0-9]fast($|[^a-z0-9])')
    )
    {%- endcall %}
{%- endmacro %}
