{# Why a tool call failed, by what its result says. #}
{% macro error_kind(text, denial) -%}
    {%- call(text, denial) by_row('text', text, denial) -%}
    case
        when
            {{ denial }} is not null
            or regexp_matches(
                {{ text }},
                '(?i)user doesn''t want to (proceed|take this action)|permission to use|requested permissions|denied by|was rejected'
            )
            then 'denied'
        when regexp_matches({{ text }}, '(?i)interrupted by user|aborted')
            then 'interrupted'
        when regexp_matches({{ text }}, '(?i)timed? ?out') then 'timeout'
        when regexp_matches({{ text }}, '(?i)InputValidationError|invalid (input|argument|parameter)|missing required')
            then 'invalid_input'
        when regexp_matches({{ text }}, '(?i)string to replace not found|found \d+ matches of the string|old_string and new_string')
            then 'edit_mismatch'
        when regexp_matches({{ text }}, '(?i)has not been read yet|modified since read')
            then 'not_read_first'
        when regexp_matches({{ text }}, '(?i)does not exist|no such file|not found|ENOENT')
            then 'not_found'
        when regexp_matches({{ text }}, '(?i)exceeds maximum|too large|token limit')
            then 'too_large'
        when regexp_matches({{ text }}, '(?i)hook')
            and regexp_matches({{ text }}, '(?i)blocked|blocking|prevented')
            then 'hook_blocked'
        when regexp_matches({{ text }}, '(?i)exit code \d+|command failed')
            then 'exit_code'
        when regexp_matches({{ text }}, '(?i)permission denied|EACCES')
            then 'no_permission'
        else 'other'
    end
    {%- endcall %}
{%- endmacro %}
