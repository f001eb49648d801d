import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cclake_report import commands, statusline
from cclake_report.statusline import Options, line
from gold_usage import MODELS, make_export, response
from harness import BIN
from typer.main import get_command

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
SESSION = "session-1"
STATUS: dict[str, Any] = {
    "session_id": SESSION,
    "model": {"id": "claude-opus-4-6", "display_name": "Opus 4.6 (1M context)"},
    "cost": {
        "total_cost_usd": 1.239,
        "total_lines_added": 12,
        "total_lines_removed": 3,
    },
    "context_window": {"used_percentage": 41.7, "context_window_size": 1_000_000},
    "rate_limits": {"five_hour": {"used_percentage": 12.5}},
}
# Two responses of today, an hour ago and ten minutes ago, and one of yesterday.
PUBLISHED = {10: 60, 11: 10, 12: 20 * 60}
RATES = {"input": 5, "output": 25, "cache_write_5m": 6.25, "cache_read": 0.5}


def at(minutes: float, now: datetime = NOW) -> datetime:
    return (now - timedelta(minutes=minutes)).replace(tzinfo=None)


def published_block(start: datetime, cost: float) -> dict[str, Any]:
    return {
        "block_start": start, "block_end": start + timedelta(hours=5),
        "first_response_at": at(60), "last_response_at": at(10), "api_responses": 2,
        "unpriced_responses": 0, "models": "x", "input_tokens": 1, "output_tokens": 1,
        "total_tokens": 1_000, "cost_usd": cost,
    }  # fmt: skip


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        response(n, responded_at=at(minutes), session_id=SESSION, model=MODELS[0])
        for n, minutes in PUBLISHED.items()
    ]
    other = response(13, responded_at=at(1), session_id="session-2", model=MODELS[0])
    return make_export(
        tmp_path_factory.mktemp("exports"),
        fct_api_responses=[*rows, other],
        agg_usage_blocks=[published_block(at(60), 0.9)],
    )


@pytest.fixture(autouse=True)
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("CCLAKE_HOME", str(folder))
    monkeypatch.delenv("CCLAKE_TIMEZONE", raising=False)
    return folder


def record(
    name: str, minutes: float, now: datetime = NOW, **usage: Any
) -> dict[str, Any]:
    """A record of a response; its usage is 1,000 tokens of output unless given."""
    return {
        "type": "assistant", "requestId": f"req_{name}", "sessionId": SESSION,
        "timestamp": f"{at(minutes, now).isoformat(timespec='milliseconds')}Z",
        "message": {"id": f"msg_{name}", "model": MODELS[0], "role": "assistant",
                    "usage": {"output_tokens": 1_000} | usage},
    }  # fmt: skip


def write(path: Path, *records: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(r)}\n" for r in records))
    return path


def fields(
    exports: Path, transcript: Path | None = None, zone: str = "UTC",
    now: datetime = NOW, **status: Any,
) -> dict[str, str]:  # fmt: skip
    """Each field of a template, with its text."""
    template = "\x1f".join(f"{{{name}}}" for name in statusline.FIELDS)
    path = {"transcript_path": str(transcript)} if transcript else {}
    text = json.dumps({"session_id": SESSION} | path | status).encode()
    printed = line(Options(template, zone, exports), text, now)
    assert " | " not in printed, "there is a note"
    return dict(zip(statusline.FIELDS, printed.split("\x1f"), strict=True))


def test_the_line_has_today_the_session_the_block_and_the_context(
    exports: Path,
) -> None:
    printed = line(Options(export_dir=exports, timezone="UTC"), as_bytes(STATUS), NOW)
    assert printed == (
        "$0.90 today | $1.24 session | block $0.90, 4h00m left, $1.08/h | ctx 42%"
        " | Opus 4.6 (1M context)"
    )


def as_bytes(status: Any) -> bytes:
    return json.dumps(status).encode()


