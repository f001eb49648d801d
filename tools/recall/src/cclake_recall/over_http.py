"""Serve MCP over streamable HTTP on this machine, to clients that have the token."""

import hmac
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
from cclake_common.failure import Failure
from cclake_common.settings import home, secret
from mcp.server.mcpserver import MCPServer

ADDRESS = "127.0.0.1"
PATH = "/mcp"
TOKEN = "mcp-token"  # the name of its file in the data directory

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class TokenRequired:
    """Refuse requests that do not carry the token as a bearer.

    Args:
        app: The ASGI application behind.
        token: The secret.
    """

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "http" and not self._is_allowed(scope):
            headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
            await send(
                {"type": "http.response.start", "status": 401, "headers": headers}
            )
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Message) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self._expected)


def serve(server: MCPServer, port: int) -> None:
    """Serve until SIGINT or SIGTERM.

    Requests do not depend on each other, so clients survive a restart of the server.

    Args:
        server: What answers.
        port: The port; 0 for any that is free.

    Raises:
        Failure: The port is in use, or not allowed.
    """
    # The SDK refuses other names in `Host`, so that no site can reach this server.
    app = server.streamable_http_app(
        streamable_http_path=PATH, json_response=True, stateless_http=True, host=ADDRESS
    )
    config = uvicorn.Config(
        TokenRequired(app, secret(TOKEN)), ADDRESS, port, log_level="warning"
    )
    try:
        socket = config.bind_socket()
    except SystemExit:
        raise Failure(
            f"cannot listen on {ADDRESS}:{port}", "Choose another port."
        ) from None
    with socket:
        socket.listen()  # who reads the address can connect
        url = f"http://{ADDRESS}:{socket.getsockname()[1]}{PATH}"
        print(f"recall: serves {url}", file=sys.stderr)
        print(f"recall: the token is in {home() / TOKEN}", file=sys.stderr)
        uvicorn.Server(config).run([socket])
