"""Search in every script (tests/fixtures/cases/README.md)."""

import os
import sqlite3
import subprocess

import pytest
from cases import Cases
from cclake_common.export import open_export
from cclake_common.search import KINDS, Within, hits, question, scope
from harness import PATIENCE
from webface import Web

SESSION = "dcd51f1c-fc74-5451-bb30-5e94342cd6a9"
WORDS = (
    *("评审", "会议", "数据库", "迁移", "失败"),
    *("データベース", "接続", "エラー", "修正"),
    *("ฐานข้อมูล", "แก้ไข", "ข้อผิดพลาด"),
    *("데이터베이스", "연결", "오류"),
    *("重跑", "gen-itgc", "itgc", "50条"),
    *("🚀", "✅", "👩‍💻"),
)
FOUND = (
    *("deploy", "خطأ", "השגיאה", "café", "cafe", "résumé"),
    *("handle_user_login", "login_handler", "fooBarBaz"),
)


@pytest.mark.parametrize("word", [*WORDS, *FOUND])
def test_search_scripts(pages: Web, word: str) -> None:
    hits = pages.get("/search", params={"q": word}).text
    assert f'class="hit" href="/session/{SESSION}' in hits


def test_sql_finds_words_of_every_script(pages: Web) -> None:
    query = "/conversations/prompts_about.json?_shape=array&words="
    assert [row["session_id"] for row in pages.get(f"{query}失败").json()] == [SESSION]


@pytest.mark.parametrize("word", [*WORDS, *FOUND])
def test_recall_finds_what_the_page_finds(lake_of_cases: Cases, word: str) -> None:
    found = subprocess.run(
        ["recall", "search", word],
        env=os.environ | {"EXPORT_DIR": str(lake_of_cases.exports)},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    ).stdout
    assert f"\t{SESSION}\t" in found


MEANT = {
    "error:any": "c.is_error",
    "-error:any": "c.tool_use_id is null or not coalesce(c.is_error, 0)",
    "tool:Bash": "c.tool_name like '%bash%'",
    "-tool:Bash": "c.tool_name is null or c.tool_name not like '%bash%'",
    "project:a": "p.project_key like '%a%' or p.project_name like '%a%' or p.project_path like '%a%'",
    "model:opus -error:any": "s.models like '%opus%' and not coalesce(c.is_error, 0)",
}


@pytest.mark.parametrize("asked", MEANT)
def test_operators_find_what_the_facts_say(lake_of_cases: Cases, asked: str) -> None:
    kinds = list(KINDS)
    with open_export(lake_of_cases.exports) as export:
        export.row_factory = sqlite3.Row
        read = question(asked)
        where = scope(export, Within(operators=read.operators))
        found = hits(export, read.match, kinds, where, limit=100_000)
        expected = export.execute(
            f"""select d.search_id from search_documents d
            join dim_sessions s on s.session_id = d.session_id
            left join dim_projects p on p.project_key = s.project_key
            left join thread_blocks b on b.search_id = d.search_id
            left join fct_tool_calls c on c.tool_use_id = b.tool_use_id
            where {MEANT[asked]}"""
        ).fetchall()
    assert sorted(row["search_id"] for row in found) == sorted(
        row[0] for row in expected
    )
    assert len(found) > 3
