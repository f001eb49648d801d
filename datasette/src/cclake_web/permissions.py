"""Who may see what, asked of Datasette 0.65 and of the 1.0 alphas alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datasette.utils.asgi import Forbidden

from cclake_web.generation import NAME
from cclake_web.state import state_of

if TYPE_CHECKING:  # it loads its plugins while it is itself imported
    from datasette.app import Datasette

MAY_REVEAL = "cclake-reveal-secrets"


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
    """Whether a visitor may see secrets; with a password, whoever gave it."""
    default = not state_of(datasette).config.password or actor is not None
    if not hasattr(datasette, "permission_allowed"):
        return default
    allowed = await datasette.permission_allowed(actor, MAY_REVEAL, default=default)
    return bool(allowed)
