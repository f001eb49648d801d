"""Names of models: those of gold, and short ones as people say them."""

import re

_DATE = r"(?:-20\d{6})?"
_FAMILY_FIRST = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:-(\d{1,2}))?" + _DATE)
_VERSION_FIRST = re.compile(r"claude-(\d{1,2})(?:-(\d{1,2}))?-([a-z]+)" + _DATE)

# As in the dbt macros of model_name.sql, which say why.
_IS_CLAUDE = re.compile(r"(?:^|[^a-z0-9])claude[^a-z0-9]")
_IS_OTHER = re.compile(
    r"distill|gguf|lora|fine-?tun|abliterat|[0-9]b(?:$|[^a-z0-9])"
    r"|[^a-z0-9](?:mini|nano|lite)(?:$|[^a-z0-9])"
)
_WORDS = re.compile(r"^(?:.*[^a-z0-9])?(claude[^a-z0-9].*)$")
_RULES = tuple(
    (re.compile(rf"^{found}$"), name)
    for found, name in (
        (r"claude-(\d{1,2})((?:-\d{1,2})?)-([a-z]{2,})(-.*)?", r"claude-\3-\1\2"),
        (r"claude-([a-z]{2,})-(\d{1,2})((?:-\d{1,2})?)(-.*)?", r"claude-\1-\2\3"),
        (r"(claude-[a-z]+-\d+)-0", r"\1"),
        (r"claude-([a-z]+)-([1-3])((?:-\d+)?)", r"claude-\2\3-\1"),
    )
)
_IS_BEDROCK = re.compile(r"(?:^|[^a-z0-9])anthropic\.claude[^a-z0-9]")
_GEOGRAPHY = re.compile(r"([a-z-]+)\.anthropic\.claude")
_BEFORE = re.compile(r"^([a-z0-9_. /-]{1,40}?)[^a-z0-9]+claude[^a-z0-9]")
_PROVIDERS = (
    (re.compile(r"bedrock"), "Bedrock"),
    (re.compile(r"@|vertex|publishers/"), "Vertex"),
    (re.compile(r"openrouter|^~?anthropic/"), "OpenRouter"),
    (re.compile(r"(?:^|[^a-z0-9])(?:sap|anthropic--)"), "SAP"),
)


def gold_name(logged: str) -> str:
    """Return the name that gold gives to a model, from its name in a log."""
    low = logged.lower()
    words = _WORDS.match(low)
    if not words or not _IS_CLAUDE.search(low) or _IS_OTHER.search(low):
        return logged
    plain = re.sub("[^a-z0-9]+", "-", words[1]).strip("-")
    for rule, name in _RULES:
        plain = rule.sub(name, plain)
    provider = _provider(low)
    return f"{plain} ({provider})" if provider else plain


def _provider(low: str) -> str:
    if _IS_BEDROCK.search(low):
        found = _GEOGRAPHY.search(low)
        return f"Bedrock {found[1]}" if found else "Bedrock"
    for rule, name in _PROVIDERS:
        if rule.search(low):
            return name
    before = _BEFORE.match(low.strip())
    return before[1] if before else ""


def short_name(model: str) -> str:
    """Return a model's name as people say it.

    That is `opus 4.7 (Bedrock us)` for `claude-opus-4-7 (Bedrock us)`. Models other
    than Claude keep their names.

    Args:
        model: The name in gold.
    """
    plain, space, provider = model.partition(" (")
    if found := _FAMILY_FIRST.fullmatch(plain):
        family, major, minor = found.groups()
    elif found := _VERSION_FIRST.fullmatch(plain):
        major, minor, family = found.groups()
    else:
        return model
    return f"{family} {major}{'.' if minor else ''}{minor or ''}{space}{provider}"
