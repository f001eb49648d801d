{# The order of lines in a thread: by file and place, never by time. #}
{% macro thread_order(alias) -%}
    {{ alias }}.agent_id is not null,
    {{ alias }}.source_file not like '%/' || {{ alias }}.session_id || '.jsonl',
    {{ alias }}.source_file,
    {{ alias }}.host,
    {{ alias }}.gen,
    {{ alias }}.off,
    {{ alias }}.part,
    {{ alias }}.doc_id
{%- endmacro %}
