"""Labels that distinguish values."""

from collections import Counter
from collections.abc import Mapping, Sequence

from cclake_web.formatting import model_name


def told_apart(forms: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return a label for each value: the first of its forms that no other value shares.

    Args:
        forms: For each value its forms, the shortest first; all have as many.
    """
    labels: dict[str, str] = {}
    rest: Mapping[str, Sequence[str]] = forms
    taken: set[str] = set()
    while rest:
        shared = Counter(given[0] for given in rest.values())
        left: dict[str, Sequence[str]] = {}
        for value, (first, *longer) in rest.items():
            if longer and (shared[first] > 1 or first in taken):
                left[value] = longer
            else:
                labels[value] = first
        taken |= shared.keys()
        rest = left
    return labels


def of_models(models: Sequence[str]) -> dict[str, str]:
    """Models as people say them; in full, where two are called the same."""
    return told_apart({model: (model_name(model), model) for model in models})


def of_projects(named: Sequence[tuple[str, str | None, str | None]]) -> dict[str, str]:
    """Projects by name, and by more of their path where others have that name.

    Args:
        named: Key, name and path of each.
    """
    return told_apart({
        key: (name or key, _end(path) or name or key, path or key, key)
        for key, name, path in named
    })  # fmt: skip


def _end(path: str | None) -> str:
    parts = [part for part in (path or "").replace("\\", "/").split("/") if part]
    return "/".join(parts[-2:])
