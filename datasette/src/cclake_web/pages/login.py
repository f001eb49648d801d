"""`/-/login`: users of a team sign in with their passwords."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from cclake_common.failure import Failure
from datasette.utils.asgi import Request, Response
from datasette_auth_passwords.utils import hash_password, verify_password

from cclake_web.formatting import plural
from cclake_web.pages.web import html
from cclake_web.state import state_of
from cclake_web.team.attempts import NAME
from cclake_web.team.rules import User, team_of

if TYPE_CHECKING:  # Datasette loads plugins while it is imported
    from datasette.app import Datasette

# One password at a time: a hash takes a tenth of a second, and guessing does too.
_ONE = asyncio.Lock()
_WRONG = "Wrong name or password."


async def login_page(request: Request, datasette: Datasette) -> Response:
    """Show the form; sign in a user with the right password."""
    if request.method != "POST":
        return html(request, "login.html", problem="", name="")
    given = await request.post_vars()
    try:
        users = team_of(state_of(datasette).config.team).users
    except Failure:
        users = {}
    name, password = given.get("username", ""), given.get("password", "")
    address = (request.scope.get("client") or ("",))[0]
    attempts = state_of(datasette).attempts
    user = users.get(name)
    is_right = False
    async with _ONE:
        seconds = math.ceil(attempts.wait(name, address))
        if not seconds:
            is_right = await asyncio.to_thread(_is_right, user, password)
            attempts.record(name, address, is_right=is_right)
    if user is None or not is_right:
        status, problem = (429, _wait(seconds)) if seconds else (403, _WRONG)
        shown = html(request, "login.html", status, problem=problem, name=name[:NAME])
        shown.headers |= {"retry-after": str(seconds)} if seconds else {}
        return shown
    actor = {"id": user.reader.name, "key": user.key}
    answer = Response.redirect("/", status=303)
    answer.set_cookie("ds_actor", datasette.sign({"a": actor}, "actor"))
    return answer


def _wait(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    time = plural(minutes, "minute") if seconds > 60 else plural(seconds, "second")
    return f"There were too many wrong passwords. Try again in {time}."


def _is_right(user: User | None, password: str) -> bool:
    if user and user.password:
        return bool(verify_password(password, user.password))
    hash_password(password)  # as long as for a user, so that names cannot be guessed
    return False
