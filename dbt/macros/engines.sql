{#
    What DuckDB and Spark write differently. Everything else in the models is SQL that both
    understand. A model never asks which engine it is for; these macros are dispatched.
#}

{#
    An expression over values of one row, in DuckDB's SQL. Spark passes the values to
    DuckDB in its workers (`spark/`), so both engines read hostile text alike: JSON,
    regular expressions, numbers and times. `kind` is what it results in: text, texts
    (a list), bool or bigint. Such expressions do not contain each other.

        {% call(text) by_row('bigint', 'column') %}try_cast({{ text }} as bigint){% endcall %}
#}
{% macro by_row(kind) -%}
    {{ adapter.dispatch('by_row', 'cclake')(kind, varargs, caller) }}
{%- endmacro %}

{% macro duckdb__by_row(kind, values, expression) -%}
    {{ expression(*values) }}
{%- endmacro %}

{% macro spark__by_row(kind, values, expression) -%}
    {%- set names = ['a', 'b', 'c', 'd', 'e', 'f'][:values | length] -%}
    duckdb_{{ kind }}({{ quoted(expression(*names)) }}, {{ values | join(', ') }})
{%- endmacro %}


{# A text in quotes. Spark reads backslashes in it, DuckDB does not. #}
{% macro quoted(text) -%}
    {{ adapter.dispatch('quoted', 'cclake')(text) }}
{%- endmacro %}

{% macro duckdb__quoted(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}

{% macro spark__quoted(text) -%}
    '{{ text | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}


{# After the "as" of a CTE: DuckDB reads only the columns and rows of it that are used. #}
{% macro inlined() -%}
    {{ adapter.dispatch('inlined', 'cclake')() }}
{%- endmacro %}

{% macro duckdb__inlined() -%}
    not materialized
{%- endmacro %}

{% macro spark__inlined() %}{% endmacro %}


{# The number of elements of a list. #}
{% macro list_size(list) -%}
    {{ adapter.dispatch('list_size', 'cclake')(list) }}
{%- endmacro %}

{% macro duckdb__list_size(list) -%}
    len({{ list }})
{%- endmacro %}

{% macro spark__list_size(list) -%}
    case when {{ list }} is not null then cast(size({{ list }}) as bigint) end
{%- endmacro %}


{% macro in_list(list, value) -%}
    {{ adapter.dispatch('in_list', 'cclake')(list, value) }}
{%- endmacro %}

{% macro duckdb__in_list(list, value) -%}
    list_contains({{ list }}, {{ value }})
{%- endmacro %}

{% macro spark__in_list(list, value) -%}
    case when {{ list }} is not null then coalesce(array_contains({{ list }}, {{ value }}), false) end
{%- endmacro %}


{# Whether a value is in the column of a relation that has few rows. #}
{% macro is_in(value, relation, column) -%}
    {{ adapter.dispatch('is_in', 'cclake')(value, relation, column) }}
{%- endmacro %}

{% macro duckdb__is_in(value, relation, column) -%}
    {{ value }} in (select few.{{ column }} from {{ relation }} as few)
{%- endmacro %}

{% macro spark__is_in(value, relation, column) -%}
    array_contains((select collect_set(few.{{ column }}) from {{ relation }} as few), {{ value }})
{%- endmacro %}


{# Columns as one value, which is compared by them in this order. #}
{% macro structure(columns) -%}
    {{ adapter.dispatch('structure', 'cclake')(columns) }}
{%- endmacro %}

{% macro duckdb__structure(columns) -%}
    struct_pack(
    {%- for column in columns -%}
        {{ column }} := {{ column }}{{ ', ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}

{% macro spark__structure(columns) -%}
    struct({{ columns | join(', ') }})
{%- endmacro %}


{# A list of one value. #}
{% macro list_of(value, json=false) -%}
    {{ adapter.dispatch('list_of', 'cclake')(value, json) }}
{%- endmacro %}

{% macro duckdb__list_of(value, json) -%}
    [{{ 'cast(' ~ value ~ ' as json)' if json else value }}]
{%- endmacro %}

{% macro spark__list_of(value, json) -%}
    array({{ value }})
{%- endmacro %}


{# The number that a text in hexadecimal digits is. #}
{% macro hex_number(digits) -%}
    {%- call(text) by_row('bigint', digits) -%}
        cast(('0x' || {{ text }}) as bigint)
    {%- endcall %}
{%- endmacro %}


{# A row for each element of a list, with its number. #}
{% macro each(list, element, number, first=1) -%}
    {{ adapter.dispatch('each', 'cclake')(list, element, number, first) }}
{%- endmacro %}

{% macro duckdb__each(list, element, number, first) -%}
    unnest(generate_series({{ first }}, len({{ list }}) - {{ 1 - first }})) as {{ number }},
        unnest({{ list }}) as {{ element }}
{%- endmacro %}

{% macro spark__each(list, element, number, first) -%}
    inline(
        transform(
            {{ list }},
            (x, i) -> struct(cast(i + {{ first }} as bigint) as {{ number }}, x as {{ element }})
        )
    )
{%- endmacro %}


{# A row for each element of a list. #}
{% macro every(list) -%}
    {{ adapter.dispatch('every', 'cclake')(list) }}
{%- endmacro %}

{% macro duckdb__every(list) -%}
    unnest({{ list }})
{%- endmacro %}

{% macro spark__every(list) -%}
    explode({{ list }})
{%- endmacro %}


{# A row for each day from one to another. #}
{% macro days_between(first, last) -%}
    {{ adapter.dispatch('days_between', 'cclake')(first, last) }}
{%- endmacro %}

{% macro duckdb__days_between(first, last) -%}
    unnest(generate_series({{ first }}, {{ last }}, interval 1 day))
{%- endmacro %}

{% macro spark__days_between(first, last) -%}
    explode(sequence({{ first }}, {{ last }}, interval 1 day))
{%- endmacro %}


{# The bytes of a text in Base64. #}
{% macro bytes_of(text) -%}
    {{ adapter.dispatch('bytes_of', 'cclake')(text) }}
{%- endmacro %}

{% macro duckdb__bytes_of(text) -%}
    from_base64({{ text }})
{%- endmacro %}

{% macro spark__bytes_of(text) -%}
    unbase64({{ text }})
{%- endmacro %}


{# Milliseconds since 1970. #}
{% macro millis(at) -%}
    {{ adapter.dispatch('millis', 'cclake')(at) }}
{%- endmacro %}

{% macro duckdb__millis(at) -%}
    epoch_ms({{ at }})
{%- endmacro %}

{% macro spark__millis(at) -%}
    unix_millis(cast({{ at }} as timestamp))
{%- endmacro %}


{# The time of milliseconds since 1970, in UTC. #}
{% macro at_millis(number) -%}
    {{ adapter.dispatch('at_millis', 'cclake')(number) }}
{%- endmacro %}

{% macro duckdb__at_millis(number) -%}
    make_timestamp_ms({{ number }})
{%- endmacro %}

{% macro spark__at_millis(number) -%}
    cast(timestamp_millis({{ number }}) as timestamp_ntz)
{%- endmacro %}


{# A quotient of whole numbers, without its fraction. #}
{% macro quotient(number, divisor) -%}
    {{ adapter.dispatch('quotient', 'cclake')(number, divisor) }}
{%- endmacro %}

{% macro duckdb__quotient(number, divisor) -%}
    {{ number }} // {{ divisor }}
{%- endmacro %}

{% macro spark__quotient(number, divisor) -%}
    {{ number }} div {{ divisor }}
{%- endmacro %}


{# The values of a group, in an order. #}
{% macro listed(value, order) -%}
    {{ adapter.dispatch('listed', 'cclake')(value, order) }}
{%- endmacro %}

{% macro duckdb__listed(value, order) -%}
    list({{ value }} order by {{ order }})
{%- endmacro %}

{% macro spark__listed(value, order) -%}
    {%- set key, _, way = order.partition(' ') -%}
    transform(
        sort_array(collect_list(struct({{ key }}, {{ value }})), {{ way != 'desc' }}),
        x -> x.{{ value }}
    )
{%- endmacro %}


{# A quantile of whole numbers, interpolated and rounded. #}
{% macro quantile(number, share) -%}
    {{ adapter.dispatch('quantile', 'cclake')(number, share) }}
{%- endmacro %}

{% macro duckdb__quantile(number, share) -%}
    cast(quantile_cont({{ number }}, {{ share }}) as bigint)
{%- endmacro %}

{% macro spark__quantile(number, share) -%}
    duckdb_bigint(
        'cast(list_aggregate(a, \'quantile_cont\', {{ share }}) as bigint)',
        collect_list({{ number }})
    )
{%- endmacro %}


{# The texts of a group, one after another. #}
{% macro text_of_all(text, separator, order, distinct=false) -%}
    {{ adapter.dispatch('text_of_all', 'cclake')(text, separator, order, distinct) }}
{%- endmacro %}

{% macro duckdb__text_of_all(text, separator, order, distinct) -%}
    string_agg({{ 'distinct ' if distinct }}{{ text }}, '{{ separator }}' order by {{ order }})
{%- endmacro %}

{% macro spark__text_of_all(text, separator, order, distinct) -%}
    listagg({{ 'distinct ' if distinct }}{{ text }}, '{{ separator }}')
        within group (order by {{ order }})
{%- endmacro %}


{# A time with its zone, as the wall clock in UTC; sessions of both engines are in UTC. #}
{% macro in_utc(at) -%}
    {{ adapter.dispatch('in_utc', 'cclake')(at) }}
{%- endmacro %}

{% macro duckdb__in_utc(at) -%}
    cast({{ at }} as timestamp)
{%- endmacro %}

{% macro spark__in_utc(at) -%}
    cast({{ at }} as timestamp_ntz)
{%- endmacro %}
