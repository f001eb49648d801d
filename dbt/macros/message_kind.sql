{# Spaces of any kind: ends of lines, no-break and zero-width ones. #}
{% macro blanks() -%}
    chr(10) || chr(13) || chr(9) || ' ' || chr(160) || chr(8203) || chr(12288) || chr(65279)
{%- endmacro %}


{# A text without the spaces before it. #}
{% macro trimmed_start(text) -%}
    {%- call(words) by_row('text', text) -%}
        ltrim({{ words }}, chr(10) || chr(13) || chr(9) || ' ')
    {%- endcall %}
{%- endmacro %}


{# What a record is to a reader. Flags of the log come first, then its wrappers. #}
{% macro message_kind() -%}
    case
        when is_unreadable then 'unreadable'
        when type = 'assistant'
            then
                case
                    when
                        model = '<synthetic>'
                        and text_head like 'No response requested%'
                        then 'meta'
                    when
                        model = '<synthetic>'
                        and text_head like '[Request interrupted%'
                        then 'interrupt'
                    when
                        is_api_error
                        or model = '<synthetic>'
                        or (
                            text_head like 'API Error%'
                            and request_id is null
                        )
                        then 'api_error'
                    when
                        {% call(types) by_row('bool', 'block_types') -%}
        len({{ types }}) > 0
                            and len(
                                list_filter(
                                    {{ types }},
                                    lambda b: b not in (
                                        'thinking', 'redacted_thinking'
                                    )
                                )
                            ) = 0
    {%- endcall %}
                        then 'thinking'
                    else 'answer'
                end
        when type = 'user'
            then
                case
                    when is_compact_summary then 'compact_summary'
                    when {{ in_list('block_types', "'tool_result'") }}
                        then 'tool_result'
                    when text_head like '[Request interrupted%'
                        then 'interrupt'
                    when
                        regexp_matches(
                            text_head,
                            {{ quoted('^\\s*<(command-(name|message|args)|local-command-std(out|err)|bash-(input|stdout|stderr)|user-memory-input)>') }}
                        )
                        then 'command'
                    when
                        regexp_matches(
                            text_head,
                            {{ quoted('^\\s*<(task|agent|bash)-notification>|^\\s*<(teammate-message|ci-monitor-event)') }}
                        )
                        or origin_kind like '%notification%'
                        then 'notification'
                    when
                        is_meta
                        or is_blank
                        or prompt_source = 'system'
                        or regexp_matches(
                            text_head,
                            {{ quoted('^\\s*<(local-command-caveat|user-prompt-submit-hook)>|^Caveat: The messages below') }}
                        )
                        then 'meta'
                    when is_sidechain or is_agent_file then 'agent_prompt'
                    else 'prompt'
                end
        when type = 'attachment'
            then
                case
                    when subtype = 'queued_command' and command_mode = 'prompt'
                        then 'queued_prompt'
                    when subtype = 'queued_command' then 'notification'
                    else 'attachment'
                end
        when type = 'system' and subtype = 'local_command' then 'command'
        when type = 'system' then 'system'
        when type = 'queue-operation'
            then
                case
                    when
                        is_blank
                        or regexp_matches(
                            text_head,
                            {{ quoted('^\\s*<(task|agent|bash)-notification>|^\\s*<(teammate-message|ci-monitor-event)') }}
                        )
                        then 'other'
                    else 'unsent_prompt'
                end
        when type in ('custom-title', 'tag', 'agent-name', 'pr-link') then 'label'
        when type in ('summary', 'ai-title') then 'title'
        else 'other'
    end
{%- endmacro %}
