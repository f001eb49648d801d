"""Count the tokens of every API response again, from the raw entries.

This follows docs/accounting.md and shares no code with the models of gold.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import orjson
import pyarrow as pa

BATCH_ROWS = 500
MAX_COUNT = 10**9
# Gold may leave out longer lines, and lines that its parser refuses.
LONG_LINE = 16 << 20
COUNTED = ("input", "output", "cache_write", "cache_read")
SCHEMA = pa.schema(
    [
        ("message_id", pa.string()), ("trusted", pa.bool_()), ("uuid", pa.string()),
        ("file_key", pa.string()), ("gen", pa.int64()), ("off", pa.int64()),
        ("part", pa.int64()), ("number", pa.int64()), ("progress", pa.bool_()),
        ("optional", pa.bool_()), ("input", pa.int64()), ("output", pa.int64()),
        ("flat", pa.int64()), ("five", pa.int64()), ("hour", pa.int64()),
        ("cache_read", pa.int64()), ("steps", pa.int64()), ("step_input", pa.int64()),
        ("step_output", pa.int64()), ("step_cache_write", pa.int64()),
        ("step_cache_read", pa.int64()),
    ]
)  # fmt: skip
LINES = """
    select doc_id, file_key, gen, off, part, type = 'progress',
        nullif(session_id, '') is null or extract_run > $built, entry
    from raw.conversations
    where record_kind in ('line', 'salvaged') and entry is not null
        and source_file <> '../history.jsonl'
        and (type = 'assistant' or (type = 'progress' and subtype = 'agent_progress'))
"""
BUILT = "select max(updated_run) from marts.fct_api_responses"
MESSAGES = """
    create or replace temp table recounted as
    with records as (
        select *, min(progress) over (partition by message_id) as best
        from recount_records
    ),
    keyed as (
        select *,
            bool_or(trusted) over (partition by message_id) as known,
            first_value(uuid) over (
                partition by message_id, file_key order by gen, off, part, number
            ) as first_uuid
        from records where progress = best
    ),
    responses as (
        select message_id, bool_or(optional) as optional,
            max(input) as input, max(output) as output,
            list_max([max(flat), max(five) + max(hour)]) as cache_write,
            max(cache_read) as cache_read, max(steps) as steps,
            arg_max(
                struct_pack(
                    input := step_input, output := step_output,
                    cache_write := step_cache_write, cache_read := step_cache_read
                ), (steps, output, off)
            ) as step
        from keyed
        group by message_id, case when known then '' else first_uuid end
    )
    select message_id, bool_or(optional) as optional, count(*) as responses,
        sum(if(steps > 1, step.input, input)) as input,
        sum(if(steps > 1, step.output, output)) as output,
        sum(if(steps > 1, step.cache_write, cache_write)) as cache_write,
        sum(if(steps > 1, step.cache_read, cache_read)) as cache_read
    from responses group by message_id
"""
COMPARED = """
    with gold as (
        select message_id, count(*) as responses, sum(input_tokens) as input,
            sum(output_tokens) as output, sum(cache_write_tokens) as cache_write,
            sum(cache_read_tokens) as cache_read
        from marts.fct_api_responses group by message_id
    ),
    paired as (
        select coalesce(g.message_id, r.message_id) as message_id,
            coalesce(r.optional, false) as optional,
            r.message_id is null as extra,
            g.responses is distinct from r.responses as odd,
            coalesce(g.input, 0) <> coalesce(r.input, 0)
                or coalesce(g.output, 0) <> coalesce(r.output, 0)
                or coalesce(g.cache_write, 0) <> coalesce(r.cache_write, 0)
                or coalesce(g.cache_read, 0) <> coalesce(r.cache_read, 0) as uneven
        from gold as g full join recounted as r on g.message_id = r.message_id
    )
    select count(*) filter (odd or uneven),
        min(message_id) filter (odd or uneven),
        count(*) filter (extra)
    from paired where not optional
