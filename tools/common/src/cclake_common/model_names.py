"""Short names of models, as people say them."""

import re

_DATE = r"(?:-20\d{6})?"
_FAMILY_FIRST = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:-(\d{1,2}))?" + _DATE)
_VERSION_FIRST = re.compile(r"claude-(\d{1,2})(?:-(\d{1,2}))?-([a-z]+)" + _DATE)


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
