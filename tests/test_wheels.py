"""An installation from wheels, without a checkout, has all its files."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The packages that have files other than modules, and what these need.
PACKAGES = ("datasette", "tools/common", "tools/stack")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of the packages, unpacked; no file of the checkout is beside them."""
    folder = tmp_path_factory.mktemp("wheels")
    for package in PACKAGES:
        source = folder / "source" / package
        shutil.copytree(
            ROOT / package,
            source,
            ignore=shutil.ignore_patterns("__pycache__", "target", "logs", "tests"),
        )
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"]
        command += ["--no-build-isolation", "--no-index", "-w", str(folder), "."]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as found:
            found.extractall(folder / "site")
    # `just wheels` builds this one with hatchling, which the suite has not.
    build = tomllib.loads((ROOT / "dbt" / "pyproject.toml").read_text())["tool"][
        "hatch"
    ]
    for name in build["build"]["targets"]["wheel"]["only-include"]:
        there, here = ROOT / "dbt" / name, folder / "site" / "cclake_gold" / name
        here.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if there.is_dir() else shutil.copy)(there, here)
    shutil.rmtree(folder / "source")
    # What a user may have in the home folder, above the environment of pipx.
    (folder / "justfile").touch()
    (folder / "dbt").mkdir()
    (folder / "dbt" / "dbt_project.yml").write_text("name: other\n")
    return folder / "site"


def python(site: Path, *options: str, code: int = 0) -> str:
    """Run Python as if only the wheels were installed."""
    done = subprocess.run(
        [sys.executable, "-P", *options],
        env=os.environ | {"PYTHONPATH": str(site)},
        cwd=site.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def test_the_dbt_project_is_found_whole(site: Path) -> None:
    code = "from cclake_common.dbt_project import dbt_project; print(dbt_project())"
    assert Path(python(site, "-c", code).strip()) == site / "cclake_gold"
    for pattern in ("dbt_project.yml", "profiles.yml", "*/**/*.*"):
        there, here = (
            {p.relative_to(folder) for p in folder.glob(pattern) if p.is_file()}
            for folder in (ROOT / "dbt", site / "cclake_gold")
        )
        assert {
            p for p in there if p.parts[0] not in ("target", "logs", "sqlfluff")
        } == here


def test_the_stack_has_its_processes_and_needs_no_dotenv(site: Path) -> None:
    conf = site / "cclake_stack" / "supervisord.conf"
    assert "[program:ingest]" in conf.read_text()
    code = "from cclake_stack import config; print(config.dotenv())"
    assert python(site, "-c", code) == "None\n"
    settings = python(site, "-c", "from cclake_stack.cli import app; app(['config'])")
    assert "CCLAKE_HOME" in settings


def test_the_pages_have_their_templates(site: Path) -> None:
    serve = ("-m", "cclake_web.serve", "--get")
    assert "font-family" in python(site, *serve, "/-/cclake/0/web.css")
    # There is no export yet: status 503, which Datasette turns into 1.
    assert "</html>" in python(site, *serve, "/dashboard", code=1)
    code = "import cclake_web; print(cclake_web.__file__)"
    assert python(site, "-c", code).startswith(str(site))
