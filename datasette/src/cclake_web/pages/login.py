"""`/-/login`: users of a team sign in with their passwords."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cclake_common.failure import Failure
from datasette.utils.asgi import Request, Response
from datasette_auth_passwords.utils import hash_password, verify_password

from cclake_web.pages.web import html
from cclake_web.state import state_of
from cclake_web.team.rules import User, team_of

if TYPE_CHECKING:  # Datasette loads plugins while it is imported
    from datasette.app import Datasette

# One password at a time: a hash takes a tenth of a second, and guessing does too.
_ONE = asyncio.Lock()
_WRONG = "This is not the name and the password of a user."


async def login_page(request: Request, datasette: Datasette) -> Response:
    """Show the form; sign in a user with the right password."""
    if request.method != "POST":
        return html(request, "login.html", problem="")
    given = await request.post_vars()
    try:
        users = team_of(state_of(datasette).config.team).users
    except Failure:
        users = {}
    user = users.get(given.get("username", ""))
    async with _ONE:
        is_right = await asyncio.to_thread(_is_right, user, given.get("password", ""))
    if user is None or not is_right:
        return html(request, "login.html", 403, problem=_WRONG)
    actor = {"id": user.reader.name, "key": user.key}
    answer = Response.redirect("/", status=303)
    answer.set_cookie("ds_actor", datasette.sign({"a": actor}, "actor"))
    return answer


def _is_right(user: User | None, password: str) -> bool:
    if user and user.password:
        return bool(verify_password(password, user.password))
    hash_password(password)  # as long as for a user, so that names cannot be guessed
    return False
