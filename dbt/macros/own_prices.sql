{#
    The user's price list, with the columns of the seed: a csv that has at least
    `model`, `input` and `output`. Without a file it has no rows.
#}
{% macro own_prices(path) -%}
    {{ adapter.dispatch('own_prices', 'cclake')(path) }}
{%- endmacro %}


{#
    `just spark` names the list `own_prices`, as text; without a file it has no rows.
    DuckDB reads the numbers and days in it, as it does for its own gold.
#}
{% macro spark__own_prices(path) -%}
    {%- if path and execute -%}
        {%- set types = graph.nodes['seed.cclake.model_prices'].config.column_types -%}
        {%- set casts = [] -%}
        {%- for name, kind in types.items() -%}
            {%- set read -%}
                {%- call(text) by_row('text', name) -%}
                    cast(try_cast({{ text }} as {{ kind }}) as varchar)
                {%- endcall -%}
            {%- endset -%}
            {%- do casts.append('cast(' ~ read ~ ' as ' ~ kind ~ ') as ' ~ name) -%}
        {%- endfor -%}
        select {{ casts | join(', ') }} from own_prices
    {%- else -%}
        {{ no_prices() }}
    {%- endif -%}
{%- endmacro %}


{% macro duckdb__own_prices(path) -%}
    {#- DuckDB would take these characters for a pattern. -#}
    {%- set exact = path | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]') -%}
    {%- set quoted = exact | replace("'", "''") -%}
    {%- set files = run_query("select file from glob('" ~ quoted ~ "')") if path and execute -%}
    {{ price_rows(quoted) if files and files.rows | length > 0 else no_prices() }}
{%- endmacro %}


{% macro no_prices() -%}
    select * from {{ ref('model_prices') }} where false
{%- endmacro %}


{% macro price_rows(quoted) -%}
    {%- set columns = adapter.get_columns_in_relation(ref('model_prices')) -%}
    {%- set casts = [] -%}
    {%- for column in columns -%}
        {%- set kind = column.name ~ ' as ' ~ column.dtype -%}
        {%- do casts.append('try_cast(' ~ kind ~ ') as ' ~ column.name) -%}
    {%- endfor -%}
    select {{ casts | join(', ') }}
    from (
        {{ no_prices() }}
        union all by name
        select * from read_csv('{{ quoted }}', header = true, all_varchar = true)
    )
{%- endmacro %}
