{#
    The id of a tool call, unique among all sessions. Anthropic's are random, and
    many others as well. Some gateways count from 0 in each conversation
    (`functions.Edit:0`, `call_1`): such an id is followed by its session, and by
    the agent that has a conversation of its own.
#}
{% macro call_id(id, session, agent) -%}
    case
        when nullif({{ id }}, '') is null then null
        when {{ is_counted_id(id) }}
            then {{ id }} || '@' || {{ session }} || coalesce('/' || {{ agent }}, '')
        else {{ id }}
    end
{%- endmacro %}


{# Whether an id, or what call_id made of it, is of this conversation only. #}
{% macro is_counted_id(id) -%}
    not contains({{ id }}, 'toolu_')
    and (
        length({{ id }}) < 16
        or regexp_matches({{ id }}, ':[0-9]+$')
        or contains({{ id }}, '@')
    )
{%- endmacro %}


{# The agent that an entry names: by its file, or where it is a side chain. #}
{% macro named_agent() -%}
    coalesce(file_agent_id, case when is_sidechain then agent_id end)
{%- endmacro %}
