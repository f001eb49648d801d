"""The stack as one command that lasts, as systemd runs it."""

import configparser
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from front_door import ROOT, Stack
from harness import PATIENCE, wait_for

PRICING = ROOT / "tests" / "fixtures" / "pricing" / "projects"
ALL = {"mongod", "tailer", "buffer", "flusher", "pipeline"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The data and the logs of all tests: what the first one archives stays."""
    made = Stack(tmp_path_factory.mktemp("foreground"))
    shutil.copytree(PRICING, made.logs)
    return made


@pytest.fixture
def stack(made: Stack) -> Iterator[Stack]:
    yield made
    made.kill_all()
    wait_for(lambda: not made.processes(), "no process is left")


def start(stack: Stack) -> "subprocess.Popen[str]":
    with said(stack).open("w") as out:
        return subprocess.Popen(
            [str(ROOT / "just"), "up", "--foreground"],
            env=stack.environment,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def said(stack: Stack) -> Path:
    return stack.logs.parent / "said"


def wait_until_all_runs(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.ports['WEB_PORT']}/"
    wait_for(lambda: address in said(stack).read_text(), "it names the pages")
    wait_for(lambda: stack.just("status").returncode == 0, "all runs well")


def names(stack: Stack) -> set[str]:
    words = []
    for process in stack.processes():
        with contextlib.suppress(psutil.Error):  # it has just ended
            words.append(" ".join(process.cmdline()[:2]))
    return {name for name in ALL if any(f"/{name}" in word for word in words)}


@pytest.mark.slow
def test_it_stays_until_it_is_told_to_stop_and_leaves_nothing(stack: Stack) -> None:
    running = start(stack)
    wait_until_all_runs(stack)
    assert names(stack) == ALL
    assert running.poll() is None
    again = stack.just("up", "--foreground")
    assert again.returncode == 1
    assert "is already running" in again.stderr
    for file in (stack.home / "logs").iterdir():
        assert not file.stat().st_mode & 0o077, file
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=PATIENCE)
    wait_for(lambda: not stack.processes(), "no process is left")
    assert "Traceback" not in err
    kept = (stack.home / "logs" / "supervisord.log").read_text()
    stops = [
        line.split("stopped: ")[1].split()[0]
        for line in kept.splitlines()
        if "stopped: " in line
    ]
    assert stops[0] == "web"
    assert stops[-1] == "mongod"
    ended = start(stack)
    wait_until_all_runs(stack)
    assert len(stack.documents()) == stack.lines()
    assert stack.just("down").returncode == 0
    ended.communicate(timeout=PATIENCE)
    assert ended.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("early", [True, False])
def test_it_fails_when_supervisord_dies_so_that_it_is_started_again(
    stack: Stack, early: bool
) -> None:
    running = start(stack)
    pid = stack.home / "supervisord.pid"
    wait_for(lambda: pid.exists() and names(stack) >= {"flusher"}, "it runs")
    if not early:
        wait_until_all_runs(stack)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert "Traceback" not in err
    assert "stack: supervisord has died" in err or early
    if not early:  # what has just begun is left to systemd
        wait_for(lambda: not stack.processes(), "no process is left")


@pytest.mark.slow
def test_nothing_outlives_it_when_it_is_killed(stack: Stack) -> None:
    command = [str(ROOT / ".venv" / "bin" / "stack"), "up", "--foreground"]
    running = subprocess.Popen(command, env=stack.environment, stdout=subprocess.PIPE)
    wait_for(lambda: names(stack) >= {"flusher", "mongod"}, "it runs")
    psutil.Process(running.pid).kill()
    running.communicate()
    wait_for(lambda: not stack.processes(), "no process is left")


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    text = (ROOT / "cclake.service").read_text()
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    assert dict(unit["Service"]) | {
        "Type": "exec",
        "ExecStart": "%h/cclake/just up --foreground",
        "Restart": "on-failure",
        "KillMode": "mixed",
    } == dict(unit["Service"])
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd here to ask")
    mine = tmp_path / "cclake.service"
    mine.write_text(text.replace("%h/cclake", str(ROOT)))
    said = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(mine)],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, "")