def test_a_template_names_its_fields(exports: Path) -> None:
    template = "{model}: +{lines_added}/-{lines_removed} {five_hour} {seven_day}"
    printed = line(Options(template, "UTC", exports), as_bytes(STATUS), NOW)
    assert printed == "Opus 4.6 (1M context): +12/-3 12% -"


def test_what_is_not_published_counts_once_with_the_maximum(
    exports: Path, tmp_path: Path
) -> None:
    transcript = write(
        tmp_path / "t.jsonl",
        record("11", 10, output_tokens=10**6),  # published
        record("new", 5, input_tokens=100, output_tokens=1),
        {"type": "user", "message": {"content": '"assistant" "usage"'}},
        record("new", 4, input_tokens=100, output_tokens=1_000),
        record("new", 4, input_tokens=100, output_tokens=400,
               cache_creation_input_tokens=2_000, cache_read_input_tokens=10_000),
        record("error", 3) | {"message": {"id": "x", "model": "<synthetic>", "usage": {}}},
    )  # fmt: skip
    new = (100 * 5 + 1_000 * 25 + 2_000 * 6.25 + 10_000 * 0.5) / 1e6
    found = fields(exports, transcript)
    assert found["today"] == f"${0.9 + new:.2f}"
    assert found["session"] == f"${0.9 + new:.2f}"  # yesterday's, and not the other's
    assert found["block_cost"] == f"${0.9 + new:.2f}"
    assert found["context"] == "12.1k"
    before = fields(exports)
    assert before["today"] == "$0.90"
    assert before["session_tokens"] != found["session_tokens"]


def test_the_cost_of_claude_code_is_that_of_the_session(
    exports: Path, tmp_path: Path
) -> None:
    transcript = write(tmp_path / "t.jsonl", record("new", 5))
    found = fields(exports, transcript, cost={"total_cost_usd": 7})
    assert (found["session"], found["today"]) == ("$7.00", "$0.93")


def test_a_response_that_was_copied_from_another_session_is_not_counted_again(
    exports: Path, tmp_path: Path
) -> None:
    transcript = write(tmp_path / "t.jsonl", record("10", 60), record("13", 1))
    found = fields(exports, transcript, session_id="a-fork")
    assert (found["today"], found["session"]) == ("$0.90", "-")


def test_a_torn_tail_and_broken_lines_are_passed_over(
    exports: Path, tmp_path: Path
) -> None:
    transcript = write(tmp_path / "t.jsonl", record("a", 5))
    broken = [
        b'{"type":"assistant","message":{"usage":[]}}', b'"assistant" "usage"', b"\xff",
        b'{"type":"assistant","message":{"usage":{"output_tokens":"9"}, "id": 1}}',
        b'{"type": "assistant", "usage": ' + b"[" * 100_000,
        json.dumps(record("b", 4, output_tokens=-5)).encode(),
        json.dumps(record("c", 4, output_tokens=True, iterations=7)).encode(),
        json.dumps(record("d", 4, cache_creation="x", server_tool_use=[])).encode(),
        json.dumps(record("torn", 1)).encode()[:-20],
    ]  # fmt: skip
    with transcript.open("ab") as file:
        file.write(b"\n".join(broken))
    assert fields(exports, transcript)["today"] == "$0.95"


@pytest.mark.parametrize("size", [100, 65_536 - 40, 65_536, 200_000])
def test_lines_of_any_length_are_read_from_the_end(
    exports: Path, tmp_path: Path, size: int
) -> None:
    long = {"type": "user", "text": "x" * size}
    transcript = write(
        tmp_path / "t.jsonl", record("old", 900), long, record("a", 9), long, long,
        record("b", 8), long,
    )  # fmt: skip
    assert fields(exports, transcript)["today"] == "$0.95"


def test_a_tail_that_is_too_long_is_a_lower_bound(
    exports: Path, tmp_path: Path
) -> None:
    long = {"type": "user", "text": "x" * 1_000_000}
    transcript = write(tmp_path / "t.jsonl", *[long] * 5, record("a", 9))
    assert fields(exports, transcript)["today"] == ">=$0.93"
    nothing_new = write(tmp_path / "u.jsonl", *[long] * 5, record("11", 20), long)
    assert fields(exports, nothing_new)["today"] == "$0.90"


