"""Secrets that are known by their own format: tokens of services, keys, addresses.

Where detect-secrets has a rule, that rule is used. The library takes 0.4 s to import,
so it is imported only when a text may hold what its rules find. Its rules that guess
(entropy, keywords, public addresses) are not used: they would mask half of a normal
conversation, or take 50 times as long.
"""

import base64
import binascii
import itertools
import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from importlib import import_module

Span = tuple[int, int]

# Where a word begins; in JSON text also after an escaped line break.
WORD = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))"
_BEGINS = re.compile(WORD)
KEPT = 4  # characters of a token that stay visible, to show its kind

# The texts that a rule's secrets hold, in lower case, and the rule.
_LIBRARY: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("a3t", "abia", "acca", "akia", "asia", "aws"), "aws", "AWSKeyDetector"),
    (("accountkey=",), "azure_storage_key", "AzureStorageKeyDetector"),
    (("discord",), "discord", "DiscordBotTokenDetector"),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), "github_token", "GitHubTokenDetector"),
    (("glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "gr1348941", "glcbt-", "glimt-",
      "glptt-", "glagent-", "gloas-"), "gitlab_token", "GitLabTokenDetector"),
    (("_authtoken",), "npm", "NpmDetector"),
    (("t3blbkfj",), "openai", "OpenAIDetector"),
    (("pypi-ag",), "pypi_token", "PypiTokenDetector"),
    (("sg.",), "sendgrid", "SendGridDetector"),
    (("xox", "hooks.slack.com"), "slack", "SlackDetector"),
    (("softlayer",), "softlayer", "SoftlayerDetector"),
    (("cloudant",), "cloudant", "CloudantDetector"),
    (("sq0csp-",), "square_oauth", "SquareOAuthDetector"),
    (("k_live_",), "stripe", "StripeDetector"),
    ((":aa",), "telegram_token", "TelegramBotTokenDetector"),
    (("twilio",), "twilio", "TwilioKeyDetector"),
    (("-us",), "mailchimp", "MailchimpDetector"),
)  # fmt: skip
# Tokens that the library does not know, knows only in part, or finds too slowly.
_OURS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("sk-",), r"sk-[A-Za-z0-9_-]{20,}"),
    (("github_pat_",), r"github_pat_[A-Za-z0-9_]{36,}"),
    (("aiza",), r"AIza[0-9A-Za-z_-]{35}"),
    (("ya29.",), r"ya29\.[0-9A-Za-z_.-]{16,}"),
    (("gocspx-",), r"GOCSPX-[0-9A-Za-z_-]{20,}"),
    (("1//",), r"1//0[0-9A-Za-z_-]{30,}"),
    (("npm_",), r"npm_[A-Za-z0-9]{36}"),
    (("hf_",), r"hf_[A-Za-z0-9]{30,}"),
    (("xapp-",), r"xapp-\d-[A-Za-z0-9-]{20,}"),
    (("xoxe", "xoxc-", "xoxd-"), r"xox[cde][.-][A-Za-z0-9%._/+-]{20,}"),
    (("k_test_",), r"[rs]k_test_[0-9a-zA-Z]{20,}"),
    (("whsec_",), r"whsec_[0-9A-Za-z+/=]{20,}"),
    (("_v1_",), r"do[opr]_v1_[a-f0-9]{40,}"),
    (("hvs.", "hvb.", "hvr."), r"hv[sbr]\.[A-Za-z0-9_-]{16,}"),
    (("age-secret-key-",), r"(?i:AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{30,})"),
    (("glcbt-", "glpat-"), r"gl(?:pat|cbt)-[0-9A-Za-z_.-]{20,}"),
    (("dapi",), r"dapi[a-f0-9]{32}(?:-\d)?"),
    (("shp",), r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    (("sq0", "eaaa"), r"(?:sq0[a-z]{3}-[0-9A-Za-z_-]{22,}|EAAA[0-9A-Za-z_-]{60})"),
    (("key-",), r"key-[a-f0-9]{32}(?![a-f0-9])"),
    (("ntn_", "secret_"), r"(?:ntn_|secret_)[A-Za-z0-9]{40,}"),
    (("lin_",), r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    (("figd_",), r"figd_[A-Za-z0-9_-]{30,}"),
    (("pat",), r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    (("pmak-",), r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    (("dp.",), r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{32,}"),
    (("glc_", "glsa_"), r"gl(?:c_[A-Za-z0-9+/=]{32,}|sa_[A-Za-z0-9]{32}_[a-f0-9]{8})"),
    (("nrak-",), r"NRAK-[A-Z0-9]{27}"),
    (("sntrys_", "sntryu_"), r"sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
    (("sbp_", "sb_secret_"), r"(?:sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{20,})"),
    (("pscale_",), r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{30,}"),
    (("atatt3", "atbb", "atctt3"), r"(?:ATATT3|ATCTT3|ATBB)[A-Za-z0-9_=-]{20,}"),
    (("pul-",), r"pul-[a-f0-9]{40}"),
    ((".atlasv1.",), r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}"),
    (("rubygems_",), r"rubygems_[a-f0-9]{48}"),
    (("gsk_",), r"gsk_[A-Za-z0-9]{40,}"),
    (("xai-",), r"xai-[A-Za-z0-9]{60,}"),
    (("r8_",), r"r8_[A-Za-z0-9]{37}"),
    (("pplx-",), r"pplx-[A-Za-z0-9]{40,}"),
    (("tskey-",), r"tskey-[a-z]+-[A-Za-z0-9-]{16,}"),
    (("dckr_",), r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    (("fm1r_", "fm2_", "fo1_"), r"(?:fm1r|fm2|fo1)_[A-Za-z0-9+/=_-]{30,}"),
    (("ops_ey",), r"ops_ey[A-Za-z0-9+/=_-]{40,}"),
    (("hrku-",), r"HRKU-[A-Za-z0-9_-]{30,}"),
    (("crates", "cio"), r"cio[A-Za-z0-9]{32}(?![A-Za-z0-9])"),
    # Possessive: after a mismatch, no token is tried again from within.
    (("eyj",), r"eyJ(?:(?<![A-Za-z0-9_]eyJ)|(?<=\\[nrt]eyJ))"
     r"[A-Za-z0-9_=-]++\.[A-Za-z0-9_=-]++(?:\.[A-Za-z0-9_.+/=-]*+)?"),
)  # fmt: skip

LEAST = 14  # characters in a row that a token has; ordinary text has few such runs
_BREAKS = str.maketrans(dict.fromkeys("./(),:;\"'`[]{}<>|\\&?#@!*~^$", " "))
# Hints outside the long run of a token: they are looked for in the whole text.
_ELSEWHERE = frozenset(
    ("aws", "discord", "softlayer", "cloudant", "twilio", "1//", ":aa", "dp.", "sg.",
     "hooks.slack.com", ".atlasv1.", "ya29.", "hvs.", "hvb.", "hvr.")
)  # fmt: skip
_ID = re.compile(r"(?:toolu|msg|req|call)_[0-9a-z]*|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-\w*")
_REST = re.compile(r"[A-Za-z0-9_]*")
_PEM = re.compile(
    r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
)
_PUTTY = re.compile(r"Private-Lines: \d+((?:(?:\r?\n|\\n)[A-Za-z0-9+/=]{8,})+)")
_BEARER = re.compile(r"[Bb]earer\s+([A-Za-z0-9._~+/-]{8,}=*)")
_BASIC = re.compile(r"[Bb]asic\s+([A-Za-z0-9+/_-]{4,}={0,2})")
_DOCKER = re.compile(r'auth\\*["\']?\s*[:=]\s*\\*["\']?([A-Za-z0-9+/_-]{4,}={0,2})')
_HEADER = re.compile(
    r"[Aa]uthorization\\*[\"']?\s*[:=,]\s*\\*[\"']?"
    r"(?:(?i:basic|bearer|token|digest|negotiate|apikey|key|aws4-hmac-sha256)\s+)?"
    r"([^\s\"'`,;\\<>]{6,})"
)
_COOKIE = re.compile(r"[Cc]ookie\\*[\"']?:\s*\\*[\"']?([^\r\n\"'\\]{8,})")
_SIGNED = re.compile(
    r"(?i:[?&](?:sig|signature|x-amz-signature|x-goog-signature|code|key)=)"
    r"([^\s&#\"'`\\<>)\]]{16,})"
)
_CURL = re.compile(
    r"curl\b[^\n|;]{0,300}?\s(?:-u|--user|--proxy-user)[ =]*(?:\\*[\"'])?"
    r"[^\s:\"'\\]*:([^\s\"'\\]+)"
)
_MYSQL = re.compile(
    r"(?:mysql|mariadb)[a-z]*\b[^\n|;]{0,300}?\s-p(?![\s'\"]*$)(\\*[\"'][^\n]+?[\"']|[^\s\"']+)"
)
_SSHPASS = re.compile(r"sshpass\s+-p\s*(\\*[\"'][^\n]+?[\"']|\S+)")
_IDENTIFIED = re.compile(r"(?i:identified\s+by)\s+'((?:[^'\n]|'')+)'")
_SCHEME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-"
_QUOTE = re.compile(r"\\*[\"'`]\Z")
_USER = r"[^\s/:@\"'`<>\[\]\\{}]{0,200}:(?!\d{1,5}(?:[/?#\"'`]|$))"
_HOST = r"@(?=[A-Za-z0-9\[$%{_.])"
_USER_ONLY = re.compile(r"://([A-Za-z0-9_%.~+-]{20,})@(?=[A-Za-z0-9\[])")
_REFERENCE = re.compile(
    r"\$\{?\w+\}?|\$\([^)]*\)|\{+[\w. ]*\}+|<[^<>]*>|[*•x.]{3,}|[*•]+|%[sd]|%\w+%"
)


def spans(text: str, low: str) -> Iterator[Span]:
    """Yield the positions of secrets that are known by their own format.

    Args:
        text: The text.
        low: The same in lower case, as long.
    """
    words = " ".join([word for word in low.split() if len(word) >= LEAST])
    long = [run for run in words.translate(_BREAKS).split() if len(run) >= LEAST]
    runs = " ".join([run for run in long if not _ID.fullmatch(run)])
    if runs:
        for hint, number in _hints():
            if hint in (low if hint in _ELSEWHERE else runs):
                for pattern in _patterns(number):
                    yield from _tokens(pattern, text, number < len(_OURS))
    for hint, find in _FINDERS:
        if hint in low:
            yield from find(text)


def starts(text: str, low: str, at: int) -> Iterator[Span]:
    """Yield the token that begins where a hidden character was removed."""
    head = _heads().match(low, at)
    if head:
        some = text[at : at + 4000]
        for hint, number in _hints():
            if hint in head[0]:
                matches = (pattern.match(some) for pattern in _patterns(number))
                found = [_token(match) for match in matches if match]
                yield from ((start + at, end + at) for start, end in found)


@cache
def _heads() -> re.Pattern[str]:
    return re.compile(f"[rs]?(?:{'|'.join(re.escape(hint) for hint, _ in _hints())})")


@cache
def _hints() -> tuple[tuple[str, int], ...]:
    """Return the texts to look for, each with the number of its rule."""
    rules = [hints for hints, _ in _OURS] + [hints for hints, _, _ in _LIBRARY]
    found = ((hint, number) for number, hints in enumerate(rules) for hint in hints)
    return tuple(found)


@cache
def _patterns(number: int) -> tuple[re.Pattern[str], ...]:
    if number < len(_OURS):
        return (re.compile(_OURS[number][1]),)
    _, module, name = _LIBRARY[number - len(_OURS)]
    return tuple(
        getattr(import_module(f"detect_secrets.plugins.{module}"), name).denylist
    )


def _tokens(pattern: re.Pattern[str], text: str, begins: bool) -> Iterator[Span]:
    match = pattern.search(text)
    while match:
        if not begins or _BEGINS.match(text, match.start()):
            yield _token(match)
            match = pattern.search(text, max(match.end(), match.start() + 1))
        else:
            match = pattern.search(text, match.start() + 1)


def _token(match: re.Match[str]) -> Span:
    start, end = match.span()
    for group in range(1, (match.re.groups or 0) + 1):
        # Where the rule names the secret part, the words around it stay.
        if match[group] and len(match[group]) >= 8 and match[group] != match[0]:
            return match.span(group)
    rest = _REST.match(match.string, end)  # tokens of a service grow with the years
    return start + (KEPT if end - start > 3 * KEPT else 0), rest.end() if rest else end


def _pem(text: str) -> Iterator[Span]:
    for match in _PEM.finditer(text):
        head = re.match(r"-----BEGIN [A-Z0-9 ]*-----", match[0])
        yield match.start() + (head.end() if head else 0), match.end()
    yield from _groups(_PUTTY, text)


def _groups(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    for match in pattern.finditer(text):
        if not _REFERENCE.fullmatch(match[1].strip("\\\"'")):
            yield match.span(1)


def _bearer(text: str) -> Iterator[Span]:
    for match in _BEARER.finditer(text):
        if len(match[1]) >= 24 or any(map(str.isdigit, match[1])):
            yield match.span(1)


def _pairs(text: str) -> Iterator[Span]:
    """Find `Basic …`, and `auth` of Docker and npm: `user:password` in base64."""
    for match in itertools.chain(_BASIC.finditer(text), _DOCKER.finditer(text)):
        if is_pair(match[1]):
            yield match.span(1)


def is_pair(text: str) -> bool:
    """Return whether a text is `user:password` in base64."""
    try:
        bare = text.rstrip("=").replace("-", "+").replace("_", "/")
        plain = base64.b64decode(bare + "=" * (-len(bare) % 4)).decode()
    except (binascii.Error, ValueError):
        return False
    return ":" in plain and plain.isprintable()


def _headers(text: str) -> Iterator[Span]:
    for match in _HEADER.finditer(text):
        if not _REFERENCE.fullmatch(match[1]) and any(map(str.isdigit, match[1])) | (
            len(match[1]) >= 16
        ):
            yield match.span(1)


def _addresses(text: str) -> Iterator[Span]:
    at = text.find("://")
    while at >= 0:
        before = text[max(at - 40, 0) : at].rstrip(_SCHEME)
        quote = _QUOTE.search(before)
        match = _address(quote[0] if quote else "").match(text, at + 3)
        if match and not _REFERENCE.fullmatch(match[1]):
            yield match.span(1)
        at = text.find("://", at + 3)
    for match in _USER_ONLY.finditer(text):
        yield match.span(1)


@lru_cache(maxsize=16)
def _address(quote: str) -> re.Pattern[str]:
    """Match an address; its password can't hold the quotation mark before it."""
    escaped = r"\\\S|" if len(quote) == 1 else ""
    letter = rf"(?:{escaped}(?!{re.escape(quote)})\S)" if quote else r"\S"
    return re.compile(rf"{_USER}({letter}{{1,300}}){_HOST}")


_FINDERS: tuple[tuple[str, Callable[[str], Iterator[Span]]], ...] = (
    ("private", _pem),
    ("earer", _bearer),
    ("asic", _pairs),
    ("auth", _pairs),
    ("authorization", _headers),
    ("cookie", lambda text: _groups(_COOKIE, text)),
    ("sig", lambda text: _groups(_SIGNED, text)),
    ("key=", lambda text: _groups(_SIGNED, text)),
    ("code=", lambda text: _groups(_SIGNED, text)),
    ("curl", lambda text: _groups(_CURL, text)),
    ("mysql", lambda text: _groups(_MYSQL, text)),
    ("mariadb", lambda text: _groups(_MYSQL, text)),
    ("sshpass", lambda text: _groups(_SSHPASS, text)),
    ("identified", lambda text: _groups(_IDENTIFIED, text)),
    ("://", _addresses),
)
