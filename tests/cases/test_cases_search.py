"""Search in every script (tests/fixtures/cases/README.md)."""

import os
import subprocess

import pytest
from cases import Cases
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
