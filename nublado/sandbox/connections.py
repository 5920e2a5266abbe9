"""Ends of connections that are not orderly."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

__all__ = ["arrival", "hang_up", "reset", "send_half_and_reset"]

_NO_LINGER = struct.pack("ii", 1, 0)
"""``SO_LINGER`` with which a close sends RST instead of FIN."""

_ARRIVAL_SECONDS = 0.05
"""Until what was written has been received, on this machine."""


def hang_up(request: web.Request) -> web.Response:
    """Close the connection of a request without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Reset a connection: the other side reads ``ECONNRESET``."""
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


async def arrival() -> None:
    """Let what was written arrive; what a reset overtakes is lost."""
    await asyncio.sleep(_ARRIVAL_SECONDS)


async def send_half_and_reset(
    request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    """Send the head of a response and half of its body, then reset.

    A response that was sent already is only followed by the reset.
    """
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes) or response.prepared:
        reset(request.transport)
        return response
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    await arrival()
    reset(request.transport)
    return half
