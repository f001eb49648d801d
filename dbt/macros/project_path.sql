{#
    The folder that a session worked in: its first working folder, with a worktree
    folded into its repository, in one spelling. The name of the log folder is lossy and
    serves only where no line has a folder.
#}
{% macro project_path(alias) -%}
    {%- call(original_cwd, cwd, project_id) by_row(
        'text', alias ~ '.original_cwd', alias ~ '.cwd', alias ~ '.project_id'
    ) -%}
    coalesce(
        nullif(
            regexp_replace(
                regexp_replace(
                    {{ normal_path('coalesce(' ~ original_cwd ~ ', ' ~ cwd ~ ')') }},
                    '/\.claude/worktrees/[^/]+', '', 'g'
                ),
                '(.)/+$', '\1'
            ),
            ''
        ),
        {{ project_id }},
        'unknown'
    )
    {%- endcall %}
{%- endmacro %}


{% macro file_name(path) -%}
    {%- call(text) by_row('text', path) -%}
        regexp_extract({{ text }}, '([^/\\]*)$', 1)
    {%- endcall %}
{%- endmacro %}


{% macro file_extension(path) -%}
    {%- call(text) by_row('text', path) -%}
        regexp_extract({{ text }}, '[^/\\.]\.([A-Za-z0-9_+-]{1,16})$', 1)
    {%- endcall %}
{%- endmacro %}


{#
    One spelling of a folder: slashes one way, drive letters and the names of hosts in
    one case, and what WSL and Windows call each other's folders.
#}
{% macro normal_path(path) -%}
    {%- set slashed -%}
    case
        when regexp_matches({{ path }}, '^(?:[A-Za-z]:(?:[\\/]|$)|[\\/]{2})')
            then
                regexp_replace(
                    regexp_replace(
                        replace({{ path }}, '\', '/'), '^//[?.]/(?i:UNC/)', '//'
                    ),
                    '^//[?.]/', ''
                )
        else {{ path }}
    end
    {%- endset -%}
    {%- set local -%}
    regexp_replace(
        regexp_replace({{ slashed }}, '^//(?i:wsl\$|wsl\.localhost)/[^/]+(/|$)', '/'),
        '^/(?:mnt|cygdrive)/([A-Za-z])(/|$)', '\1:/'
    )
    {%- endset -%}
    case
        when regexp_matches({{ local }}, '^[A-Za-z]:')
            then upper(left({{ local }}, 1)) || substr({{ local }}, 2)
        when starts_with({{ local }}, '//')
            then
                lower(regexp_extract({{ local }}, '^//[^/]*'))
                || regexp_replace({{ local }}, '^//[^/]*', '')
        else {{ local }}
    end
{%- endmacro %}