def test_subagents_and_fallbacks_count(exports: Path, tmp_path: Path) -> None:
    items = [
        {"type": "fallback_message", "model": MODELS[0], "output_tokens": 3_400},
        {"type": "message", "model": MODELS[0], "output_tokens": 1_000},
    ]
    transcript = write(tmp_path / "t.jsonl", record("a", 9, iterations=items))
    write(tmp_path / "t" / "subagents" / "workflows" / "x" / "agent-1.jsonl",
          record("b", 8) | {"isSidechain": True})  # fmt: skip
    assert fields(exports, transcript)["today"] == f"${0.9 + 5_400 * 25 / 1e6:.2f}"


def test_a_model_without_a_price_is_a_lower_bound(
    exports: Path, tmp_path: Path
) -> None:
    unknown = record("a", 5)
    unknown["message"]["model"] = "claude-unheard-9"
    found = fields(exports, write(tmp_path / "t.jsonl", unknown))
    assert (found["today"], found["block_cost"]) == (">=$0.90", ">=$0.90")


def test_without_an_export_there_are_tokens(tmp_path: Path) -> None:
    transcript = write(tmp_path / "t.jsonl", record("a", 5))
    template = "{session_tokens} {today} {block_left}"
    status = as_bytes({"session_id": "s", "transcript_path": str(transcript)})
    printed = line(Options(template, "UTC", tmp_path / "none"), status, NOW)
    assert printed == "1k - 4h00m | no export yet"


def test_days_end_where_the_clock_is_changed(tmp_path: Path) -> None:
    # Berlin's 25 October 2026 has 25 hours: from 22:00 to 23:00 UTC.
    times = [datetime(2026, 10, 24, 21, 59), datetime(2026, 10, 24, 22, 0),
             datetime(2026, 10, 25, 22, 59), datetime(2026, 10, 25, 23, 0)]  # fmt: skip
    rows = [
        response(n, responded_at=t, cost_usd=10**n, session_id=f"s{n}")
        for n, t in enumerate(times)
    ]
    folder = make_export(tmp_path / "exports", fct_api_responses=rows)
    for now, expected in ((times[2], "$110.00"), (times[3], "$1,000.00")):
        found = fields(folder, None, "Europe/Berlin", now.replace(tzinfo=UTC))
        assert found["today"] == expected
    # 29 March 2026 has 23 hours: the running session's part is counted alike.
    at_2200 = datetime(2026, 3, 29, 22, 0, tzinfo=UTC)
    transcript = write(
        tmp_path / "t.jsonl", record("a", 1, at_2200), record("b", 0, at_2200)
    )
    tokens = [
        fields(folder, transcript, "Europe/Berlin", at_2200 - timedelta(minutes=m))
        for m in (1, 0)
    ]
    assert [found["today_tokens"] for found in tokens] == ["1k", "1k"]


def test_a_block_opens_after_the_last_one_has_ended(
    exports: Path, tmp_path: Path
) -> None:
    later = NOW + timedelta(hours=6)
    transcript = write(
        tmp_path / "t.jsonl", record("a", 45, later), record("b", 15, later)
    )
    found = fields(exports, transcript, now=later)
    assert found["block"] == "block $0.05, 4h00m left, $0.10/h"
    resets = int((later + timedelta(minutes=30)).timestamp())
    limits = {"five_hour": {"used_percentage": 80, "resets_at": resets}}
    limited = fields(exports, transcript, now=later, rate_limits=limits)
    assert limited["block_left"] == "30m"
    assert fields(exports, now=later)["block"] == "-"


