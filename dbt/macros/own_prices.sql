{#
    The user's price list, with the columns of the seed: a csv that has at least
    `model`, `input` and `output`. Without a file it has no rows.
#}
{% macro own_prices(path) -%}
    {{ adapter.dispatch('own_prices', 'cclake')(path) }}
{%- endmacro %}


{% macro spark__own_prices(path) -%}
    {%- if path -%}
        {%- do exceptions.raise_compiler_error(
            'CCLAKE_PRICES works with DuckDB only: add the prices to seeds/model_prices.csv'
        ) -%}
    {%- endif -%}
    {{ no_prices() }}
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
