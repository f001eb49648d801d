"""An export that has one of everything, and edits of files."""

from pathlib import Path

import pytest
from sample import MAIN, sample

HERE = "77777777-aaaa-4111-8111-777777777777"


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = sample()
    made.rows["fct_file_operations"] = []  # these alone
    for number, (path, operation) in enumerate((
        ("/home/me/alpha/src/parser.py", "edit"),
        ("/home/me/alpha/src/parser.py", "read"),
        ("/home/me/alpha/tests/test_rows.py", "create"),
        ("/home/me/alpha/src/my_parser.py", "edit"),
        ("/home/me/alpha/\x1b]52;c;cHduZWQ=\x07.py", "edit"),
    )):  # fmt: skip
        call = made.rows["fct_tool_calls"][number]
        made.add(
            "fct_file_operations", tool_use_id=call["tool_use_id"], session_id=MAIN,
            project_key="alpha", host="laptop", operation=operation, tool_name="Edit",
            file_path=path, is_error=0, lines_added=number, lines_removed=1,
            called_at=f"2026-08-0{number + 1}T10:00:00.000Z",
        )  # fmt: skip
    folder = tmp_path_factory.mktemp("recall")
    here = made.session(HERE, title="Here", project="here", cwd=str(folder))
    here.prompt("Where are we?")
    here.answer("Here we are.")
    here.end()
    made.write(folder / "conversations.db")
    return folder
