{#
    The folder that a session worked in: its first working folder, with a worktree
    folded into its repository, in one spelling. The name of the log folder is lossy and
    serves only where no line has a folder.
#}
{% macro project_path(alias) -%}
    coalesce(
        nullif(
            regexp_replace(
                regexp_replace(
                    {{ normal_path('coalesce(' ~ alias ~ '.original_cwd, ' ~ alias ~ '.cwd)') }},
                    '/\.claude/worktrees/[^/]+', '', 'g'
                ),
                '(.)/+$', '\1'
            ),
            ''
        ),
        {{ alias }}.project_id,
        'unknown'
    )
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
