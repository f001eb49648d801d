"""Read workflow runs, and the subagents of each."""

import sqlite3

from cclake_common.masking import mask

from cclake_web.data.blocks import Run, parse


def runs(
    connection: sqlite3.Connection, session_id: str, reveal: bool
) -> dict[str, Run]:
    """Return the runs of a session by the calls that started them."""
    found: dict[str, Run] = {}
    rows = connection.execute(
        """select * from dim_workflow_runs where session_id = ?
        and tool_use_id is not null""",
        (session_id,),
    )
    for row in rows:
        texts = {
            name: row[name] or "" if reveal else mask(row[name] or "")
            for name in ("workflow_name", "status", "result")
        }
        found[row["workflow_run_id"]] = Run(
            run_id=row["workflow_run_id"], call=row["tool_use_id"],
            name=texts["workflow_name"], status=texts["status"],
            reported=row["agents"] or 0, tokens=row["total_tokens"],
            phases=parse(row["phases"], reveal), result=texts["result"],
        )  # fmt: skip
    agents = connection.execute(
        """select agent_id, workflow_run_id from dim_agents where session_id = ?
        and workflow_run_id is not null order by started_at, agent_id""",
        (session_id,),
    )
    for agent, run_id in agents:
        if run_id in found:
            found[run_id].agents.append(agent)
    return {run.call: run for run in found.values()}
