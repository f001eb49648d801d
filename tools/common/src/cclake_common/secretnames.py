"""Secrets that are known by their name: `DB_PASSWORD=…`, `"api_key": "…"`.

After a name in capitals, as in an environment, any value is a secret. In lower case the
same words also name variables and types, so values that look like code are left alone:
`password = ask()`, `token: str`, `password: see above`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

Span = tuple[int, int]

MOST = 100_000  # names that are looked at in one text
_PASS = re.compile(r"pass(?:words?|wd|phrase|wort|code)?")
_KEYS = tuple(
    word + glue
    for word in (
        "api", "access", "secret", "private", "priv", "signing", "encryption", "auth",
        "master", "account", "service", "client", "db", "database", "sas", "shared",
        "deploy", "session", "license", "jwt",
    )
    for glue in ("_", "-", "", " ", ".")
)  # fmt: skip
_NEEDLES = ("pass", "pwd", "secret", "token", "key", "contrase", "kennwort")
_WORDS = {"contrase": re.compile(r"contrase(?:ñ|n)a")}
# Endings of names that describe a secret and do not hold it.
_ABOUT = re.compile(
    r"_(?:FILE|PATH|DIR|NAME|LIMIT|COUNT|LEN|LENGTH|TTL|EXPIR\w*|TYPE|URL|URI|ID|ARN|MIN"
    r"|MAX|SIZE|FIELD|HEADER|PREFIX|SUFFIX|POLICY|REQUIRED|ENABLED|ALGORITHM|ALG|REF"
    r"|VERSION|ENDPOINT|HOST|PORT|ENV|VAR|REGEX|PATTERN|PLACEHOLDER|LABEL|HINT|USAGE"
    r"|TOKENS?|ROTATION\w*|TIMEOUT\w*|S)"
)
_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_COMMANDS = ("ENV ", "setenv ", "setx ", "SetEnv ", "set -x ", "set -gx ", "set -Ux ")
_AFTER = re.compile(
    r"""
    (?P<tail>[0-9]{1,3}|_[A-Z0-9_]{1,40})?
    (?P<close>\\*["'`])?\]?
    (?P<about>[ ]?:[ ]*[A-Za-z&'\[\]<>|?., ]{1,40}?[ ]*(?==))?
    (?: [ \t]{0,40}(?P<sign>:=|=>|={1,3}|:(?!:)) (?P<gap>[ \t]{0,40})
      | ,?\s{1,40}\\*["']?value\\*["']?[ \t]{0,4}(?P<value>[:=])[ \t]{0,40}
      | (?P<tag>>)
      | (?P<space>[ \t]{1,8})
    )""",
    re.VERBOSE,
)
_OPEN = re.compile(
    r"(?:[rbfuRBFU@$]{1,2}(?=[\"']))?(?P<slashes>\\*)(?P<mark>\"\"\"|'''|[\"'`])"
)
_WORD = re.compile(r"\S{1,1000}")
_BREAK = re.compile(r"\\+[nrt]")
_FOLLOWS = re.compile(r"[\s,;:)}\]&|<>\\\"'`.]|$")
_IN_QUERY = re.compile(r"[^\s&#\"'`<>]+")
_IN_DSN = re.compile(r"[^;\"'`\n]+")
_COMMENT = re.compile(r"\s+#.*")
_REFERENCE = re.compile(
    r"\$\{?[A-Za-z_]\w*\}?|\$\{[^}]*\}|\$?\([^)]*\)|\$\(.*|\{\{.*|<[^<>]*>?|%\w+%|%[sdr]"
    r"|[*•x.\-_]{3,}|[*•.\-]+|\[.*|\{.*|\(.*|!\w+.*|[|>][-+]?|&\w+|null|None|nil|true|True|false|False"
    r"|undefined|\.\.\."
)
_CODE = re.compile(  # a call or an index, an attribute, a variable before a comma
    r"[A-Za-z_$][\w$]*(?:(?:\?\.|\.|::|->)[A-Za-z_$][\w$]*)*[([{<].*"
    r"|[A-Za-z_$][\w$]*(?:(?:\?\.|\.|::|->)[A-Za-z_$][\w$]*)+[,;)]*"
    r"|[A-Za-z_$]+[,;)}\]]+"
)
_READ = re.compile(
    r"(?:os\.|process\.|import\.meta\.|secrets\.|settings\.|config\.|Deno\.|System\.)"
    r"(?:env|getenv|environ|[A-Za-z])|(?:getenv|env|config|getpass|input|read_secret)\(|ENV\["
)
_TYPES = """
    str string bytes int integer number bool boolean any object text char varchar uuid
    required optional undefined unknown never void float secret password token hidden
    include omit none null true false yes no set unset empty default redacted masked
    changed invalid missing wrong incorrect expired valid
    """
_KINDS = frozenset(_TYPES.split())


class _Name(NamedTuple):
    """A name that ends with a word for a secret.

    Attributes:
        start: Where the name begins.
        end: Where the word ends.
        capital: Whether the word is in capitals.
        least: Length of the shortest value that counts.
        bare: Whether it is `pass` alone, which is an ordinary word.
    """

    start: int
    end: int
    capital: bool
    least: int
    bare: bool = False


def may_name(low: str) -> bool:
    """Return whether a text in lower case may name a secret; cheap."""
    return any(needle in low for needle in _NEEDLES)


def spans(text: str, low: str) -> Iterator[Span]:
    """Yield the positions of values that a name marks as secret.

    After `MOST` names, the rest of the text counts as one secret.

    Args:
        text: The text.
        low: The same in lower case, as long.
    """
    left = MOST
    for needle in _NEEDLES:
        at = low.find(needle)
        while at >= 0:
            left -= 1
            if left < 0:
                yield at, len(text)
                return
            name = _named(text, low, needle, at)
            found = _value_of(text, name) if name else None
            if found:
                yield found
            at = low.find(needle, max(at + len(needle), found[1] if found else 0))


def is_secret(name: str) -> bool:
    """Return whether a whole name, such as a key of JSON, is that of a secret."""
    if len(name) > 200:
        return False
    low = name.lower()
    for needle in _NEEDLES:
        at = low.rfind(needle)
        named = _named(name, low, needle, at) if at >= 0 else None
        if named and _AFTER.fullmatch(f"{name[named.end :]}="):
            return not _ABOUT.fullmatch(name[named.end :])
    return False


def is_value(text: str) -> bool:
    """Return whether a text may be a secret, and not a reference or a mask."""
    return bool(text) and not _REFERENCE.fullmatch(text)


def _named(text: str, low: str, needle: str, at: int) -> _Name | None:
    end = at + len(needle)
    before = text[max(at - 60, 0) : at]
    start = at - (len(before) - len(before.rstrip(_NAME)))
    least = 1
    if needle == "pass":
        match = _PASS.match(low, at)
        end = match.end() if match else end
        if end == at + 4 and low[at - 1 : at].isalpha() and not _hump(text, at):
            return None  # compass, bypass
    elif needle == "pwd":
        if text[start:end] in ("PWD", "OLDPWD", "pwd") or low[at - 1 : at].isalpha():
            return None  # the working directory
    elif needle == "key":
        capital = text[start:end].isupper() and text[at - 1 : at] == "_"
        if not low[max(at - 12, 0) : at].endswith(_KEYS):
            if not capital:
                return None
            least = 16
        else:
            least = 8
    elif needle == "token":
        least = 4
    elif needle in _WORDS:
        match = _WORDS[needle].match(low, at)
        if not match:
            return None
        end = match.end()
    bare = end - start == 4 and needle == "pass"
    return _Name(start, end, text[at:end].isupper(), least, bare)


def _hump(text: str, at: int) -> bool:
    return text[at].isupper() and text[at - 1].islower()


def _value_of(text: str, name: _Name) -> Span | None:
    after = _AFTER.match(text, name.end)
    if not after or (after["tail"] and _ABOUT.search(after["tail"])):
        return None
    start = after.end()
    tight = after["sign"] == "=" and not after["gap"]
    if name.bare and not after["close"] and not tight:
        return None  # `PASS: test_one`
    if after["tag"]:
        return _until(text, start, "</") if not after["close"] else None
    if after["space"]:
        return _spaced(text, name, start, bool(after["close"]))
    opened = _OPEN.match(text, start)
    sign = after["sign"] or after["value"]
    if opened:
        found = _quoted(text, opened, sign == "=" and not after["gap"])
        if found:
            inner = text[found[0] : found[1]]
            worth = len(inner) >= name.least and is_value(inner)
            return found if worth else None
    found = _bare(text, name, start, after)
    if name.bare and found and text[found[0] : found[1]].rstrip(",;").isdigit():
        return None  # `PASS=12 WARN=0`
    return found if found and found[1] - found[0] >= name.least else None


def _until(text: str, start: int, end: str) -> Span | None:
    found = text.find(end, start, start + 400)
    inner = text[start:found] if found > start else ""
    return (start, found) if inner.strip() and "<" not in inner else None


def _spaced(text: str, name: _Name, start: int, closed: bool) -> Span | None:
    """Find the value in `--password x`, `ENV DB_PASSWORD x`, `password 'x'`."""
    before = text[max(name.start - 40, 0) : name.start]
    word = _WORD.match(text, start)
    if not word or closed:
        return None
    opened = _OPEN.match(text, start)
    given = text.startswith("-", name.start) or before.endswith(_COMMANDS)
    sql = opened and opened["mark"] == "'" and name.end - name.start == 8
    if opened and (given or sql):
        return _quoted(text, opened, False)
    if opened or not (given or "login " in before):
        return None
    is_command = given and before.endswith(_COMMANDS)
    found = _inside(text, name, word.span())
    inner = text[found[0] : found[1]]
    if is_value(inner) and (is_command or not _plain(inner) or not given):
        return found if len(inner) >= name.least and not inner.startswith("-") else None
    return None


def _quoted(text: str, opened: re.Match[str], grows: bool) -> Span | None:
    """Find a value within quotation marks, also in JSON within JSON."""
    depth, mark = len(opened["slashes"]), opened["mark"]
    stop = text.find("\n", opened.end()) if len(mark) == 1 else -1
    for slashes, end in _marks(
        text, mark, opened.end(), stop if stop >= 0 else len(text)
    ):
        if slashes >= depth and (slashes - depth) % (2 * (depth + 1)) == 0:
            # A backslash of the text itself stays a part of it.
            last = end - len(mark) - depth
            if grows and not _FOLLOWS.match(text, end):
                rest = _WORD.match(text, end)
                last = rest.end() if rest else last
            return opened.end(), last
        if slashes < depth:
            return None
    return None


def _marks(text: str, mark: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the end of each quotation mark, and the number of backslashes before it."""
    at = text.find(mark, start, stop)
    while at >= 0:
        before = text[max(at - 64, start) : at]
        yield len(before) - len(before.rstrip("\\")), at + len(mark)
        at = text.find(mark, at + 1, stop)


def _bare(text: str, name: _Name, start: int, after: re.Match[str]) -> Span | None:
    """Find a value without quotation marks."""
    word = _WORD.match(text, start)
    if not word:
        return None
    before = text[max(name.start - 2, 0) : name.start]
    line_start = text.rfind("\n", 0, name.start) + 1
    head = text[max(line_start, name.start - 4000) : name.start]
    close, sign = after["close"], after["sign"] or after["value"]
    if before[-1:] in ("?", "&"):
        found = _IN_QUERY.match(text, start)
        return _worth(text, found.span()) if found else None
    if before.rstrip()[-1:] == ";" and sign == "=":
        found = _IN_DSN.match(text, start)
        return _worth(text, found.span()) if found else None
    span = _inside(text, name, word.span())
    inner = text[span[0] : span[1]]
    tight = sign == "=" and not after["gap"] and text[name.end : start].count(" ") == 0
    alone = not head.strip(" \t-*>#")
    if close and sign == ":":  # "password": 1234
        inner = re.split(r"[,}\]]", inner, maxsplit=1)[0]
        span = span[0], span[0] + len(inner)
        return _worth(text, span) if any(map(str.isdigit, inner)) else None
    if name.capital and (tight or (sign == ":" and not close)):
        if (_READ if tight else _CODE).match(inner):
            return None
        if alone and sign == ":":
            span = _rest(text, span[0])
        elif sign == ":" and _plain(inner):
            return None
        return _worth(text, span)
    if after["about"] or (close and sign != "="):
        return None
    if _CODE.fullmatch(inner) or _is_kind(inner):
        return None
    rest = text[span[1] : _line_end(text, span[1])].strip()
    dotted = "." in text[name.start : name.end] or before[-1:] in ("=", "-")
    compound = name.end - name.start > 10 or "_" in text[name.start : name.end]
    if alone and sign == ":" and compound and rest and not rest.startswith("#"):
        return _worth(text, _rest(text, span[0]))
    if (
        alone
        and (not rest or rest.startswith("#"))
        and (tight or sign == ":" or dotted)
    ):
        return None if _is_variable(inner) else _worth(text, span)
    return None if _plain(inner) and not dotted else _worth(text, _trimmed(text, span))


def _inside(text: str, name: _Name, span: Span) -> Span:
    """Cut a value at the end of the text around it: "a=b", `a=b`, {"x":"a=b"}."""
    line_start = text.rfind("\n", 0, name.start) + 1
    head = text[max(line_start, name.start - 4000) : name.start]
    start, end = span
    for mark in ('"', "'", "`"):
        if head.count(mark) % 2:
            for slashes, after in _marks(text, mark, start, end):
                if _FOLLOWS.match(text, after):
                    end = after - 1 - slashes
                    break
            broken = _BREAK.search(text, start, end) if mark == '"' else None
            end = broken.start() if broken else end
    return start, end


def _rest(text: str, start: int) -> Span:
    """Return the span to the end of the line, without a comment."""
    end = _line_end(text, start)
    comment = _COMMENT.search(text, start, end)
    end = comment.start() if comment else end
    return start, start + len(text[start:end].rstrip())


def _line_end(text: str, start: int) -> int:
    found = text.find("\n", start)
    return found if found >= 0 else len(text)


def _trimmed(text: str, span: Span) -> Span:
    return span[0], span[0] + len(text[span[0] : span[1]].rstrip(",;)]}.`'\""))


def _worth(text: str, span: Span) -> Span | None:
    inner = text[span[0] : span[1]]
    return span if inner and is_value(inner) else None


def _plain(text: str) -> bool:
    """Return whether it may be a word or the name of a variable."""
    bare = text.strip(".,;:!?)(]}\"'`*_")
    return bare.replace("_", "").replace("-", "").replace("/", "").isalpha() or not bare


def _is_kind(text: str) -> bool:
    return text.rstrip(",;?!)").lower() in _KINDS


def _is_variable(text: str) -> bool:
    """Return whether it is written like a variable or a type."""
    bare = text.rstrip(",;")
    return (
        bare.isidentifier() and bare.isalpha() and (bare != text or not bare.islower())
    )
