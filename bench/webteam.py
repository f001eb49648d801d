"""Searches by users of a team who read a part of the sessions, for `bench/web.py`."""

import json
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from webface import serving
from webstart import cpu

ROUNDS = 9
SHARES = {"everything": 1.0, "half": 0.5, "1 %": 0.01}
PAGES = {
    "newest": "/search?q=part",
    "best": "/search?q=part&order=best",
    "a tool": "/search?q=part+tool:Bash",
    "a model": "/search?q=part+model:glm",
    "palette": "/palette.json?q=modu",
}


def limited(exports: Path, log: Path, mongo: str) -> dict[str, list[float]]:
    """Median milliseconds and processor time of searches by such users."""
    found = {}
    with TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "team.toml").write_text(rules(exports / "conversations.db"))
        settings = {"CCLAKE_HOME": folder, "CCLAKE_WEB_TEAM": "yes"}
        with serving(exports, log, MONGO_URI=mongo, **settings) as web:
            secret = (home / "proxy-secret").read_text().strip()
            for user in SHARES:
                named = {"x-cclake-secret": secret, "x-forwarded-user": user}
                for what, page in PAGES.items():
                    assert web.get(page, headers=named).status_code == 200, page
                    times, used = [], cpu(web)
                    for _ in range(ROUNDS):
                        start = time.perf_counter()
                        web.get(page, headers=named)
                        times.append((time.perf_counter() - start) * 1000)
                    used = (cpu(web) - used) * 1000 / ROUNDS
                    found[f"search by a reader of {user}, {what}"] = [
                        round(statistics.median(times), 1), round(used, 1),
                    ]  # fmt: skip
    return found


def rules(export: Path) -> str:
    """Return a team file: each reads projects with about a share of the sessions."""
    with closing(sqlite3.connect(export)) as db:
        projects = db.execute(
            """select p.project_path, count(*) from dim_sessions s
            join dim_projects p on p.project_key = s.project_key
            group by 1 order by 2, 1"""
        ).fetchall()
    text = 'user_header = "X-Forwarded-User"\n'
    for user, share in SHARES.items():
        room = share * sum(number for _, number in projects)
        chosen = []
        for path, number in projects:
            if number <= room:
                chosen.append(path)
                room -= number
        rule = 'reads = "all"' if share == 1 else f"projects = {json.dumps(chosen)}"
        text += f"[[user]]\nname = {json.dumps(user)}\n{rule}\n"
    return text
