"""The sums by session and quarter of an hour: what is kept in memory beside an export.

By the quarter of an hour, as Nepal's and other time zones are off by one. By session,
as a session is what a publication replaces as a whole: the sums of those that
have moved on are made anew, and all others stay.
"""

import sqlite3
from bisect import bisect_right
from itertools import pairwise

EDGES = 15  # durations that part those of a tool into groups of about one size
SAMPLE = 20_000  # durations that the edges are taken from
BELOW = ", ".join(f"below{n}" for n in range(1, EDGES + 1))
BELOW_SUMS = ", ".join(f"sum(below{n}) as below{n}" for n in range(1, EDGES + 1))
ADDED = (
    "responses", "parts", "final", "unpriced", "uncounted", "input", "output",
    "written", "read", "cost",
)  # fmt: skip
# What a response without a cost lacks, as `report` says it: a price, or its tokens.
UNPRICED = "not r.is_priced and r.input_tokens is not null"
UNCOUNTED = "r.input_tokens is null"
ADDED_SUMS = ", ".join(f"sum({name}) as {name}" for name in ADDED)

LAST = 7_258_118_400  # seconds: times up to the year 2200 are summed, from 1970 on
SCHEMA = f"""
create table sums.ids (session integer primary key, session_id unique);
create table sums.listed (session integer primary key, session_id, project_key,
    git_branch, host, models, started_at, ended_at, recent, cost, tokens, turns, time,
    errors, unpriced, uncounted, updated_run);
create index sums.listed_recent on listed (recent, session_id);
create table sums.moved (session integer primary key, session_id);
create table sums.touched (quarter integer primary key);

create table sums.who (id integer primary key, project, model, host, branch);
create index sums.who_key on who (project, model, host, branch);
create table sums.quarters (session integer, quarter integer, who integer, side,
    {", ".join(ADDED)}, widest);
create index sums.quarters_quarter on quarters (quarter, who);
create table sums.calls (session integer, quarter integer, who integer, tool, kind,
    calls, timed, {BELOW});
create index sums.calls_quarter on calls (quarter);
create index sums.calls_tool on calls (tool, kind, session);
create index sums.calls_kind on calls (kind, session);
create table sums.durations (tool, ms, who integer, quarter integer, session integer);
create table sums.edges (tool, {", ".join(f"t{n}" for n in range(1, EDGES + 1))});
create table sums.spoken (session integer, quarter integer, messages);
"""

_LIST = """
insert or ignore into sums.ids (session_id) select session_id from main.dim_sessions;
delete from sums.listed;
insert into sums.listed
select i.session, s.session_id, s.project_key, s.git_branch, s.host,
    ',' || replace(coalesce(s.models, ''), ', ', ',') || ',', s.started_at,
    coalesce(s.ended_at, s.started_at), coalesce(s.ended_at, s.started_at, ''),
    m.cost_usd, m.total_tokens, m.turns, coalesce(s.active_s, s.wall_s, 0),
    coalesce(m.tool_errors, 0) + coalesce(m.api_errors, 0), 0, 0, {run}
from main.dim_sessions s join sums.ids i on i.session_id = s.session_id
left join main.agg_session_metrics m on m.session_id = s.session_id;
update sums.listed as l set unpriced = found.unpriced, uncounted = found.uncounted
from (select m.session_id, sum(UNPRICED) as unpriced, sum(UNCOUNTED) as uncounted
    from main.agg_session_metrics m
    join main.fct_api_responses r on r.session_id = m.session_id
    where m.unpriced_responses > 0 group by 1) as found
join sums.ids i on i.session_id = found.session_id where l.session = i.session;
""".replace("UNPRICED", UNPRICED).replace("UNCOUNTED", UNCOUNTED)

# The keys of a group begin with numbers: texts are seldom compared then. `responses`
# counts each response once, `parts` the responses that a model has a part in.
_EACH_QUARTER = """
select coalesce(i.session, -1) as session,
    strftime('%s', r.responded_at) / 900 as quarter,
    r.model_name as model, coalesce(r.is_sidechain, 0) as side,
    r.project_key as project, r.host, {counts}, sum(r.input_tokens) as input,
    sum(r.output_tokens) as output, sum(r.cache_write_tokens) as written,
    sum(r.cache_read_tokens) as read, sum(r.cost_usd) as cost,
    max({context}) as widest, l.git_branch as branch
from main.{table} r left join sums.ids i on i.session_id = r.session_id
left join sums.listed l on l.session = i.session
where cast(strftime('%s', r.responded_at) as integer) between 0 and {{last}}
    {{only}} {which} group by 1, 2, 3, 4, 5, 6
"""
_WHOLE = _EACH_QUARTER.format(
    table="fct_api_responses",
    which="and r.price_parts < 2",
    counts=f"count(*) as responses, count(*) as parts,"
    f" sum(coalesce(r.usage_final, 0)) as final, sum({UNPRICED}) as unpriced,"
    f" sum({UNCOUNTED}) as uncounted",
    context="coalesce(r.context_tokens, 0)",
)
_ITEMS = _EACH_QUARTER.format(
    table="fct_response_items",
    which="",
    counts="sum(r.is_response) as responses, sum(r.is_first_of_model) as parts,"
    " sum(r.is_response and coalesce(r.usage_final, 0)) as final,"
    " sum(r.is_first_unpriced) as unpriced, 0 as uncounted",
    context="case when r.is_main then r.context_tokens else 0 end",
)
_RESPONSES = f"""
create temp table each_quarter as {_WHOLE};
insert into temp.each_quarter {_ITEMS};
insert into sums.who (project, model, host, branch)
select project, model, host, branch from temp.each_quarter
except select project, model, host, branch from sums.who;
insert into sums.quarters
select e.session, e.quarter, w.id, e.side, e.responses, e.parts, e.final,
    e.unpriced, e.uncounted, e.input, e.output, e.written, e.read, e.cost, e.widest
from temp.each_quarter e cross join sums.who w on w.project is e.project
    and w.model is e.model and w.host is e.host and w.branch is e.branch;
drop table temp.each_quarter;
"""

