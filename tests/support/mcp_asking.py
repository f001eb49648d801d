"""Asks `recall mcp` with the SDK's own client, over both transports."""

import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

Ask = Callable[..., Awaitable[str]]
Questions = Callable[[Client, Ask], Awaitable[None]]
TRANSPORTS = ("stdio", "http")


def asked(
    exports: Path, questions: Questions, transport: str = "stdio", **env: str
) -> None:
    """Put questions to a server that runs as a process of its own."""

    async def main(client: Client) -> None:
        async def ask(tool: str, failing: bool = False, **given: Any) -> str:
            result = await client.call_tool(tool, given)
            (content,) = result.content
            assert isinstance(content, TextContent)
            assert bool(result.is_error) == failing, content.text
            return content.text

        await questions(client, ask)

    async def over_stdio() -> None:
        server = StdioServerParameters(
            command="recall",
            args=["mcp", "--timezone", "UTC"],
            env={"PATH": os.environ["PATH"], "EXPORT_DIR": str(exports), **env},
        )
        async with Client(server) as client:
            await main(client)

    async def over_http(address: str, token: str) -> None:
        async with connected(address, token) as client:
            await main(client)

    if transport == "stdio":
        anyio.run(over_stdio)
    else:
        with (
            tempfile.TemporaryDirectory() as home,
            served(exports, Path(home), **env) as (address, token),
        ):
            anyio.run(over_http, address, token)


@asynccontextmanager
async def connected(address: str, token: str) -> AsyncIterator[Client]:
    """Connect a client to a server over HTTP."""
    bearer = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=bearer) as http:
        transport = streamable_http_client(address, http_client=http)
        async with Client(transport) as client:
            yield client


@contextmanager
def served(exports: Path, home: Path, **env: str) -> Iterator[tuple[str, str]]:
    """Run the server over HTTP; yield its address and its token."""
    given = {"EXPORT_DIR": str(exports), "CCLAKE_HOME": str(home), **env}
    command = ["recall", "mcp", "--port", "0", "--timezone", "UTC"]
    with subprocess.Popen(
        command, env=os.environ | given, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        try:
            address = process.stderr.readline().split()[-1]
            token = Path(process.stderr.readline().split()[-1])
            assert token.stat().st_mode & 0o077 == 0
            yield address, token.read_text().strip()
        finally:
            process.terminate()
