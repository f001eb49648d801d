"""Measure dbt and publish: everything, and a thousand new documents."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cclake_common.dbt_project import dbt_project
from cclake_pipeline.dbt_stage import Dbt
from cclake_pipeline.paths import Paths
from cclake_pipeline.stages import Mode, arguments
from lake_place import Cost, Place, medians, ratios

NEW = 1_000
Make = Callable[[str], Place]


def publish(
    options: argparse.Namespace, make: Callable[[str], Place]
) -> dict[str, Any]:
    """Gold and the exports, full-text index included: full, and for what is new."""
    place = make("publish")
    place.add(options.documents)
    place.time("pipeline", "run")
    full = [place.time("publish", "--full") for _ in range(options.repeat)]
    new = _steps(options, [place])[0]
    export = place.home / "exports" / "conversations.db"
    return {
        "documents": place.count,
        "publish_full": medians(full),
        "sqlite_bytes": export.stat().st_size,
        **new,
    }


def gold(options: argparse.Namespace, make: Make) -> dict[str, Any]:
    """A thousand new documents on a history and on one that is `--times` as long."""
    short, long = make("shortgold"), make("longgold")
    for place, count in (
        (short, options.documents),
        (long, options.documents * options.times),
    ):
        place.add(count)
        place.time("pipeline", "run")
    small, large = _steps(options, [short, long])
    return {
        "documents": [options.documents, options.documents * options.times],
        "short": small,
        "long": large,
        "ratios": ratios(small, large),
    }


def _steps(
    options: argparse.Namespace, found: list[Place]
) -> list[dict[str, dict[str, float]]]:
    """Costs of whole small runs and of their stages, interleaved."""
    names = ("extract", "load", "dbt", "publish", "pipeline", "nothing_new")
    costs = [{name: list[Cost]() for name in names} for _ in found]
    for turn in range(options.repeat + 1):
        for place, kept in zip(found, costs, strict=True):
            place.add(NEW)
            once = {
                "extract": place.time("extract", "--maintain-every", "0"),
                "load": place.time("load"),
                "dbt": place.time(*dbt_command(place)),
                "publish": place.time("publish"),
            }
            place.add(NEW)
            once["pipeline"] = place.time("pipeline", "run")
            once["nothing_new"] = place.time("pipeline", "run")
            if turn:  # the first one fills caches
                for name, cost in once.items():
                    kept[name].append(cost)
    return [{name: medians(kept[name]) for name in names} for kept in costs]


def dbt_command(place: Place, mode: Mode = "incremental") -> list[str]:
    """Gold, as the pipeline builds it, in a process of its own."""
    return [
        "python",
        str(Path(__file__)),
        json.dumps([str(place.home), place.uri, place.name, mode]),
    ]


def main(home: str, uri: str, name: str, mode: Mode) -> None:
    """Build gold once, as a run of the pipeline would."""
    where = Paths(Path(home), dbt_project(), "dev", uri, name)
    stage = Dbt(where, lambda _: None)
    again = stage.repeat(None) if mode == "incremental" else None
    built = again or stage.build(arguments("dbt", mode), None)
    assert built.ok, built.detail
    stage.close()


if __name__ == "__main__":
    import sys

    main(*json.loads(sys.argv[1]))
