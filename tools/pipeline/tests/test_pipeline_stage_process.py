import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
from cclake_common.stop import Stop
from cclake_pipeline.stage_process import StageProcess
from harness import PATIENCE, wait_for


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def collector(lines: list[str]) -> Callable[[str], bool]:
    def keep(line: str) -> bool:
        lines.append(line)
        return False

    return keep


def test_stdout_comes_in_lines_and_stderr_is_remembered() -> None:
    lines: list[str] = []
    child = StageProcess(
        python(
            """
            import sys
            print("Grüße")
            print("two", end="", flush=True)
            print("\\x1b[31mred\\x1b[0m mongodb://me:secret@h/db", file=sys.stderr)
            sys.exit(3)
            """
        ),
        os.environ,
    )
    assert child.follow(collector(lines)) is False
    assert child.close() == 3
    assert lines[:2] == ["Grüße", "two"]
    assert child.tail() == "red mongodb://me:***@h/db"


def test_much_talk_on_both_streams_does_not_block() -> None:
    lines: list[str] = []
    child = StageProcess(
        python(
            """
            import sys
            for number in range(20_000):
                print(number)
                print("talk" * 10, number, file=sys.stderr)
            sys.stdout.close()
            print("x" * 1_000_000, file=sys.stderr)
            """
        ),
        os.environ,
    )
    child.follow(collector(lines))
    assert child.close() == 0
    assert [line for line in lines if line] == [str(n) for n in range(20_000)]
    assert child.tail().endswith("x" * 1_000)


def test_a_conversation_goes_on_after_each_answer() -> None:
    child = StageProcess(
        python(
            """
            import sys
            for line in sys.stdin:
                print("working", flush=True)
                print("answer", line.strip(), flush=True)
            """
        ),
        os.environ,
    )
    for question in ("one", "two"):
        lines: list[str] = []

        def answered(line: str, seen: list[str] = lines) -> bool:
            seen.append(line)
            return line.startswith("answer")

        child.send(question)
        assert child.follow(answered) is True
        assert lines == ["working", f"answer {question}"]
    assert child.close() == 0


def test_a_request_to_stop_is_passed_on() -> None:
    child = StageProcess(
        python("import time; print('ready', flush=True); time.sleep(60)"), os.environ
    )
    stop = Stop()

    def on_line(line: str) -> bool:
        if line == "ready":
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    assert child.follow(on_line, stop) is False
    assert child.close() == -signal.SIGTERM


def test_a_stage_dies_with_a_killed_pipeline(tmp_path: Path) -> None:
    code = f"""
    import os, sys
    from cclake_pipeline.stage_process import StageProcess
    child = StageProcess([sys.executable, "-c", "import time; time.sleep(60)"], os.environ)
    open({str(tmp_path / "pid")!r} + ".tmp", "w").write(str(child.process.pid))
    os.rename({str(tmp_path / "pid")!r} + ".tmp", {str(tmp_path / "pid")!r})
    child.follow(lambda line: False)
    """
    parent = subprocess.Popen(python(code))
    wait_for((tmp_path / "pid").exists, what="the stage runs")
    stage = psutil.Process(int((tmp_path / "pid").read_text()))
    parent.kill()
    parent.wait(PATIENCE)
    wait_for(
        lambda: not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE,
        what="the stage ends",
    )
