"""Reading once: resuming, rested lines, side files, hosts and roots, usage."""

import json
import os
import subprocess
import time
from hashlib import blake2b
from pathlib import Path

import pytest
from harness import BIN, PATIENCE
from tailing import Line, Tailer

REAL = os.environ.get("CCLAKE_REAL_LOGS")
FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "claude" / "projects"
    (folder / "p").mkdir(parents=True)
    return folder


@pytest.fixture
def tailer(root: Path, tmp_path: Path) -> Tailer:
    return Tailer(root, tmp_path)


def rest(path: Path, seconds: float = 60) -> None:
    """Set a file's times back by some seconds."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "tailer"), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | environ,
    )


def records(text: str, kind: str) -> list[dict[str, object]]:
    parsed = [json.loads(line) for line in text.splitlines()]
    return [record for record in parsed if record["kind"] == kind]


def test_a_second_run_prints_no_lines(tailer: Tailer, root: Path) -> None:
    (root / "p" / "a.jsonl").write_bytes(b'{"a":1}\n')
    assert tailer.once().returncode == 0
    assert [line.data for line in tailer.kept.lines] == [b'{"a":1}']
    assert tailer.once().stdout == b""


def test_an_interrupted_run_resumes_at_its_last_checkpoint(
    tailer: Tailer, root: Path
) -> None:
    (root / "p" / "a.jsonl").write_bytes(b'{"a":1}\n' * 5000)
    whole = run("--root", str(root)).stdout.encode()
    for text in whole[: len(whole) * 2 // 3].splitlines(keepends=True):
        if text.endswith(b"\n"):
            tailer.kept.take(text)
    tailer.kept.end()
    assert 0 < len(tailer.kept.lines) < 5000
    tailer.once()
    assert [line.off for line in tailer.kept.lines] == list(range(0, 40_000, 8))


def test_a_fresh_last_line_without_newline_waits(tailer: Tailer, root: Path) -> None:
    (root / "p" / "a.jsonl").write_bytes(b'{"a":1}\n{"b":2}')
    tailer.once()
    assert [line.data for line in tailer.kept.lines] == [b'{"a":1}']
    assert tailer.kept.state("p/a.jsonl")["off"] == 8


def test_a_rested_last_line_is_sent_once_and_again_with_its_newline(
    tailer: Tailer, root: Path
) -> None:
    path = root / "p" / "a.jsonl"
    path.write_bytes(b'{"a":1}\n{"b":2}')
    rest(path)
    tailer.once()
    last = tailer.kept.lines[-1]
    assert (last.data, last.off, last.len) == (b'{"b":2}', 8, 7)
    assert tailer.once().stdout == b""
    with path.open("ab") as file:
        file.write(b'\n{"c":3}\n')
    tailer.once()
    again, new = tailer.kept.lines[-2:]
    assert again == Line("line", "p/a.jsonl", last.file, 0, 8, 8, b'{"b":2}', None)
    assert again.id == last.id
    assert (new.data, new.off) == (b'{"c":3}', 16)
    tailer.kept.check_tiles()


def test_a_rested_line_that_grows_begins_a_generation(
    tailer: Tailer, root: Path
) -> None:
    path = root / "p" / "a.jsonl"
    path.write_bytes(b'{"a":1}\n{"b":2}')
    rest(path)
    tailer.once()
    with path.open("ab") as file:
        file.write(b'{"c":3}\n')
    tailer.once()
    state = tailer.kept.state("p/a.jsonl")
    assert state["gen"] == 1
    assert tailer.kept.content(state["file"], 1) == path.read_bytes()
    tailer.kept.check_tiles()


def test_lines_that_differ_only_at_their_beginnings_are_distinguished(
    tailer: Tailer, root: Path
) -> None:
    path = root / "p" / "a.jsonl"
    long = b'{"n":%d,"pad":"' + b"x" * 5000 + b'"}\n'
    path.write_bytes(long % 1 + long % 2)
    tailer.once()
    # The same size, the same head, and the same bytes before the end.
    path.write_bytes(long % 1 + long % 3 + long % 4)
    tailer.once()
    assert {line.data + b"\n" for line in tailer.kept.lines} == {
        long % number for number in (1, 2, 3, 4)
    }


def test_a_torn_last_line_is_never_sent_while_its_file_exists(
    tailer: Tailer, root: Path
) -> None:
    path = root / "p" / "a.jsonl"
    path.write_bytes(b'{"a":1}\n{"b":')
    rest(path)
    tailer.once()
    assert [line.data for line in tailer.kept.lines] == [b'{"a":1}']


def test_history_and_side_files_are_archived(tailer: Tailer, root: Path) -> None:
    (root.parent / "history.jsonl").write_bytes(b'{"display":"hi"}\n')
    side = {
        "p/s/subagents/agent-1.meta.json": b'{"agentType":"x"}',
        "p/s/tool-results/one.txt": b"no newline \xff\x00",
        "p/s/tool-results/deep/two.jsonl": b"not a log\n",
        "p/s/tool-results/big.bin": os.urandom(9 << 20),
        "p/s/tool-results/empty": b"",
    }
    for name, data in side.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "p" / "s" / "memory.md").write_text("not ours")
    tailer.once()
    assert [line.data for line in tailer.kept.lines if line.path == "../history.jsonl"]
    for name, data in side.items():
        chunks = [line for line in tailer.kept.lines if line.path == name]
        assert {chunk.kind for chunk in chunks} <= {"chunk"}
        assert b"".join(chunk.data for chunk in chunks) == data
        assert all(chunk.len == len(chunk.data) <= 4 << 20 for chunk in chunks)
        assert tailer.kept.state(name)["off"] == len(data)
    assert not [line for line in tailer.kept.lines if line.path.endswith(".md")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_a_log_in_another_encoding_is_archived_and_reported(
    tailer: Tailer, root: Path, encoding: str
) -> None:
    path = root / "p" / "a.jsonl"
    path.write_bytes('{"a":1}\n{"b":"\u0a0a"}\n'.encode(encoding))
    (root / "p" / "b.jsonl").write_bytes(b'{"a":1}\n')
    rest(path)
    tailer.once()
    state = tailer.kept.state("p/a.jsonl")
    assert tailer.kept.content(state["file"], 0) == path.read_bytes()
    assert state["encoding"] == encoding[:6].upper()
    assert all(line.error for line in tailer.kept.lines if line.path == "p/a.jsonl")
    assert "encoding" not in tailer.kept.state("p/b.jsonl")


def test_a_side_file_rewritten_in_place_is_a_new_generation(
    tailer: Tailer, root: Path
) -> None:
    path = root / "p" / "x.meta.json"
    path.write_bytes(b'{"a":"%s1"}' % (b"x" * 5000))
    tailer.once()
    before = path.read_bytes()
    path.write_bytes(before.replace(b"x1", b"x2"))  # the same size, beyond the windows
    rest(path, -5)
    tailer.once()
    assert [line.data for line in tailer.kept.lines] == [before, path.read_bytes()]
    assert tailer.kept.state("p/x.meta.json")["gen"] == 1


def test_side_files_can_be_left_out(root: Path) -> None:
    (root / "p" / "x.meta.json").write_bytes(b"{}")
    done = run("--root", str(root), "--no-side-files")
    assert (done.returncode, done.stdout) == (0, "")
    done = run("--root", str(root), CCLAKE_SIDE_FILES="0")
    assert done.stdout == ""


def test_keys_are_hashes_of_host_root_and_path(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "second"
    for folder in (root / "p", other / "p"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.jsonl").write_bytes(b"{}\n")
    done = run("--host", "h", CLAUDE_DIR=f"{root}:{other}")
    lines = records(done.stdout, "line")
    names = ["h\0p/a.jsonl", f"h\0{other}\0p/a.jsonl"]
    keys = [blake2b(name.encode(), digest_size=8).hexdigest() for name in names]
    assert [line["file"] for line in lines] == keys
    assert {line["host"] for line in lines} == {"h"}


def test_a_folder_under_another_name_continues(root: Path, tmp_path: Path) -> None:
    (root / "p" / "a.jsonl").write_bytes(b'{"a":1}\n')
    first = Tailer(root, tmp_path)
    first.once()
    copy = tmp_path / "restored"
    subprocess.run(["cp", "-r", str(root), str(copy)], check=True)
    with (copy / "p" / "a.jsonl").open("ab") as file:
        file.write(b'{"b":2}\n')
    second = Tailer(copy, tmp_path)
    second.kept = first.kept
    second.once()
    assert [line.off for line in second.kept.lines] == [0, 8]
    assert len({line.file for line in second.kept.lines}) == 1


def test_records_of_other_hosts_are_skipped(root: Path, tmp_path: Path) -> None:
    (root / "p" / "a.jsonl").write_bytes(b'{"a":1}\n')
    first = run("--root", str(root), "--host", "other").stdout
    (tmp_path / "resume").write_text(first + '{"kind":"unknown","x":1}\n')
    again = ["--root", str(root), "--resume", str(tmp_path / "resume")]
    assert run(*again, "--host", "other").stdout == ""
    assert len(records(run(*again, "--host", "mine").stdout, "line")) == 1


def test_checkpoints_come_from_standard_input(root: Path) -> None:
    (root / "p" / "a.jsonl").write_bytes(b'{"a":1}\n')
    script = 'tailer="$0 --root $1"; $tailer | $tailer --resume -'
    done = subprocess.run(
        ["sh", "-c", script, str(BIN / "tailer"), str(root)],
        capture_output=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_names_that_are_not_utf8_are_read(root: Path, tmp_path: Path) -> None:
    folder = os.fsencode(root) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102
    Path(os.fsdecode(folder + b"/a\xff.jsonl")).write_bytes(b'{"a":1}\n')
    tailer = Tailer(root, tmp_path)
    tailer.once()
    assert [line.path for line in tailer.kept.lines] == ["caf\\xe9/a\\xff.jsonl"]
    with Path(os.fsdecode(folder + b"/a\xff.jsonl")).open("ab") as file:
        file.write(b'{"b":2}\n')
    for _ in range(3):  # and never taken for deleted
        tailer.once()
        states = [json.loads(each) for each in tailer.kept.checkpoints.values()]
        assert {state["state"] for state in states} == {"live"}
    assert [line.off for line in tailer.kept.lines] == [0, 8]


@pytest.mark.parametrize("name", ["corrupt", "pricing"])
def test_fixtures_come_back_byte_for_byte(name: str, tmp_path: Path) -> None:
    same_bytes(FIXTURES / name, tmp_path)


@pytest.mark.skipif(not REAL, reason="CCLAKE_REAL_LOGS names no folder of logs")
def test_real_logs_come_back_byte_for_byte(tmp_path: Path) -> None:
    assert REAL is not None
    same_bytes(Path(REAL), tmp_path)


def same_bytes(root: Path, work: Path) -> None:
    tailer = Tailer(root, work)
    assert tailer.once().returncode == 0
    tailer.kept.check_tiles()
    assert tailer.kept.lines
    for text in tailer.kept.checkpoints.values():
        state = json.loads(text)
        data = (root / state["path"]).read_bytes()[: state["off"]]
        assert tailer.kept.content(state["file"], 0) == data


def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    done = run("--root", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "no folder" in done.stderr and "--root" in done.stderr
    assert done.stderr.count("\n") == 2


def test_an_invalid_resume_file_is_one_clear_line(root: Path) -> None:
    done = run("--root", str(root), "--resume", "/none")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot read checkpoints" in done.stderr
    done = run("--root", str(root), "--resume", str(Path(__file__)))
    assert done.returncode == 1
    assert "is not a record" in done.stderr
    assert run("--rest-seconds", "-1").returncode == 2
    assert run("--no-such-option").returncode == 2


def test_a_reader_that_closes_the_pipe_ends_it_silently(root: Path) -> None:
    (root / "p" / "a.jsonl").write_bytes(b'{"a":1}\n' * 200_000)
    script = '"$0" --root "$1" | head -n 1'
    done = subprocess.run(
        ["sh", "-c", script, str(BIN / "tailer"), str(root)],
        capture_output=True,
        timeout=PATIENCE,
    )
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")


def test_a_full_disk_ends_it_with_one_clear_line(root: Path) -> None:
    (root / "p" / "a.jsonl").write_bytes(b'{"a":1}\n' * 100_000)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [str(BIN / "tailer"), "--root", str(root)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 1
    assert "cannot write records" in done.stderr
    assert done.stderr.count("\n") == 2


def test_a_root_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(root)  # noqa: PTH102
    done = run("--root", os.fsdecode(root))
    assert done.returncode == 1
    assert "is not UTF-8" in done.stderr
