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
        else cast(json_extract({{ block }}, '$.content') as varchar)
    end
{%- endmacro %}


{#
    toolUseResult without what is only ballast: an image's bytes stand in
    `image_data`, and the whole old text of an edited file in its patch.
#}
{% macro lean_result(body) -%}
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
                    ) as varchar
                )
        when 'VARCHAR'
            then cast(json_extract({{ body }}, '$.toolUseResult') as varchar)
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
                        then cast(json_extract({{ body }}, '$.toolUseResult') as varchar)
                end
    end
{%- endmacro %}


{#
    The blocks of a record that may be images: of a message, of a tool's result, of an
    old form and of a queued prompt. `images` counts in this list, and `image_data`
    looks there: another order needs a full refresh.
#}
{% macro image_blocks(body) -%}
    list_concat(
        json_extract({{ body }}, '$.message.content[*]'),
        json_extract({{ body }}, '$.message.content[*].content[*]'),
        json_extract({{ body }}, '$.content[*]'),
        json_extract({{ body }}, '$.attachment.prompt[*]')
    )
{%- endmacro %}


{# The name of an image: a hash of its bytes as they stand in the log. #}
{% macro image_name(media_type, encoded) -%}
    case
        when
            {{ media_type }} in ('image/png', 'image/jpeg', 'image/gif', 'image/webp')
            and try(from_base64({{ encoded }})) is not null
            then md5({{ encoded }})
    end
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
