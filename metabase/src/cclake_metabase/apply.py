"""Create and update the dashboards in Metabase; send only what differs."""

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
    """A change that was made: `created`, `changed` or `archived`."""

    what: str
    name: str


class Apply:
    """Apply dashboards to one Metabase.

    Attributes:
        changes: The changes made; empty if everything was up to date.
    """

    def __init__(self, client: Client, ledger: Ledger, pages: str) -> None:
        self._client = client
        self._ledger = ledger
        self._pages = pages.rstrip("/")
        self._items: dict[tuple[str, str], int] | None = None
        self._kept: set[str] = set()
        self.changes: list[Change] = []

    def run(self, dashboards: list[Dashboard], export: Path) -> None:
        """Create or update database, collection, cards and dashboards; archive others.

        Raises:
            Failure: Metabase refuses a request, or does not answer. The changes made
                until then are recorded, and the next run continues from there.
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
        self._archive_others()

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
        body: Body = {"name": COLLECTION, "description": "Created by cclake."}

        def find() -> int | None:
            return _named(self._client.get("/api/collection"), COLLECTION)

        return self._keep("collection", "collection", body, find)

    def _card(self, key: str, body: Body) -> int:
        find = partial(self._item, "card", body["name"], body["collection_id"])
        return self._keep(f"card {key}", "card", body, find)

    def _dashboard(self, dashboard: Dashboard, body: Body, collection: int) -> None:
        find = partial(self._item, "dashboard", dashboard.name, collection)
        # Cards need a second request, which replaces all cards of the dashboard.
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
        """Create an object, or change it if it differs; return its id in Metabase.

        Args:
            name: Its name in the ledger.
            kind: Its kind in the API.
            body: Its desired content.
            find: Finds it by name if the ledger was lost.
            empty: The body to create it with, if that can't be the whole body.
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

    def _archive_others(self) -> None:
        """Archive what an earlier version created and no dashboard needs any longer."""
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
