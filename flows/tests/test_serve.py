"""`flows/serve` ends what it started, with stand-ins for Prefect's programs."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from harness import PATIENCE, free_port, wait_for

SERVE = Path(__file__).parents[1] / "serve"
PROGRAM = '#!/bin/sh\n[ "$1" = -c ] && exit 0\nexec sleep 1000\n'
NOTES = '#!/bin/sh\necho "${0##*/} $PREFECT_HOME" >> "$NOTES"\n'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("own_server", [True, False])
def test_serve_leaves_no_process_behind(
    tmp_path: Path, number: signal.Signals, own_server: bool
) -> None:
    shutil.copytree(SERVE.parent, tmp_path / "flows")
    for name in ("prefect", "python"):
        program = tmp_path / ".prefect" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(PROGRAM)
        program.chmod(0o755)
    environ = os.environ | {"CCLAKE_HOME": str(tmp_path)}
    environ["PREFECT_API_URL"] = "" if own_server else "http://127.0.0.1:1/api"
    serve = subprocess.Popen(
        [str(tmp_path / "flows" / "serve")], env=environ, start_new_session=True
    )
    started = 2 if own_server else 1

    def sleeping() -> list[psutil.Process]:
        found = []
        for one in psutil.Process(serve.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has just ended
                found += [one] if one.name() == "sleep" else []
        return found

    wait_for(lambda: len(sleeping()) == started, "it runs")
    children = sleeping()
    os.kill(serve.pid, number)
    assert serve.wait(PATIENCE) == 128 + number
    wait_for(lambda: not any(map(psutil.Process.is_running, children)), "all ended")


def test_a_run_without_a_server_is_one_clear_answer() -> None:
    address = f"http://127.0.0.1:{free_port()}/api"
    done = subprocess.run(
        [SERVE.with_name("ask"), "daily"],
        env=os.environ | {"PREFECT_API_URL": address},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert f"no Prefect server answers at {address}" in done.stderr
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("given", [False, True])
def test_every_part_of_prefect_keeps_its_files_in_the_data_directory(
    tmp_path: Path, given: bool
) -> None:
    shutil.copytree(SERVE.parent, tmp_path / "flows")
    for folder in (tmp_path / ".prefect" / "bin", tmp_path / "bin"):
        for name in ("prefect", "python", "just"):
            program = folder / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(NOTES)
            program.chmod(0o755)
    notes = tmp_path / "notes"
    environ = os.environ | {"CCLAKE_HOME": str(tmp_path / "data"), "NOTES": str(notes)}
    environ["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{environ['PATH']}"
    if given:
        environ["PREFECT_HOME"] = str(tmp_path / "mine")
    subprocess.run(
        [tmp_path / "flows" / "ask", "adhoc"], env=environ, check=True, timeout=PATIENCE
    )
    environ["PREFECT_API_URL"] = "http://127.0.0.1:1/api"
    subprocess.run([tmp_path / "flows" / "serve"], env=environ, timeout=PATIENCE)
    place = tmp_path / ("mine" if given else "data/prefect")
    lines = notes.read_text().splitlines()
    assert {"prefect", "python"} <= {line.split(" ")[0] for line in lines}
    assert {line.partition(" ")[2] for line in lines} == {str(place)}
