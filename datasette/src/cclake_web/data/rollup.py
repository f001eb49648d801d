"""Sums by the half hour, made once per generation, so that dashboards are quick.

By the half hour, as there are time zones that are half an hour off.

They lie in memory beside the export, on a connection of their own. What is
asked of them is kept for as long as the generation lives.
"""

import sqlite3
from collections.abc import Callable, Hashable
from typing import TypeVar

from cclake_web.generation import Generation

T = TypeVar("T")
MOST = 300  # answers that are kept
_MAKE = """
create table sums.listed (session integer primary key, session_id, project_key,
    git_branch, host, models, started_at, ended_at, recent, cost, tokens, turns, time,
    errors, unpriced);
insert into sums.listed
select s.rowid, s.session_id, s.project_key, s.git_branch, s.host,
    ',' || replace(coalesce(s.models, ''), ', ', ',') || ',', s.started_at,
    coalesce(s.ended_at, s.started_at), coalesce(s.ended_at, s.started_at, ''),
    m.cost_usd, m.total_tokens, m.turns, coalesce(s.active_s, s.wall_s, 0),
    coalesce(m.tool_errors, 0) + coalesce(m.api_errors, 0), m.unpriced_responses
from main.dim_sessions s
left join main.agg_session_metrics m on m.session_id = s.session_id;
create index sums.listed_recent on listed (recent, session_id);

create table sums.halves as
select strftime('%s', r.responded_at) / 1800 as half, r.project_key as project,
    r.model, r.host, s.git_branch as branch, coalesce(r.is_sidechain, 0) as side,
    count(*) as responses, sum(coalesce(r.usage_final, 0)) as final,
    sum(r.cost_usd is null) as unpriced, sum(r.input_tokens) as input,
    sum(r.output_tokens) as output, sum(r.cache_write_tokens) as written,
    sum(r.cache_read_tokens) as read, sum(r.cost_usd) as cost,
    max(coalesce(r.input_tokens, 0) + coalesce(r.cache_write_tokens, 0)
        + coalesce(r.cache_read_tokens, 0)) as widest
from main.fct_api_responses r
left join main.dim_sessions s on s.session_id = r.session_id
where strftime('%s', r.responded_at) is not null group by 1, 2, 3, 4, 5, 6;

create table sums.each_call as
select strftime('%s', c.called_at) / 1800 as half, c.project_key as project,
    s.host, s.git_branch as branch, (select r.model from main.fct_api_responses r
        where r.message_id = c.message_id limit 1) as model,
    c.tool_name as tool, s.rowid as session, c.duration_ms as ms,
    case when c.is_error then coalesce(nullif(c.error_kind, ''), 'other')
        else '' end as kind
from main.fct_tool_calls c
left join main.dim_sessions s on s.session_id = c.session_id
where strftime('%s', c.called_at) is not null;

create table sums.calls (id integer primary key, half, project, host, branch, model,
    tool, kind, calls, timed);
insert into sums.calls
select null, half, project, host, branch, model, tool, kind, count(*), count(ms)
from sums.each_call group by 2, 3, 4, 5, 6, 7, 8;
create index sums.calls_kinds on calls (half, tool, kind);
create table sums.durations as
select e.tool, e.ms, c.id as call from sums.each_call e
cross join sums.calls c on c.half = e.half and c.tool is e.tool and c.kind = e.kind
    and c.project is e.project and c.host is e.host and c.branch is e.branch
    and c.model is e.model
where e.ms is not null;
create index sums.durations_ms on durations (tool, ms, call);
create table sums.chosen (call integer primary key);
create table sums.used as
select tool, kind, session from sums.each_call group by 1, 2, 3;
create index sums.used_tool on used (tool, kind, session);
create index sums.used_kind on used (kind, session);
drop table sums.each_call;

create table sums.spoken as
select s.rowid as session, strftime('%s', m.said_at) / 1800 as half,
    count(*) as messages
from main.fct_messages m join main.dim_sessions s on s.session_id = m.session_id
where m.message_kind in ('prompt', 'answer')
    and strftime('%s', m.said_at) is not null group by 1, 2;
create table sums.worked as
select s.rowid as session, strftime('%s', r.responded_at) / 1800 as half
from main.fct_api_responses r join main.dim_sessions s on s.session_id = r.session_id
where strftime('%s', r.responded_at) is not null group by 1, 2;

create table sums.times as
select half from sums.halves union select half from sums.calls
union select half from sums.spoken;
"""


def ask(export: Generation, fn: Callable[[sqlite3.Connection], T]) -> T:
    """Run a function with the sums of a generation; call it in a worker thread."""
    with export.lock:
        if not export.cache.get("sums"):
            make(export.spare)
            export.cache["sums"] = True
        return fn(export.spare)


def kept(export: Generation, key: Hashable, fn: Callable[[sqlite3.Connection], T]) -> T:
    """The same, once for each key; a generation does not change."""
    return export.keep("sums of", MOST, key, lambda: ask(export, fn))


def make(connection: sqlite3.Connection) -> None:
    """Add the sums to a connection, in memory, beside the export's tables."""
    connection.row_factory = sqlite3.Row
    connection.isolation_level = None
    connection.execute("attach ':memory:' as sums")
    connection.executescript(_MAKE)
