"""With a password nothing is for visitors who did not give it."""

import base64
import re
import subprocess
import zlib
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
from harness import BIN
from sample import MAIN, sample
from webface import serving

PATHS = (
    "/", f"/session/{MAIN}", f"/session/{MAIN}/export.json", "/search?q=x", "/dashboard?period=30", "/files", "/keep?session=x", "/export/kept.json", "/file?path=x", "/runs", "/line-image/abab/0",
    "/palette.json", "/raw/abab", f"/live/{MAIN}", "/image/x", "/export/sessions.csv",
    "/export/messages.jsonl", "/conversations", "/conversations/dim_sessions.json",
    "/conversations.json?sql=select+1", "/-/metadata", "/-/settings",
)  # fmt: skip


def test_every_route_is_closed_until_the_password_is_given(tmp_path: Path) -> None:
    sample().write(tmp_path / "exports" / "conversations.db")
    hashed = subprocess.run(
        [BIN / "datasette", "hash-password", "--no-confirm"],
        input="open sesame\n", capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    with serving(
        tmp_path / "exports", tmp_path / "web.log", CCLAKE_WEB_PASSWORD_HASH=hashed
    ) as web:
        for path in PATHS:
            answer = web.get(path)
            assert answer.status_code == 302, path
            assert answer.headers["location"] == "/-/login", path
        login = web.get("/-/login")
        assert login.status_code == 200
        assert sign_in(web.client, login.text, "wrong").status_code == 200
        assert web.get("/").status_code == 302
        signed_in = sign_in(web.client, login.text, "open sesame")
        assert signed_in.status_code == 302
        (cookie,) = [
            one for one in signed_in.headers.get_list("set-cookie") if "ds_actor" in one
        ]
        for part in ("HttpOnly", "SameSite=lax", "Max-Age=2592000"):
            assert part.lower() in cookie.lower(), cookie
        assert '"e"' in signed(cookie)  # the server counts too
        for path in ("/", f"/session/{MAIN}", "/conversations", "/dashboard?period=30"):
            assert web.get(path).status_code == 200, path


def signed(cookie: str) -> str:
    """Return what a cookie says, without its signature."""
    text = SimpleCookie(cookie)["ds_actor"].value.rpartition(".")[0]
    packed = text.startswith(".")
    plain = base64.urlsafe_b64decode(text.lstrip(".") + "===")
    return (zlib.decompress(plain) if packed else plain).decode()


def sign_in(client: httpx.Client, page: str, password: str) -> httpx.Response:
    token = re.search(r'name="csrftoken" value="([^"]+)"', page)
    assert token
    form = {"username": "me", "password": password, "csrftoken": token[1]}
    return client.post("/-/login", data=form)
