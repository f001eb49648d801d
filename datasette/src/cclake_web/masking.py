"""Secrets in log text: found by detect-secrets' rules, shown as dots.

Rules that guess (entropy, keywords, public addresses) are left out: they would
black out half of a normal conversation. Each rule has a short literal that its
secrets must contain, so that text without one costs next to nothing.
"""

import re
import sqlite3
from typing import Any

from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

MASK = "••••••••"
SHORTEST = 8  # characters; no rule finds less

_LIBRARY: tuple[tuple[tuple[str, ...], type[Any]], ...] = (
    (("A3T", "ABIA", "ACCA", "AKIA", "ASIA", "aws", "AWS"), AWSKeyDetector),
    (("AccountKey=",), AzureStorageKeyDetector),
    (("://",), BasicAuthDetector),
    (("discord", "Discord", "DISCORD"), DiscordBotTokenDetector),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), GitHubTokenDetector),
    (("glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "GR1348941", "glcbt-", "glimt-",
      "glptt-", "glagent-", "gloas-"), GitLabTokenDetector),
    (("_authToken",), NpmDetector),
    (("T3BlbkFJ",), OpenAIDetector),
    (("pypi-Ag",), PypiTokenDetector),
    (("SG.",), SendGridDetector),
    (("xox", "hooks.slack.com"), SlackDetector),
    (("sq0csp-",), SquareOAuthDetector),
    (("k_live_",), StripeDetector),
    (("twilio", "Twilio", "TWILIO"), TwilioKeyDetector),
)  # fmt: skip
# Where a word begins; in JSON text also behind an escaped end of line.
_WORD = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))"
# What the library does not know, knows only the head of, or finds too slowly.
_OURS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("PRIVATE KEY",), r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
     r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"),
    (("sk-",), _WORD + r"sk-[A-Za-z0-9_-]{20,}"),
    (("github_pat_",), _WORD + r"github_pat_[A-Za-z0-9_]{36,}"),
    (("AIza",), _WORD + r"AIza[0-9A-Za-z_-]{35}"),
    (("npm_",), _WORD + r"npm_[A-Za-z0-9]{36}"),
    (("hf_",), _WORD + r"hf_[A-Za-z0-9]{30,}"),
    (("xapp-",), _WORD + r"xapp-\d-[A-Za-z0-9-]{20,}"),
    (("k_test_",), _WORD + r"[rs]k_test_[0-9a-zA-Z]{20,}"),
    # Possessive: a token that breaks off is not tried again from within.
    (("eyJ",), _WORD + r"eyJ[A-Za-z0-9_=-]++\.[A-Za-z0-9_=-]++"
     r"(?:\.[A-Za-z0-9_.+/=-]*+)?"),
    (("earer ",), _WORD + r"[Bb]earer ([A-Za-z0-9._~+/-]{24,}=*)"),
)  # fmt: skip


def _rules() -> tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]:
    """For each hint the patterns whose secrets hold it."""
    found: dict[str, tuple[re.Pattern[str], ...]] = {}
    for hints, pattern in _OURS:
        for hint in hints:
            found[hint] = (*found.get(hint, ()), re.compile(pattern))
    for hints, detector in _LIBRARY:
        for hint in hints:
            found[hint] = (*found.get(hint, ()), *detector.denylist)
    return tuple(found.items())


_RULES = _rules()
_HINTS = tuple(hint for hint, _ in _RULES)


def mask(text: str) -> str:
    """Replace every secret in a text by dots; a hint of its kind stays."""
    if has_hint(text):
        for hint, patterns in _RULES:
            if hint in text:
                for pattern in patterns:
                    text = pattern.sub(_dots, text)
    return text


def _dots(match: re.Match[str]) -> str:
    whole = match.group()
    if whole.startswith("-----BEGIN"):
        return whole.partition("\n")[0].partition("\\n")[0] + MASK
    # Where the rule names the secret part, the words around it stay.
    secrets = [group for group in match.groups() if group and len(group) >= 8]
    if secrets and secrets[0] != whole:
        return whole.replace(secrets[0], MASK)
    password = re.match(r"://[^:]+:(.+)@$", whole)
    if password:
        return whole.replace(password[1], MASK)
    return whole[: 4 if len(whole) > 12 else 0] + MASK


def mask_value(value: Any, deepest: int = 100) -> Any:
    """The same for every string in parsed JSON, keys too; dots for what is deeper."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list | dict) and not deepest:
        return MASK
    if isinstance(value, list):
        return [mask_value(item, deepest - 1) for item in value]
    if isinstance(value, dict):
        return {
            mask(str(key)): mask_value(item, deepest - 1) for key, item in value.items()
        }
    return value


def masked_row(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> sqlite3.Row:
    """A row of any question with the secrets in its cells masked."""
    return sqlite3.Row(cursor, tuple(map(_cell, row)))


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value) if len(value) >= SHORTEST else value
    if isinstance(value, bytes):
        text = value.decode("latin-1")
        masked = mask(text)
        return value if masked == text else masked.encode()
    return value


def has_hint(text: str) -> bool:
    """Whether a text may hold a secret at all; cheap."""
    for hint in _HINTS:  # noqa: SIM110, a generator would cost more than the search
        if hint in text:
            return True
    return False
