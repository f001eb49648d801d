"""Apply the dashboards to a real Metabase, if one is named, and run the cards."""

import json
import os
import subprocess

import httpx
import pytest
from harness import PATIENCE

URL = os.environ.get("METABASE_URL", "")
KEY = os.environ.get("METABASE_API_KEY", "")

pytestmark = pytest.mark.skipif(
    not (URL and KEY), reason="needs METABASE_URL and METABASE_API_KEY"
)


def test_metabase_runs_every_card() -> None:
    command = ["metabase", "apply", "--url", URL, "--json"]
    settings = os.environ | {"METABASE_API_KEY": KEY}
    subprocess.run(command, env=settings, check=True, timeout=PATIENCE)
    again = subprocess.run(
        command, env=settings, check=True, timeout=PATIENCE, capture_output=True
    )
    assert json.loads(again.stdout) == []
    with httpx.Client(
        base_url=URL, headers={"X-API-KEY": KEY}, timeout=PATIENCE
    ) as client:
        collections = client.get("/api/collection").json()
        (ours,) = [each["id"] for each in collections if each["name"] == "Claude Code"]
        items = client.get(f"/api/collection/{ours}/items").json()["data"]
        cards = [each for each in items if each["model"] == "card"]
        assert cards
        for card in cards:
            answer = client.post(f"/api/card/{card['id']}/query").json()
            assert answer["status"] == "completed", card["name"]
