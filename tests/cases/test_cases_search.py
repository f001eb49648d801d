"""Search in every script (tests/fixtures/cases/README.md)."""

import pytest
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
