"""Get a conversation as the pages export it."""

import os
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import quote

from cclake_common.failure import Failure
from cclake_common.settings import web_token

ADDRESS = "127.0.0.1"
WAIT_S = 120.0  # maximum seconds to wait for a large conversation
CHUNK = 1 << 16


def html(session: str) -> Iterator[bytes]:
    """Yield the HTML of a session: the same file that its page offers.

    Raises:
        Failure: The pages do not answer, or refuse.
    """
    port = _port(os.environ.get("WEB_PORT") or "3000")
    token = web_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = HTTPConnection(ADDRESS, port, timeout=WAIT_S)
    try:
        name = quote(session, safe="")
        connection.request("GET", f"/session/{name}/export.html", headers=headers)
        answer = connection.getresponse()
        _check(answer, session)
        while some := answer.read(CHUNK):
            yield some
    except (OSError, HTTPException) as error:
        raise Failure(
            f"the pages on {ADDRESS}:{port} do not answer: {error}",
            "Start them with `just up`: they write the HTML.",
        ) from error
    finally:
        connection.close()


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise Failure(f"WEB_PORT is not a port: {text}", code=2)
    return int(text)


def _check(answer: HTTPResponse, session: str) -> None:
    if answer.status == 404:
        raise Failure(
            f"session {session} is not published yet", "Run `pipeline run` first."
        )
    if answer.status != 200:
        raise Failure(
            f"the pages refuse session {session}: status {answer.status}",
            "Set WEB_PORT, CCLAKE_HOME and CCLAKE_WEB_TOKEN as for the pages.",
        )
