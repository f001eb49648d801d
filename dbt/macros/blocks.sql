{# What an element of the content is, by its type; plain text has none. #}
{% macro block_kind(block, type) -%}
    case
        when json_type({{ block }}) = 'VARCHAR' then 'text'
        when {{ type }} in ('text', 'thinking', 'image', 'document', 'compaction') then {{ type }}
        when {{ type }} = 'redacted_thinking' then 'thinking'
        when {{ type }} like '%tool_use' then 'tool_use'
        when {{ type }} like '%tool_result' then 'tool_result'
        else 'other'
    end
{%- endmacro %}


{# The text of a plain string or of a text block; null of anything else. #}
{% macro block_text(block) -%}
    case
        when json_type({{ block }}) = 'VARCHAR' then json_extract_string({{ block }}, '$')
        when
            json_type({{ block }}) = 'OBJECT'
            and json_extract_string({{ block }}, '$.type') = 'text'
            and json_type({{ block }}, '$.text') = 'VARCHAR'
            then json_extract_string({{ block }}, '$.text')
    end
{%- endmacro %}


{#
    What can be read of a block: its title, its text, the tool that it refers to, where
    it is from, the text of a document, and that of the blocks inside of either. Encoded
    bytes are not.
#}
{% macro readable(block) -%}
    nullif(
        concat_ws(
            chr(10),
            case
                when json_type({{ block }}, '$.title') = 'VARCHAR'
                    then json_extract_string({{ block }}, '$.title')
            end,
            case
                when json_type({{ block }}, '$.text') = 'VARCHAR'
                    then json_extract_string({{ block }}, '$.text')
            end,
            case
                when json_type({{ block }}, '$.tool_name') = 'VARCHAR'
                    then json_extract_string({{ block }}, '$.tool_name')
            end,
            case
                when json_type({{ block }}, '$.context') = 'VARCHAR'
                    then json_extract_string({{ block }}, '$.context')
            end,
            case
                when json_type({{ block }}, '$.source') = 'VARCHAR'
                    then json_extract_string({{ block }}, '$.source')
                when json_extract_string({{ block }}, '$.source.type') = 'text'
                    then json_extract_string({{ block }}, '$.source.data')
            end,
    {%- for path in ['$.content', '$.source.content'] %}
            case json_type({{ block }}, '{{ path }}')
                when 'VARCHAR' then json_extract_string({{ block }}, '{{ path }}')
                when 'ARRAY'
                    then
                        nullif(
                            array_to_string(
                                json_extract_string({{ block }}, '{{ path }}[*].text'), chr(10)
                            ),
                            ''
                        )
            end{{ ',' if not loop.last }}
    {%- endfor %}
        ),
        ''
    )
{%- endmacro %}


{# The words of a tool's result, whatever form it has. #}
{% macro result_text(block) -%}
    {%- call(block) by_row('text', block) -%}
        case json_type({{ block }}, '$.content')
        when 'VARCHAR' then json_extract_string({{ block }}, '$.content')
        when 'ARRAY'
            then
                array_to_string(
                    list_transform(
                        json_extract({{ block }}, '$.content[*]'),
                        lambda item: case
                            when json_type(item) = 'VARCHAR' then json_extract_string(item, '$')
                            when json_type(item) = 'OBJECT' then {{ readable('item') }}
                            when json_type(item) = 'ARRAY'
                                then
                                    array_to_string(
                                        json_extract_string(item, '$[*].text'), chr(10)
                                    )
                        end
                    ),
                    chr(10)
                )
        else cast(json_extract({{ block }}, '$.content') as string)
    end
    {%- endcall %}
{%- endmacro %}


{#
    toolUseResult without what is only ballast: an image's bytes stand in
    `image_data`, and the whole old text of an edited file in its patch.
#}
{% macro lean_result(body) -%}
    {%- call(body) by_row('text', body) -%}
        case json_type({{ body }}, '$.toolUseResult')
        when 'OBJECT'
            then
                cast(
                    json_merge_patch(
                        json_extract({{ body }}, '$.toolUseResult'),
                        case
                            when json_exists({{ body }}, '$.toolUseResult.file.base64')
                                then '{"originalFile": null, "file": {"base64": null}}'
                            else '{"originalFile": null}'
                        end
                    ) as string
                )
        when 'VARCHAR'
            then cast(json_extract({{ body }}, '$.toolUseResult') as string)
        when 'ARRAY'
            then
                case
                    when
                        not list_contains(
                            json_extract_string(
                                {{ body }}, '$.toolUseResult[*].type'
                            ),
                            'image'
                        )
                        then cast(json_extract({{ body }}, '$.toolUseResult') as string)
                end
    end
    {%- endcall %}
{%- endmacro %}


{#
    The blocks of a record that may be images: of a message, of a tool's result, of an
    old form and of a queued prompt. `images` counts in this list, and `image_data`
    looks there: another order needs a full refresh.
#}
{% macro image_blocks(body) -%}
    {%- call(body) by_row('texts', body) -%}
    list_concat(
        json_extract({{ body }}, '$.message.content[*]'),
        json_extract({{ body }}, '$.message.content[*].content[*]'),
        json_extract({{ body }}, '$.content[*]'),
        json_extract({{ body }}, '$.attachment.prompt[*]')
    )
    {%- endcall %}
{%- endmacro %}


{# The name of an image: a hash of its bytes as they stand in the log. #}
{% macro image_name(media_type, encoded) -%}
    {%- call(media_type, encoded) by_row('text', media_type, encoded) -%}
    case
        when
            {{ media_type }} in ('image/png', 'image/jpeg', 'image/gif', 'image/webp')
            and try(from_base64({{ encoded }})) is not null
            then md5({{ encoded }})
    end
    {%- endcall %}
{%- endmacro %}


{# The name of the image that a block holds; null where it is none that can be shown. #}
{% macro image_key(block) -%}
    case
        when json_type({{ block }}, '$.source.data') = 'VARCHAR'
            then
                {{ image_name(
                    "json_extract_string(" ~ block ~ ", '$.source.media_type')",
                    "json_extract_string(" ~ block ~ ", '$.source.data')"
                ) }}
    end
{%- endmacro %}


{% macro readable_text(block) -%}
    {%- call(item) by_row('text', block) -%}
        {{ readable(item) }}
    {%- endcall %}
{%- endmacro %}


{# The images in a tool's result, as blocks that lie inside of another. #}
{% macro images_inside(block) -%}
    case
        when
            json_extract_string({{ block }}, '$.type') like '%tool_result'
            and json_type({{ block }}, '$.content') = 'ARRAY'
            then
                list_transform(
                    list_filter(
                        json_extract({{ block }}, '$.content[*]'),
                        lambda part: json_extract_string(part, '$.type') = 'image'
                    ),
                    lambda image: struct_pack(block := image, is_inner := true)
                )
        else []
    end
{%- endmacro %}


{#
    The elements of a content as blocks, each a value with its JSON and whether it lies
    inside of another: images inside a tool's result follow it, and context that was added
    to the user's words stands apart. On Spark a block is its JSON behind 0 or 1.
#}
{% macro shown_blocks(type, elements) -%}
    {{ adapter.dispatch('shown_blocks', 'cclake')(type, elements) }}
{%- endmacro %}

{% macro duckdb__shown_blocks(type, elements) -%}
        flatten(
            list_transform(
                {{ elements }},
                lambda element: case
                    when
                        {{ type }} in ('user', 'attachment', 'queue-operation')
                        and contains(element, '<')
                        and {{ block_text('element') }} is not null
                        then
                            list_transform(
                                {{ context_parts(block_text('element')) }},
                                lambda piece: struct_pack(
                                    block := to_json(piece), is_inner := false
                                )
                            )
                    else
                        list_prepend(
                            struct_pack(block := element, is_inner := false),
                            {{ images_inside('element') }}
                        )
                end
            )
        )
{%- endmacro %}

{% macro spark__shown_blocks(type, elements) -%}
    {%- set expression -%}
        list_transform(
            {{ duckdb__shown_blocks('a', 'cast(b as json[])') }},
            lambda one: (case when one.is_inner then '1' else '0' end) || cast(one.block as string)
        )
    {%- endset -%}
    duckdb_texts({{ quoted(expression) }}, {{ type }}, {{ elements }})
{%- endmacro %}


{# The number of the first block that is a tool's result. #}
{% macro result_number(blocks) -%}
    {{ adapter.dispatch('result_number', 'cclake')(blocks) }}
{%- endmacro %}

{% macro duckdb__result_number(blocks) -%}
        list_position(
            list_transform(
                {{ blocks }},
                lambda one: json_extract_string(one.block, '$.type')
                like '%tool_result'
            ),
            true
        )
{%- endmacro %}

{% macro spark__result_number(blocks) -%}
    {%- set expression -%}
        list_position(
            list_transform(
                a,
                lambda one: json_extract_string(substr(one, 2), '$.type') like '%tool_result'
            ),
            true
        )
    {%- endset -%}
    duckdb_bigint({{ quoted(expression) }}, {{ blocks }})
{%- endmacro %}


{# The JSON of such a block, and whether it lies inside of another. #}
{% macro shown_block(one) -%}
    {{ adapter.dispatch('shown_block', 'cclake')(one) }}
{%- endmacro %}

{% macro duckdb__shown_block(one) -%}
    {{ one }}.block
{%- endmacro %}

{% macro spark__shown_block(one) -%}
    substring({{ one }}, 2)
{%- endmacro %}

{% macro is_inner(one) -%}
    {{ adapter.dispatch('is_inner', 'cclake')(one) }}
{%- endmacro %}

{% macro duckdb__is_inner(one) -%}
    {{ one }}.is_inner
{%- endmacro %}

{% macro spark__is_inner(one) -%}
    left({{ one }}, 1) = '1'
{%- endmacro %}
