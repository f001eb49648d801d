"""Build gold with both engines from the same bronze, and compare each value.

    just compare-engines                     # the fixtures of the tests
    just compare-engines ~/.claude/projects  # logs of yours

Logs go through the real chain into a data directory and a MongoDB of their own, which
are removed afterwards. Exit status 0 if all tables are equal, else 1.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cases
from chain import Chain
from harness import Mongod
from parity import FIXTURES, generate
from spark_gold import spark


def _chains(folder: Path, uri: str, logs: list[Path]) -> Iterator[tuple[str, Chain]]:
    roots = dict(zip(map(str, logs), logs, strict=True))
    if not roots:
        generate(folder / "parity", sessions=20, turns=40)
        roots = {name: FIXTURES / name / "projects" for name in ("pricing", "corrupt")}
        roots["parity"] = folder / "parity" / "projects"
        cases.build(folder / "cases", uri)
        yield "cases", Chain(folder / "cases", uri, "cases")
    for number, (name, root) in enumerate(roots.items()):
        chain = Chain(folder / str(number), uri, f"compared_{number}")
        chain.archive(root)
        done = chain.tool("pipeline", "run", "--daily")
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        yield name, chain


def main() -> int:
    """Compare the engines; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", nargs="*", type=Path, help="Folders of logs.")
    logs = parser.parse_args().logs
    different = 0
    with tempfile.TemporaryDirectory(prefix="cclake-engines-") as name:
        mongod = Mongod(Path(name) / "mongod").start()
        try:
            for what, chain in _chains(Path(name), mongod.uri, logs):
                done = spark(chain, "compare")
                print(f"{what}\n{done.stdout}{done.stderr}", flush=True)
                different += bool(done.returncode)
        finally:
            mongod.kill()
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