def test_the_block_is_that_of_the_account(
    tmp_path: Path, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        response(n, responded_at=at(minutes), host=where, model=MODELS[0], cost_usd=1)
        for n, (minutes, where) in enumerate(
            [(170, "there"), (100, "here"), (10, "here"), (5, "there"), (900, "here")]
        )
    ]
    folder = make_export(
        tmp_path / "exports",
        fct_api_responses=rows,
        agg_usage_blocks=[published_block(at(170), 4)],
    )
    assert fields(folder)["block_cost"] == "$4.00"
    (data_directory / "accounts.toml").write_text(
        '[[account]]\nname = "a"\nhost = "here"\n[[account]]\nname = "b"\n'
    )
    for where, cost, left in (("here", "$2.00", "3h00m"), ("there", "$2.00", "2h00m")):
        monkeypatch.setenv("CCLAKE_HOST", where)
        found = fields(folder)
        assert (found["block_cost"], found["block_left"]) == (cost, left)
    later = NOW + timedelta(hours=6)
    assert fields(folder, now=later)["block"] == "-"


@pytest.mark.parametrize(
    "status",
    [
        b"", b"{", b"[]", b"null", b'{"model": "Opus"}', b"\xff\xfe{}", b"9" * 5_000,
        b'{"model": {"display_name": "\\ud800"}, "session_id": "\\ud800"}',
        b'{"cost": {"total_cost_usd": NaN}, "context_window": {"used_percentage": -1}}',
        b'{"cost": null, "context_window": [], "transcript_path": 7, "session_id": {}}',
        b'{"session_id": "s", "transcript_path": "/\\u0000"}',
        b'{"session_id": "s", "transcript_path": "/", "model": {"id": "claude-opus-4-6"}}',
        b'{"session_id": "s", "transcript_path": "/dev/zero", "cost": {"total_cost_usd": 1e300}}',
        b"[" * 100_000,
        b"{}",
        b'{"model": {"display_name": "Op\xe9ra"}}',
        b'{"model": {"id": "gpt-5", "display_name": 5}, "session_id": "unknown"}',
        b'{"model": {"id": "%s"}}' % (b"m" * 900_000),
        b'{"cwd": "%s"}' % (b"/x" * 1_000_000),
    ],
)  # fmt: skip
def test_any_input_gives_one_line(exports: Path, status: bytes) -> None:
    done = run_it(exports, [], status)
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 1)
    assert b"today" in done.stdout
    assert b"Error" not in done.stdout


def run_it(
    exports: Path,
    arguments: list[str],
    status: bytes = b"{}",
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [BIN / "report", "statusline", *arguments],
        env=os.environ | {"EXPORT_DIR": str(exports)} | (environment or {}),
        input=status,
        capture_output=True,
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "printed"),
    [
        (["--template", "{today} {x}"], {}, b"report: there is no field {x}\n"),
        (["--template", "{today.__class__}"], {}, b"{today.__class__}\n"),
        (["--colour"], {}, b"report: there is no option --colour\n"),
        (["--template"], {}, b"report: --template needs a value\n"),
        (["--template=a\nb"], {}, b"a b\n"),
        (
            ["--template=x", "-z", "No/Where"],
            {},
            b"x | there is no time zone No/Where\n",
        ),
        (["--template=€"], {"PYTHONIOENCODING": "latin-1"}, b"?\n"),
    ],
)
def test_a_wrong_option_is_one_line(
    exports: Path, arguments: list[str], environment: dict[str, str], printed: bytes
) -> None:
    done = run_it(exports, arguments, environment=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, b"")


def test_a_broken_export_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    (folder / "conversations.db").write_bytes(b"no database" * 1_000)
    done = run_it(folder, [], as_bytes(STATUS))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"$1.24 session" in done.stdout
    assert b"file is not a database" in done.stdout


def test_names_do_not_control_the_terminal_nor_show_secrets(exports: Path) -> None:
    key = "sk-ant-api03-" + "a1B2" * 12
    for name, expected in (
        ("\x1b[31mOpus\x07\nnext", r"\x1b[31mOpus\x07 next"),
        (f"{key}", "••••••••"),
        ("Opus\u202e4.6", r"Opus\u202e4.6"),
    ):
        status = STATUS | {"model": {"display_name": name}}
        printed = line(Options("{model}", "UTC", exports), as_bytes(status), NOW)
        assert expected in printed
        assert key not in printed


