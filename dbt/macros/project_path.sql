{#
    The folder that a session worked in: its first working folder, with a
    worktree folded into its repository, slashes one way, drive letters in one
    case. The name of the log folder is lossy and serves only where no line has
    a folder.
#}
{% macro project_path(alias) -%}
    coalesce(
        nullif(
            regexp_replace(
                regexp_replace(
                    {{ normal_path('coalesce(' ~ alias ~ '.original_cwd, ' ~ alias ~ '.cwd)') }},
                    '/\.claude/worktrees/.*$', ''
                ),
                '(.)/+$', '\1'
            ),
            ''
        ),
        {{ alias }}.project_id,
        'unknown'
    )
{%- endmacro %}


{% macro normal_path(path) -%}
    case
        when regexp_matches({{ path }}, '^[A-Za-z]:[\\/]')
            then
                upper(left({{ path }}, 1))
                || replace(substr({{ path }}, 2), '\', '/')
        else {{ path }}
    end
{%- endmacro %}
