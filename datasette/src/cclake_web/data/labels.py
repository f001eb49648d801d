"""Choose short labels that distinguish values."""

from collections import Counter
from collections.abc import Mapping, Sequence

from cclake_web.formatting import model_name


def distinct_labels(forms: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return a label for each value: the first of its forms that is unique.

    Args:
        forms: The forms of each value, the shortest first; each value has as many.
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
    """Return short names of models, and full names if two would be equal."""
    return distinct_labels({model: (model_name(model), model) for model in models})


def of_projects(named: Sequence[tuple[str, str | None, str | None]]) -> dict[str, str]:
    """Return names of projects, with more of their paths if names are equal.

    Args:
        named: Key, name and path of each.
    """
    return distinct_labels({
        key: (name or key, _end(path) or name or key, path or key, key)
        for key, name, path in named
    })  # fmt: skip


def _end(path: str | None) -> str:
    parts = [part for part in (path or "").replace("\\", "/").split("/") if part]
    return "/".join(parts[-2:])