_CALLS = """
create temp table each_call as
select coalesce(i.session, -1) as session, strftime('%s', r.called_at) / 900 as quarter,
    r.project_key as project, l.host, l.git_branch as branch,
    (select a.model_name from main.fct_api_responses a
        where a.message_id = r.message_id limit 1) as model,
    r.tool_name as tool, r.duration_ms as ms,
    case when r.is_error then coalesce(nullif(r.error_kind, ''), 'other')
        else '' end as kind
from main.fct_tool_calls r left join sums.ids i on i.session_id = r.session_id
left join sums.listed l on l.session = i.session
where cast(strftime('%s', r.called_at) as integer) between 0 and {last} {only};
insert into sums.who (project, model, host, branch)
select project, model, host, branch from temp.each_call
except select project, model, host, branch from sums.who;
create temp table known_call as
select e.session, e.quarter, (select w.id from sums.who w where w.project is e.project
    and w.model is e.model and w.host is e.host and w.branch is e.branch) as who,
    e.tool, e.kind, e.ms from temp.each_call e;
drop table temp.each_call;
insert into sums.durations
select tool, ms, who, quarter, session from temp.known_call where ms is not null;
"""

_COUNTED = f"""
insert into sums.calls
select c.session, c.quarter, c.who, c.tool, c.kind, count(*), count(c.ms),
    {", ".join(f"count(nullif(c.ms < e.t{n}, 0))" for n in range(1, EDGES + 1))}
from temp.known_call c left join sums.edges e on e.tool is c.tool
group by 1, 2, 3, 4, 5;
drop table temp.known_call;
"""

_SPOKEN = """
insert into sums.spoken
select i.session, strftime('%s', r.said_at) / 900 as quarter, count(*)
from main.fct_messages r join sums.ids i on i.session_id = r.session_id
where r.message_kind in ('prompt', 'answer')
    and cast(strftime('%s', r.said_at) as integer) between 0 and {last} {only}
group by 1, 2;
"""
_ONLY = "and r.session_id in (select session_id from sums.moved)"


def list_sessions(connection: sqlite3.Connection) -> None:
    """Make the list of sessions, which is all that the first page needs."""
    rows = connection.execute("pragma main.table_info(dim_sessions)")
    known = "updated_run" in [row[1] for row in rows]
    connection.executescript(_LIST.format(run="s.updated_run" if known else "null"))


def gather(connection: sqlite3.Connection, *, moved: bool) -> None:
    """Read the facts of all sessions, or of those that are noted as moved."""
    only = _ONLY if moved else ""
    connection.executescript((_RESPONSES + _CALLS).format(only=only, last=LAST))
    if not moved:
        _edges(connection)
    connection.executescript(_COUNTED + _SPOKEN.format(only=only, last=LAST))
    if not moved:
        connection.execute(
            "create index sums.durations_ms on durations (tool, ms, who, quarter)"
        )


def _edges(connection: sqlite3.Connection) -> None:
    """Choose the edges from a sample; they need not be exact for medians to be."""
    (number,) = connection.execute("select count(*) from sums.durations").fetchone()
    found: dict[str | None, list[float]] = {}
    for tool, ms in connection.execute(
        "select tool, ms from sums.durations where rowid % ? = 0 order by ms",
        (max(1, number // SAMPLE),),
    ):
        found.setdefault(tool, []).append(ms)
    marks = ", ".join("?" * EDGES)
    connection.executemany(
        f"insert into sums.edges values (?, {marks})",
        [(tool, *_parting(ms)) for tool, ms in found.items()],
    )


def _parting(ms: list[float]) -> list[float]:
    """Edges among sorted durations; one that is very frequent lies between two."""
    chosen = [ms[len(ms) * n // (EDGES + 1)] for n in range(1, EDGES + 1)]
    frequent = {one for one, two in pairwise(chosen) if one == two}
    after = [ms[at] for one in frequent if (at := bisect_right(ms, one)) < len(ms)]
    edges = sorted({*chosen, *after})[:EDGES]
    return edges + edges[-1:] * (EDGES - len(edges))