"""
# An item of `iterations` counts if it has any of these.
NAMES = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)
Advance = Callable[[int], None]


def recount(
    connection: duckdb.DuckDBPyConnection, advance: Advance = lambda _rows: None
) -> list[str]:
    """Compare the tokens of gold with those of the raw entries, message by message.

    Responses that gold may lack are not compared. These are in lines without a session,
    in very long lines, and in lines that were loaded after gold was built.

    Args:
        connection: The warehouse; only temporary tables are created in it.
        advance: Called with the number of lines just read.

    Returns:
        Sentences on the differences.
    """
    empty = pa.Table.from_pylist([], SCHEMA)
    connection.register("empty_records", empty)
    connection.execute(
        "create or replace temp table recount_records as from empty_records"
    )
    unread = 0
    built = connection.execute(BUILT).fetchone() or (0,)
    cursor = connection.cursor().execute(LINES, {"built": built[0] or 0})
    reader = cursor.to_arrow_reader(BATCH_ROWS)
    for batch in reader:
        rows: list[dict[str, Any]] = []
        for line in zip(*(column.to_pylist() for column in batch), strict=True):
            try:
                rows += _records(line)
            except (orjson.JSONDecodeError, RecursionError):
                unread += 1
        connection.register("some_records", pa.Table.from_pylist(rows, SCHEMA))
        connection.execute("insert into recount_records from some_records")
        advance(batch.num_rows)
    connection.execute(MESSAGES)
    found = connection.execute(COMPARED).fetchone() or (0, "", 0)
    wrong, example, extra = found
    if not wrong or (wrong == extra and extra <= unread):
        return []
    return [
        f"{wrong:,} messages of fct_api_responses differ in tokens from the raw"
        f" entries: {example}"
    ]


def _records(line: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """Yield the usage records of one line."""
    doc_id, file_key, gen, off, part, progress, optional, text = line
    entry = orjson.loads(text)
    found = [entry]
    if progress:
        data = entry.get("data") if isinstance(entry, dict) else None
        data = data if isinstance(data, dict) else {}
        copies = data.get("normalizedMessages")
        found = [data.get("message"), *(copies if isinstance(copies, list) else [])]
    for number, record in enumerate(found):
        message = record.get("message") if isinstance(record, dict) else None
        if not isinstance(message, dict) or message.get("model") == "<synthetic>":
            continue
        usage = message.get("usage")
        name = _name(message.get("id"))
        if progress and message.get("role") != "assistant":
            continue
        if name is None and not isinstance(usage, dict):
            continue
        fork = record.get("forkedFrom")
        origin = fork.get("messageUuid") if isinstance(fork, dict) else None
        uuid = _name(origin) or _name(record.get("uuid"))
        message_id = f"uuid:{uuid or doc_id}" if name is None else name
        request = _name(record.get("requestId")) is not None
        yield {
            "message_id": message_id,
            "trusted": request or bool(re.match("msg_(01|bdrk|vrtx)", message_id)),
            "uuid": uuid or f"{doc_id}-{part}",
            "file_key": file_key,
            "gen": gen,
            "off": off,
            "part": part,
            "number": number,
            "progress": progress,
            "optional": optional or len(text) > LONG_LINE,
        } | _usage(usage if isinstance(usage, dict) else {})


def _usage(usage: dict[str, Any]) -> dict[str, int]:
    counts = _counts(usage)
    each = [_counts(step) for step in _steps(usage)]
    return counts | {
        "steps": len(each),
        "step_input": sum(step["input"] for step in each),
        "step_output": sum(step["output"] for step in each),
        "step_cache_write": sum(
            max(step["flat"], step["five"] + step["hour"]) for step in each
        ),
        "step_cache_read": sum(step["cache_read"] for step in each),
    }


def _steps(usage: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the iterations with tokens; add the answer if all are advisors."""
    listed = usage.get("iterations")
    steps = [
        step
        for step in (listed if isinstance(listed, list) else [])
        if isinstance(step, dict) and any(step.get(name) is not None for name in NAMES)
    ]
    if steps and all(step.get("type") == "advisor_message" for step in steps):
        return [usage, *steps]
    return steps


def _counts(given: object) -> dict[str, int]:
    usage = given if isinstance(given, dict) else {}
    nested = usage.get("cache_creation")
    nested = nested if isinstance(nested, dict) else {}
    return {
        "input": _number(usage.get("input_tokens")),
        "output": _number(usage.get("output_tokens")),
        "flat": _number(usage.get("cache_creation_input_tokens")),
        "five": _number(nested.get("ephemeral_5m_input_tokens")),
        "hour": _number(nested.get("ephemeral_1h_input_tokens")),
        "cache_read": _number(usage.get("cache_read_input_tokens")),
    }


def _number(value: object) -> int:
    """Return a count, even if it is written as text; 0 for anything else."""
    try:
        found = round(float(value)) if isinstance(value, str | float | int) else 0
    except (ValueError, OverflowError):
        return 0
    return found if 0 <= found <= MAX_COUNT and not isinstance(value, bool) else 0


def _name(value: object) -> str | None:
    """Return a plain value as text; None if it is empty, an object or a list."""
    if value is None or isinstance(value, list | dict):
        return None
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if text and text[0] not in "{[" else None
