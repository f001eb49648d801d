{#
    Walks from a node to its parents and theirs. DuckDB walks with a recursive CTE, which
    other engines lack; Spark passes the edges of a group to the function `walked`.
#}

{#
    The body of the CTE `name`: each node with each of its ancestors. `union` keeps each
    pair once, so that a circle ends the walk. A walk stays in its `group`, if it has one.
#}
{% macro ancestors(name, edges, node, parent, group=none) -%}
    {{ adapter.dispatch('ancestors', 'cclake')(name, edges, node, parent, group) }}
{%- endmacro %}

{% macro duckdb__ancestors(name, edges, node, parent, group) -%}
    select
        {% if group %}{{ group }},
        {% endif -%}
    {{ node }},
        {{ parent }} as ancestor_id
    from {{ edges }}
    where {{ parent }} is not null
    union
    select
        {% if group %}{{ name }}.{{ group }},
        {% endif -%}
    {{ name }}.{{ node }},
        {{ edges }}.{{ parent }} as ancestor_id
    from {{ name }}
    inner join {{ edges }}
        on
            {% if group %}{{ name }}.{{ group }} = {{ edges }}.{{ group }}
            and {% endif -%}
    {{ name }}.ancestor_id = {{ edges }}.{{ node }}
    where {{ edges }}.{{ parent }} is not null
{%- endmacro %}

{% macro spark__ancestors(name, edges, node, parent, group) -%}
    select
        {% if group %}{{ group }},
        {% endif -%}
    step.node as {{ node }},
        step.ancestor as ancestor_id
    from (
        select
            {% if group %}{{ group }},
            {% endif -%}
            explode(walked(nodes, parents, 0)) as step
        from (
            select
                {% if group %}{{ group }},
                {% endif -%}
    collect_list({{ node }}) as nodes,
                collect_list({{ parent }}) as parents
            from {{ edges }}
            where {{ parent }} is not null
            {% if group %}group by {{ group }}{% endif %}
        ) as gathered
    ) as walks
{%- endmacro %}


{# The CTE `originals`, of the CTE `copies`. #}
{% macro originals() -%}
    {{ adapter.dispatch('originals', 'cclake')() }}
{%- endmacro %}

{% macro duckdb__originals() -%}
walk as (

    select
        uuid,
        origin_uuid,
        extract_run,
        1 as steps
    from copies
    union all
    select
        walk.uuid,
        copies.origin_uuid,
        {{ greatest_known('walk.extract_run', 'copies.extract_run') }} as extract_run,
        walk.steps + 1 as steps
    from walk
    inner join copies on walk.origin_uuid = copies.uuid
    where walk.steps < 64

),

originals as (

    select
        uuid,
        max_by(origin_uuid, steps) as origin_uuid,
        max_by(extract_run, steps) as extract_run
    from walk
    group by uuid
{%- endmacro %}

{% macro spark__originals() -%}
walk as (

    select
        step.node as uuid,
        step.ancestor as origin_uuid,
        step.steps
    from (
        select explode(walked(nodes, parents, 64)) as step
        from (
            select
                collect_list(uuid) as nodes,
                collect_list(origin_uuid) as parents
            from copies
        ) as gathered
    ) as walks

),

originals as (

    select
        walk.uuid,
        max_by(walk.origin_uuid, walk.steps) as origin_uuid,
        {{ greatest_known('max(own.extract_run)', 'max(copies.extract_run)') }} as extract_run
    from walk
    inner join copies as own on walk.uuid = own.uuid
    left join copies on walk.origin_uuid = copies.uuid
    group by walk.uuid
{%- endmacro %}


{# The body of the CTE `chains`, of the CTE `unnamed`: the first entries of each chain. #}
{% macro chain_roots() -%}
    {{ adapter.dispatch('chain_roots', 'cclake')() }}
{%- endmacro %}

{% macro duckdb__chain_roots() -%}
    select
        unnamed.session_id,
        unnamed.uuid,
        unnamed.uuid as root_uuid
    from unnamed
    left join unnamed as parents
        on
            unnamed.session_id = parents.session_id
            and unnamed.parent_uuid = parents.uuid
    where parents.uuid is null
    union
    select
        unnamed.session_id,
        unnamed.uuid,
        chains.root_uuid
    from chains
    inner join unnamed
        on
            chains.session_id = unnamed.session_id
            and chains.uuid = unnamed.parent_uuid
{%- endmacro %}

{% macro spark__chain_roots() -%}
    select
        unnamed.session_id,
        unnamed.uuid,
        unnamed.uuid as root_uuid
    from unnamed
    left join unnamed as parents
        on
            unnamed.session_id = parents.session_id
            and unnamed.parent_uuid = parents.uuid
    where parents.uuid is null
    union
    select
        steps.session_id,
        steps.uuid,
        steps.ancestor_id as root_uuid
    from (
        {{ ancestors('steps', 'unnamed', 'uuid', 'parent_uuid', 'session_id') }}
    ) as steps
    inner join unnamed as roots
        on steps.session_id = roots.session_id and steps.ancestor_id = roots.uuid
    left join unnamed as parents
        on
            roots.session_id = parents.session_id
            and roots.parent_uuid = parents.uuid
    where parents.uuid is null
{%- endmacro %}
