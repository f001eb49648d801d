"""Say who may open which route, and what the audit has of it.

A route that is not named here is only for readers of everything.
"""

from enum import Enum


class Door(Enum):
    """Whom a route is for."""

    FREE = "everybody, since it has nothing from the export"
    LIMITED = "each reader, who sees their own part"
    WHOLE = "readers of everything"


# The routes by their patterns.
DOORS = {
    Door.FREE: (
        r"^/-/cclake/[0-9a-f]+/(?P<name>[a-z.]+)$", r"^/-/login$", r"/-/logout$",
        r"/-/static/(?P<path>.*)$", r"/favicon.ico",
    ),
    Door.LIMITED: (
        r"^/$", r"^/search$", r"^/dashboard$", r"^/compare$", r"^/files$", r"^/file$",
        r"^/keep$", r"^/palette\.json$", r"^/raw/(?P<doc_id>[0-9a-f]+)$",
        r"^/session/(?P<session_id>[^/]+)$", r"^/session/(?P<session_id>[^/]+)/cost$",
        r"^/session/(?P<session_id>[^/]+)/export\.(?P<format>json|jsonl|csv|md|html)$",
        r"^/session/(?P<session_id>[^/]+)/part/(?P<entry_key>[^/]+)/(?P<number>[0-9]{1,4})$",
        r"^/session/(?P<session_id>[^/]+)/find\.json$",
        r"^/export/(?P<what>sessions|messages)\.(?P<format>json|jsonl|csv|md)$",
        r"^/export/kept\.json$", r"^/live/(?P<session_id>[^/]+)$",
        r"^/image/(?P<key>[^/]+)$",
        r"^/line-image/(?P<doc_id>[0-9a-f]+)/(?P<number>[0-9]{1,4})$",
    ),
    # Any SQL, the sums of all sessions, and the settings of the server.
    Door.WHOLE: (
        r"^/runs$", r"^/-/password-tool$", r"/(\.(?P<format>jsono?))?$",
        r"/:memory:(?P<rest>.*)$", r"/-/metadata(\.(?P<format>json))?$",
        r"/-/versions(\.(?P<format>json))?$", r"/-/plugins(\.(?P<format>json))?$",
        r"/-/settings(\.(?P<format>json))?$", r"/-/config.json", r"/-/config",
        r"/-/threads(\.(?P<format>json))?$", r"/-/databases(\.(?P<format>json))?$",
        r"/-/actor(\.(?P<format>json))?$", r"/-/auth-token$", r"/-/permissions$",
        r"/-/messages$", r"/-/allow-debug$", r"/-/patterns$",
        r"/(?P<database>[^\/\.]+)\.db$",
        r"/(?P<database>[^\/\.]+)(\.(?P<format>\w+))?$",
        r"/(?P<database>[^\/\.]+)/(?P<table>[^\/\.]+)(\.(?P<format>\w+))?$",
        r"/(?P<database>[^\/\.]+)/(?P<table>[^/]+?)/(?P<pks>[^/]+?)(\.(?P<format>\w+))?$",
    ),
}  # fmt: skip
_DOOR = {pattern: door for door, patterns in DOORS.items() for pattern in patterns}


def door(pattern: str) -> Door:
    """Return whom the route of a pattern is for."""
    return _DOOR.get(pattern, Door.WHOLE)


Args = dict[str, list[str]]


def is_export(pattern: str, args: Args) -> bool:
    """Return whether an answer leaves the pages: a file, a table, a line as text."""
    if "(?P<doc_id>" in pattern:
        return "1" in args.get("plain", ())
    return "export" in pattern or "(?P<database>" in pattern


def is_reveal(pattern: str, args: Args) -> bool:
    """Return whether a request asks for secrets."""
    name = "_reveal" if "(?P<database>" in pattern else "reveal"
    return "1" in args.get(name, ())
