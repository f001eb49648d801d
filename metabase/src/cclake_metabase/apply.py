"""Bring Metabase to what the dashboards say; what is right already is left alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cclake_metabase import payload
from cclake_metabase.client import Client
from cclake_metabase.ledger import Ledger, digest
from cclake_metabase.model import Dashboard
from cclake_metabase.payload import Body

COLLECTION = "Claude Code"
DATABASE = "cclake"


@dataclass(frozen=True)
class Change:
    """Something that was done: `created`, `changed` or `archived`."""

    what: str
    name: str


class Apply:
    """Applies dashboards to one Metabase.

    Attributes:
        changes: What has been done; nothing when a run finds all as it should be.
    """

    def __init__(self, client: Client, ledger: Ledger, pages: str) -> None:
        self._client = client
        self._ledger = ledger
        self._pages = pages.rstrip("/")
        self._items: dict[tuple[str, str], int] | None = None
        self._kept: set[str] = set()
        self.changes: list[Change] = []

    def run(self, dashboards: list[Dashboard], export: Path) -> None:
        """Make or mend database, collection, cards and dashboards; archive the rest.

        Raises:
            Failure: Metabase refuses something, or does not answer; what was done
                until then is remembered, and the next run goes on.
        """
        database = self._database(export)
        collection = self._collection()
        choices = {
            name: self._card(
                f"choices {name}", payload.values_card(name, database, collection)
            )
            for name in payload.VALUES
        }
        for dashboard in dashboards:
            cards = {
                card.name: self._card(
                    f"{dashboard.name} / {card.name}",
                    payload.card(card, database, collection, self._pages),
                )
                for card in dashboard.cards
            }
            body = payload.dashboard(dashboard, cards, choices)
            self._dashboard(dashboard, body, collection)
        self._archive_the_rest()

    def _database(self, export: Path) -> int:
        body: Body = {
            "name": DATABASE,
            "engine": "sqlite",
            "details": {"db": str(export)},
            "is_full_sync": True,
            "auto_run_queries": True,
        }

        def find() -> int | None:
            listed = self._client.get("/api/database")
            return _named(listed["data"], DATABASE)

        return self._keep("database", "database", body, find)

    def _collection(self) -> int:
        body: Body = {"name": COLLECTION, "description": "Made by cclake."}

        def find() -> int | None:
            return _named(self._client.get("/api/collection"), COLLECTION)

        return self._keep("collection", "collection", body, find)

    def _card(self, key: str, body: Body) -> int:
        find = partial(self._item, "card", body["name"], body["collection_id"])
        return self._keep(f"card {key}", "card", body, find)

    def _dashboard(self, dashboard: Dashboard, body: Body, collection: int) -> None:
        find = partial(self._item, "dashboard", dashboard.name, collection)
        # Cards come only with a second request; they replace what was there.
        empty = {"name": dashboard.name, "collection_id": collection}
        self._keep(f"dashboard {dashboard.name}", "dashboard", body, find, empty)

    def _keep(
        self,
        name: str,
        kind: str,
        body: Body,
        find: Callable[[], int | None],
        empty: Body | None = None,
    ) -> int:
        """Leave alone, change or make something; its number in Metabase.

        Args:
            name: Its name in the ledger.
            kind: Its name in the API.
            body: What it should be.
            find: Looks for it by its name, for when the ledger was lost.
            empty: What it is made with, where it can't be made whole at once.
        """
        self._kept.add(name)
        made = self._ledger.get(name)
        path = f"/api/{kind}"
        there = made is not None and self._client.exists(f"{path}/{made.id}")
        if made and there and made.digest == digest(body):
            return made.id
        id_ = made.id if made and there else find()
        what = "changed" if id_ is not None else "created"
        if id_ is None:
            id_ = int(self._client.post(path, empty or body)["id"])
        if what == "changed" or empty:
            self._client.put(f"{path}/{id_}", body)
        self._ledger.keep(name, id_, body)
        self.changes.append(Change(what, name))
        return id_

    def _item(self, model: str, name: str, collection: int) -> int | None:
        if self._items is None:
            listed = self._client.get(f"/api/collection/{collection}/items")
            self._items = {
                (each["model"], each["name"]): int(each["id"])
                for each in listed["data"]
            }
        return self._items.get((model, name))

    def _archive_the_rest(self) -> None:
        """What an earlier version made and no dashboard names any more."""
        for name in self._ledger.names():
            kind = name.split(" ", 1)[0]
            if name in self._kept or kind not in ("card", "dashboard"):
                continue
            made = self._ledger.get(name)
            if made and self._client.exists(f"/api/{kind}/{made.id}"):
                self._client.put(f"/api/{kind}/{made.id}", {"archived": True})
                self.changes.append(Change("archived", name))
            self._ledger.forget(name)


def _named(items: list[dict[str, Any]], name: str) -> int | None:
    for each in items:
        if each["name"] == name and not each.get("archived"):
            return int(each["id"])
    return None
