import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cclake_common.accounts import Accounts, load
from cclake_common.failure import Failure

RULES = """
[[account]]
name = "Work"
folder = "/home/me/acme"

[[account]]
name = "private"
folder = "/home/me/acme/mine/"

[[account]]
name = "o'team"
host = "build"

[[account]]
name = "Work"
host = "build"
folder = '/home/me/acme'

[[account]]
name = "private"
folder = 'c:\\Users\\me'

[[account]]
name = "shared"
folder = '\\\\NAS\\team'

[[account]]
name = "shared"
folder = "/mnt/d"
"""
# Host, folder and account.
PLACES = [
    ("laptop", "/home/me/acme", "Work"),
    ("laptop", "/home/me/acme/", "Work"),
    ("laptop", "/home/me/acme/api", "Work"),
    ("laptop", "/home/me/acmeshop", ""),
    ("laptop", "/home/me/acme/mine/x", "private"),
    ("laptop", "", ""),
    ("build", "/tmp", "o'team"),
    ("build", "", "o'team"),
    ("build", "/home/me/acme/api", "Work"),
    ("build", "/home/me/acme/mine", "private"),
    ("laptop", r"C:\Users\me\api", "private"),
    ("laptop", "C:/Users/me/api", "private"),
    ("build", "//nas/team/api", "shared"),
    ("laptop", "D:/team", "shared"),
    (None, "/home/me/acme", "Work"),
    (None, None, ""),
]


def rules(tmp_path: Path, text: str = RULES) -> Accounts:
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize(("host", "folder", "account"), PLACES)
def test_the_longest_folder_decides(
    tmp_path: Path, host: str | None, folder: str | None, account: str
) -> None:
    assert rules(tmp_path).of(host, folder) == account


@pytest.mark.parametrize(
    ("folder", "account"),
    [(r"c:\users", ""), (r"c:\Users\me\x", "private"), ("/mnt/c/Users/me", "private"),
     (r"\\nas\team", "shared"), (r"\\?\D:\x", "shared")],
)  # fmt: skip
def test_a_folder_that_gold_would_spell_otherwise_is_the_same(
    tmp_path: Path, folder: str, account: str
) -> None:
    """As the status line gets it from Claude Code."""
    assert rules(tmp_path).of("laptop", folder) == account


@pytest.mark.parametrize("text", [RULES, "", '[[account]]\nname = "all"\n'])
def test_sql_says_the_same(tmp_path: Path, text: str) -> None:
    known = rules(tmp_path, text)
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("create table dim_projects (project_key, project_path)")
        db.execute("create table t (n, host, project_key)")
        for n, (host, folder, _) in enumerate(PLACES):
            key = f"p{n}" if folder else None
            db.execute("insert into t values (?, ?, ?)", (n, host, key))
            if folder:
                db.execute("insert into dim_projects values (?, ?)", (key, folder))
        for names in ([], [""], *([name] for name in known.names), known.names):
            sql = f"select n from t where {known.condition(names)} order by n"
            found = [n for (n,) in db.execute(sql)]
            assert found == [
                n
                for n, (host, folder, _) in enumerate(PLACES)
                if known.of(host, folder) in names
            ]


def test_names_are_found_in_any_case_and_by_a_part(tmp_path: Path) -> None:
    known = rules(tmp_path)
    assert known.names == ["o'team", "private", "shared", "Work"]
    assert known.named("WORK") == ["Work"]
    assert known.named("wor") == []
    assert known.named("A", is_part=True) == ["o'team", "private", "shared"]
    assert known.named("none", is_part=True) == [""]


def test_a_search_for_an_unknown_account_reads_no_rows(tmp_path: Path) -> None:
    assert rules(tmp_path).condition([], "m") == "(false)"


def test_a_host_decides_between_rules_of_the_same_folder(tmp_path: Path) -> None:
    text = '[[account]]\nname="a"\nfolder="/x"\n[[account]]\nname="b"\nfolder="/x/"\nhost="h"'
    known = rules(tmp_path, text)
    assert [known.of(host, "/x/y") for host in ("h", "g")] == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[account]", "is not TOML: .*line 1"),
        ("account = 3", "line 1: account is not a list of tables"),
        ('[[account]]\nname = "a"\n\n[[account]]\nname = "b"\n\nfoldr = "/x"',
         "line 7: unknown key 'foldr'"),
        ('[[account]]\nname = "a"\n# x\n[[account]]\nhost = "b"',
         "line 4: account 2: name is missing"),
        ('[[account]]\nname = "a"\nfolder = "work"', "line 3: account 1: folder is not"),
        ('[[account]]\nname = "None"', "line 2: account 1: none stands for no account"),
        ('[[account]]\nname = "a"\n[[account]]\nname = "b"',
         "line 3: account 2: account 1 has the same host and folder"),
        ('[[account]]\nname = "a\\u001b"', "line 2: account 1: name is not a text of"),
        ('[[account]]\nname = "a"\n"host" = 3', "line 3: account 1: host is not a text"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(Failure, match=message):
        rules(tmp_path, text)


def test_without_a_file_nothing_has_an_account(tmp_path: Path) -> None:
    known = load(tmp_path / "accounts.toml")
    assert (known.names, known.of("laptop", "/x")) == ([], "")
