{#
    A text as full-text search reads it, where that differs; else null. FTS5 takes what
    stands between spaces and punctuation for a word, but Chinese, Japanese, Thai and
    others write without spaces, Korean joins words, and emoji stick to what they
    follow. So each such character becomes a word of its own, between zero-width spaces
    (U+200B), and the words of a question become phrases of them.
#}
{% macro search_words(text) -%}
    {%- call(text) by_row('text', text) -%}
        {%- set alone = search_alone() -%}
    case
        -- In text of ASCII there are none; counting its characters costs a tenth.
        when
            strlen({{ text }}) > length({{ text }})
            and regexp_matches({{ text }}, '[{{ alone }}]')
            then
                regexp_replace(
                    regexp_replace(
                        {{ text }}, '([{{ alone }}])', chr(8203) || '\1', 'g'
                    ),
                    '([{{ alone }}])([^{{ alone }}\x{200B}])',
                    '\1' || chr(8203) || '\2',
                    'g'
                )
    end
    {%- endcall %}
{%- endmacro %}


{#
    Characters that are words of their own, as a class of a regular expression: scripts
    without spaces, then emoji. `cclake_web.data.words` has the same, tested equal.
#}
{% macro search_alone() -%}
    \x{0E00}-\x{0EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}\x{3040}-\x{30FF}\x{31F0}-\x{31FF}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{AC00}-\x{D7AF}\x{F900}-\x{FAFF}\x{FF66}-\x{FF9F}\x{20000}-\x{3FFFF}\x{231A}\x{231B}\x{23E9}-\x{23FA}\x{2600}-\x{26FF}\x{2702}-\x{2712}\x{2714}\x{2716}\x{271D}\x{2721}\x{2728}\x{2733}\x{2734}\x{2744}\x{2747}\x{274C}\x{274E}\x{2753}-\x{2757}\x{2763}\x{2764}\x{2795}-\x{2797}\x{27A1}\x{27B0}\x{27BF}\x{2B05}-\x{2B07}\x{2B1B}\x{2B1C}\x{2B50}\x{2B55}\x{1F000}-\x{1FAFF}
{%- endmacro %}


{# What full-text search looks for in a block: its text, or the call of a tool. #}
{% macro searched_text() -%}
    case when block_kind = 'tool_use' then tool_name || ' ' || tool_input else text end
{%- endmacro %}
