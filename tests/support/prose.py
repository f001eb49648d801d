"""Report phrases that the documents, comments and messages of this project avoid.

Each rule names the plain words to use instead. `just lint` runs this; the exit code is
1 when anything was found.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".md", ".py", ".sql", ".yml", ".html", ".toml", ".sh", ""}
LEFT_OUT = ("tests/fixtures/", "dbt/seeds/", "LICENSE", "tests/support/prose.py")

# A phrase, and what to write in its place.
RULES = (
    (r"\banew\b", "rebuild, recreate, again"),
    (r"\bmend(s|ed|ing)?\b", "fix, repair"),
    (r"(?<!here )(?<!here\n)\b(is|are|was|were) no (?!longer\b|more\b|one\b|better\b)"
     r"[a-z]+ *[.,;)\n]", "is not a"),
    (r"\bis of no use\b", "is useless"),
    (r"\bnonsense\b", "corrupt, invalid"),
    (r"\b(is|are|was|were) told\b", "is reported, is notified"),
    (r"\bso that was that\b", "nothing"),
    (r"\bno more\b(?! than)", "no longer"),
    (r"\bof late\b", "recently"),
    (r"\bfor ever\b", "forever"),
    (r"\bgo(es)? on (as|with|where|from)\b", "continue, resume"),
    (r"\bat most so (many|much)\b", "the maximum number"),
    (r"\bLeast seconds\b", "Minimum seconds"),
    (r'"""(What|Where|How|Which|Why)\b', "a verb, or a noun for a class"),
    (r"\b(is|are) going on\b", "is active, is running"),
    (r"\bhalf built\b", "incomplete"),
    (r"\bloss of power\b", "power failure"),
    (r"\bpass(es)? over\b", "skip, ignore"),
    (r"\bMost (seconds|rows|bytes|lines|documents)\b", "Maximum number of"),
)  # fmt: skip
_COMPILED = [(re.compile(pattern), instead) for pattern, instead in RULES]


def files() -> Iterator[Path]:
    """Yield the tracked text files that people read."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in SUFFIXES and not name.startswith(LEFT_OUT) and path.is_file():
            yield path


def found(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each phrase to avoid: its line, the phrase, and what to write instead."""
    for pattern, instead in _COMPILED:
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield line, " ".join(match.group().split()), instead


def main() -> int:
    """Print every phrase with its place."""
    count = 0
    for path in files():
        for line, phrase, instead in found(path.read_text(encoding="utf-8")):
            print(f"{path.relative_to(ROOT)}:{line}: {phrase!r}: {instead}")
            count += 1
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main())
