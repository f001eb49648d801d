"""Cases of files that have to be kept (tests/fixtures/cases/README.md)."""

import subprocess
from pathlib import Path

import cases
import pytest
from cases import CASES, Cases
from chain import Chain
from harness import Mongod

ODD = {"wombat", "nan", "deep nesting follows", "echidna", "huge numbers", "dugong"}


@pytest.fixture
def chain(tmp_path: Path, mongod: Mongod, mongo_db: str) -> Chain:
    """Tools and a database of this test alone; the host is called testhost."""
    return Chain(tmp_path, mongod.uri, mongo_db)


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The files of the case that the test names, in a folder of its own."""
    return cases.copy(request.param, tmp_path / "logs")


def files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder by their path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("root", ["edited-in-place"], indirect=True)
@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(
            "printf RRRR | dd of={} bs=1 seek=200000 conv=notrunc status=none", id="dd"
        ),
        pytest.param("sed -i 301s/line/LINE/ {}", id="sed"),
    ],
)
def test_edited_in_place(chain: Chain, root: Path, edit: str) -> None:
    """Overwritten by as many bytes: a new generation, and until then `verify` fails."""
    (path,) = root.rglob("*.jsonl")
    before = path.read_bytes()
    proof = ("--claude-dir", root, "--grace", "0", "--json")
    chain.archive(root)
    subprocess.run(["bash", "-euc", edit.replace("{}", str(path))], check=True)
    after = path.read_bytes()
    assert (len(after), after == before) == (len(before), False)
    assert chain.tool("verify", *proof).returncode == 1
    chain.archive(root)
    for generation, content in (("0", before), ("1", after)):
        out = chain.folder / f"out{generation}"
        done = chain.tool("restore", "--out", out, "--generation", generation)
        assert done.returncode == 0, done.stderr
        assert list(files(out).values()) == [content]


@pytest.mark.parametrize("root", ["workflow-run"], indirect=True)
def test_workflow_run_files(chain: Chain, root: Path) -> None:
    """Every file below a session's folder is archived, and restored."""
    chain.archive(root)
    done = chain.tool("restore", "--out", chain.folder / "out")
    assert done.returncode == 0, done.stderr
    assert files(chain.folder / "out") == files(root)


def test_odd_encodings_counted(lake_of_cases: Cases) -> None:
    """BOM, CRLF, NaN, no newline at the end; deep lines hide no others."""
    titles = {one["title"] for one in lake_of_cases.sessions("odd-encodings").values()}
    assert {word for word in ODD if any(word in title for title in titles)} == ODD
    answers = lake_of_cases.exported(
        "select input_tokens from fct_api_responses where host = 'odd-encodings'"
    )
    assert [row["input_tokens"] for row in answers].count(100) >= 4


@pytest.mark.parametrize("root", ["odd-encodings"], indirect=True)
def test_odd_encodings_said(chain: Chain, root: Path) -> None:
    """`status` says which files it cannot read: UTF-16 and .gz."""
    chain.archive(root)
    chain.env["CLAUDE_DIR"] = str(root)
    said = chain.tool("stack", "status").stdout
    assert "f99d9c65-2f73-53fd-91b7-06601b8125e0.jsonl.gz" in said
    assert "72c54146-e223-5302-a2e5-6c853539ca07" in said


def test_odd_encodings_unparsed(lake_of_cases: Cases) -> None:
    """A response in a line that gold cannot parse is named."""
    said = lake_of_cases.chain.tool("stack", "status").stdout
    assert "9d274194-63c9-5a1d-9998-1973842b4ba9" in said


def test_every_case_is_one_of_the_readme() -> None:
    text = (CASES / "README.md").read_text()
    assert [case for case in cases.names() if f"| `{case}` |" not in text] == []
