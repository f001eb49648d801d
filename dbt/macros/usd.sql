{# Tokens at a price per million, in dollars and exact: no float, no division. #}
{% macro usd(tokens, price, multiplier) -%}
    cast(
        cast({{ tokens }} as decimal(13, 0))
        * cast({{ price }} * {{ multiplier }} * 0.000001 as decimal(18, 10))
        as decimal(20, 10)
    )
{%- endmacro %}


{# Whether Claude Code of this version wrote final counts in every record. #}
{% macro usage_is_final(version_number) -%}
    (
        {{ version_number }} between 1000055 and 1000080
        or {{ version_number }} between 1000092 and 1000105
        or {{ version_number }} >= 2001097
    )
{%- endmacro %}