def test_colours_only_when_asked(exports: Path) -> None:
    status = as_bytes({"context_window": {"used_percentage": 85}})
    for color, expected in ((False, "85%"), (True, "\x1b[33m85%\x1b[0m")):
        given = Options("{context}", "UTC", exports, color)
        assert line(given, status, NOW) == expected


def test_the_context_is_counted_where_its_share_is_missing(exports: Path) -> None:
    window = {
        "context_window_size": 200_000,
        "used_percentage": None,
        "current_usage": {"input_tokens": 20_000, "cache_read_input_tokens": 30_000},
    }
    assert fields(exports, context_window=window)["context"] == "25%"
    del window["context_window_size"]
    assert fields(exports, context_window=window)["context"] == "50k"


def test_it_imports_little(exports: Path, tmp_path: Path) -> None:
    """Claude Code waits for it: each of these takes as long as all the rest."""
    transcript = write(tmp_path / "t.jsonl", record("new", 5))
    done = subprocess.run(
        [BIN / "python", "-X", "importtime", BIN / "report", "statusline"],
        env=os.environ | {"EXPORT_DIR": str(exports)},
        input=as_bytes(STATUS | {"transcript_path": str(transcript)}),
        capture_output=True,
        check=True,
    )
    lines = done.stderr.decode().splitlines()
    imported = {text.rsplit("|", 1)[-1].strip().partition(".")[0] for text in lines}
    assert "sqlite3" in imported
    assert not imported & {
        "typer", "click", "rich", "duckdb", "pymongo", "dataclasses", "subprocess",
        "tempfile", "socket", "inspect", "tomllib", "logging", "argparse",
    }  # fmt: skip
    assert "masking" not in done.stderr.decode()


MODULES = 90  # beyond those of Python; 81 in November 2026
WATCHED = """
import os, sys
opened = []
def watch(event, arguments):
    if event in ("open", "sqlite3.connect"):
        path = str(arguments[0]).removeprefix("file://").partition("?")[0]
        if path.startswith(sys.argv[1]):
            opened.append(os.path.relpath(path, sys.argv[1]))
    elif event in ("socket.connect", "subprocess.Popen", "os.exec", "os.fork"):
        opened.append(event)
before = len(sys.modules)
sys.addaudithook(watch)
from cclake_report import statusline
statusline.main([])
print(len(sys.modules) - before, *opened, sep="\\n", file=sys.stderr)
"""


def test_it_opens_only_what_it_reads(exports: Path, data_directory: Path) -> None:
    """Each module, file and connection takes time; MongoDB is not even asked."""
    base = exports.parent
    transcript = write(exports / "t.jsonl", record("new", 5, datetime.now(UTC)))
    for name, text in (
        ("budgets", '[[budget]]\nperiod = "day"\nusd = 5\naccount = "work"\n'),
        ("accounts", '[[account]]\nname = "work"\n'),
    ):
        (data_directory / f"{name}.toml").write_text(text)
    done = subprocess.run(
        [BIN / "python", "-c", WATCHED, base],
        env=os.environ
        | {"EXPORT_DIR": str(exports), "MONGO_URI": "mongodb://127.0.0.1:1"},
        input=as_bytes(STATUS | {"transcript_path": str(transcript)}),
        capture_output=True,
        check=True,
    )
    modules, *opened = done.stderr.decode().splitlines()
    assert "day work 0%" in done.stdout.decode()
    database = (exports / "conversations.db").resolve()
    read = (database, transcript, *sorted(data_directory.glob("*.toml")))
    assert sorted(opened) == sorted(str(path.relative_to(base)) for path in read)
    assert int(modules) < MODULES


def test_the_help_has_the_options(exports: Path) -> None:
    command = get_command(commands.app).commands["statusline"]  # type: ignore[attr-defined]
    names = {name for option in command.params for name in option.opts}
    assert names == {*statusline.OPTIONS, "--color"}
