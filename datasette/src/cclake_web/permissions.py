"""Check permissions, with Datasette 0.65 and the 1.0 alphas."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from datasette.plugins import pm
from datasette.utils import await_me_maybe, baseconv
from datasette.utils.asgi import Forbidden, Request
from itsdangerous import BadSignature

from cclake_web.export import NAME
from cclake_web.security import SIGNED_IN_S
from cclake_web.state import state_of

if TYPE_CHECKING:  # Datasette loads its plugins while it is being imported
    from datasette.app import Datasette

MAY_REVEAL = "cclake-reveal-secrets"
# Tables with numbers, times and names, but without texts of conversations.
NO_TEXT = (
    "agg_", "dim_date", "dim_models", "dim_tools", "dim_projects", "export_info",
    "fct_api_responses", "fct_response_items", "fct_messages", "thread_entries",
    "pipeline_runs",
)  # fmt: skip


async def ensure_visible(datasette: Datasette, actor: Any) -> None:
    """Check that a visitor may read the archive.

    Raises:
        Forbidden: They may not.
    """
    if state_of(datasette).config.password and actor is None:
        raise Forbidden("view-instance")
    if hasattr(datasette, "ensure_permissions"):
        await datasette.ensure_permissions(
            actor, [("view-database", NAME), "view-instance"]
        )
        return
    from datasette.resources import DatabaseResource

    if not await datasette.allowed(
        action="view-database", resource=DatabaseResource(NAME), actor=actor
    ):
        raise Forbidden("view-database")


async def may_reveal(datasette: Datasette, actor: Any) -> bool:
    """Return whether a visitor may see secrets; a password, if set, decides."""
    config = state_of(datasette).config
    if not config.reveal:
        return False
    default = not config.password or actor is not None
    if not hasattr(datasette, "permission_allowed"):
        return default
    allowed = await datasette.permission_allowed(actor, MAY_REVEAL, default=default)
    return bool(allowed)


async def reveals(datasette: Datasette, scope: dict[str, Any]) -> bool:
    """Return whether a request to a stock page asks for secrets and may have them."""
    if b"_reveal=1" not in scope.get("query_string", b"").split(b"&"):
        return False
    request = Request(scope, None)
    actor = scope.get("actor")
    for found in pm.hook.actor_from_request(datasette=datasette, request=request):
        actor = (await await_me_maybe(found)) or actor
        if actor:
            break
    return await may_reveal(datasette, actor)


def signed_in(datasette: Datasette, cookie: str) -> Any:
    """Return whom a sign-in cookie names, or None if it is not valid any more."""
    try:
        found = datasette.unsign(cookie, "actor")
        end = found.get("e") if isinstance(found, dict) else None
        if not end or time.time() > baseconv.base62.decode(end):
            return None
    except (BadSignature, ValueError):
        return None
    return found.get("a")


def signed_in_until(datasette: Datasette, cookie: str) -> str:
    """Return the sign-in cookie, which Datasette accepts until it expires."""
    try:
        found = datasette.unsign(cookie, "actor")
    except BadSignature:
        return cookie
    if not isinstance(found, dict) or "e" in found:
        return cookie
    end = baseconv.base62.encode(int(time.time()) + SIGNED_IN_S)
    return str(datasette.sign({**found, "e": end}, "actor"))


async def refused(
    datasette: Datasette, actor: Any, action: str, resource: Any
) -> bool | None:
    """Return False for an action that could show secrets to somebody who may not.

    SQL can take a secret apart, and filters can guess it letter by letter, so both are
    only for visitors who may see secrets.
    """
    if action == "view-table":
        name = resource[1] if isinstance(resource, tuple) else ""
        closed = not name.startswith(NO_TEXT)
    else:
        closed = action == "execute-sql"
    return False if closed and not await may_reveal(datasette, actor) else None
