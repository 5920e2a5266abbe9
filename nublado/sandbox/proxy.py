"""The part of the ingress that passes requests on, and answers back."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

__all__ = ["Proxy", "end_to_end"]

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 30.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Frames = web.WebSocketResponse[Any] | aiohttp.ClientWebSocketResponse[Any]


class Proxy:
    """Passes requests on to servers, and what those answer back.

    Nothing is kept in between: bodies and WebSocket messages go on as they
    come, at the pace of whoever is slower. Where a server dies in the middle
    of an answer, the client's connection is cut, so that what has arrived
    cannot be taken for the whole.
    """

    def __init__(self) -> None:
        self._reused: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    async def connections(self, _: web.Application) -> AsyncIterator[None]:
        """Keep connections to servers for as long as an application runs."""
        async with (
            _session(keepalive_timeout=_KEEP_ALIVE_SECONDS) as self._reused,
            _session(force_close=True) as self._fresh,
        ):
            yield

    async def forward(
        self, request: web.Request, base: str, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Pass a request on.

        Parameters
        ----------
        request
            What the client sent.
        base
            URL of the server, to which path and query are added.
        headers
            Headers to send instead of those of the request.

        Returns
        -------
        aiohttp.web.StreamResponse
            The answer of the server; 502 if there is none.
        """
        url = URL(f"{base}{request.raw_path}", encoded=True)
        if _wants_websocket(request):
            return await _open_websocket(request, url, headers)
        try:
            async with self._ask(request, url, headers) as upstream:
                return await _pass_back(request, upstream)
        except (aiohttp.ClientError, OSError, TimeoutError) as e:
            return _bad_gateway(e)

    def _ask(
        self, request: web.Request, url: URL, headers: Mapping[str, str]
    ) -> aiohttp.client._RequestContextManager:
        # A body can be sent only once, so it is not risked on a connection that
        # the server may be about to close.
        session = self._fresh if request.can_read_body else self._reused
        assert session is not None  # noqa: S101
        return session.request(
            request.method,
            url,
            headers=headers,
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
        )


def end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Keep the headers that are not about a single connection."""
    listed = headers.get("Connection", "").lower().split(",")
    dropped = _HOP_BY_HOP | {name.strip() for name in listed}
    return CIMultiDict((k, v) for k, v in headers.items() if k.lower() not in dropped)


def _session(**options: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, **options),
        timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


async def _pass_back(
    request: web.Request, upstream: aiohttp.ClientResponse
) -> web.StreamResponse:
    response = web.StreamResponse(
        status=upstream.status,
        reason=upstream.reason,
        headers=end_to_end(upstream.headers),
    )
    try:
        await response.prepare(request)
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
    except (aiohttp.ClientError, OSError, TimeoutError):
        _cut(request)
    else:
        await response.write_eof()
    return response


def _cut(request: web.Request) -> None:
    """End the connection of a client in a way that it takes for a failure."""
    transport = request.transport
    if transport is None:
        return
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:
        # An orderly end would complete a body that has neither length nor chunks.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def _bad_gateway(error: Exception) -> web.Response:
    text = f"bad gateway: {error or type(error).__name__}"
    return web.json_response({"error": text}, status=502)


# --- WebSockets ----------------------------------------------------------


def _wants_websocket(request: web.Request) -> bool:
    upgrade = request.headers.get("Upgrade", "").strip().lower()
    return request.method == "GET" and upgrade == "websocket"


async def _open_websocket(
    request: web.Request, url: URL, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Open a WebSocket to a server, then the client's, and join them."""
    kept = {k: v for k, v in headers.items() if not k.lower().startswith("sec-websock")}
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    # Leaving a session of its own is what cuts the connection to the server.
    async with _session(force_close=True) as session:
        try:
            upstream = await session.ws_connect(
                url,
                headers=kept,
                protocols=[name.strip() for name in offered if name.strip()],
                autoclose=False,
                autoping=False,
                max_msg_size=0,
                decode_text=False,
            )
        except aiohttp.WSServerHandshakeError as e:
            if e.status < web.HTTPBadRequest.status_code:
                return _bad_gateway(e)
            return web.Response(status=e.status, text=f"{e.message}\n")
        except (aiohttp.ClientError, OSError, TimeoutError) as e:
            return _bad_gateway(e)
        client = web.WebSocketResponse(
            protocols=[upstream.protocol] if upstream.protocol else (),
            autoclose=False,
            autoping=False,
            compress=False,
            max_msg_size=0,
            decode_text=False,
        )
        await client.prepare(request)
        closed = await _join(client, upstream)
    if not closed:
        _cut(request)
    elif request.transport is not None:
        request.transport.close()
    return client


async def _join(client: Frames, upstream: Frames) -> bool:
    """Pass frames on in both directions; tells whether both sides have closed."""
    pumps = [
        asyncio.create_task(_pump(client, upstream)),
        asyncio.create_task(_pump(upstream, client)),
    ]
    try:
        done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        if all(pump.result() for pump in done):
            await asyncio.wait(pumps, timeout=_CLOSE_SECONDS)
        return all(pump.done() and pump.result() for pump in pumps)
    finally:
        for pump in pumps:
            pump.cancel()


async def _pump(source: Frames, sink: Frames) -> bool:
    """Pass frames on until a side closes; tells whether it did so in order."""
    try:
        while True:
            message = await source.receive()
            match message.type:
                case aiohttp.WSMsgType.CLOSE:
                    payload = _close_payload(message.data, message.extra or "")
                    await sink.send_frame(payload, message.type)
                    return True
                case (
                    aiohttp.WSMsgType.CLOSING
                    | aiohttp.WSMsgType.CLOSED
                    | aiohttp.WSMsgType.ERROR
                ):
                    return False
                case _:
                    await sink.send_frame(message.data, message.type)
    except (aiohttp.ClientError, OSError):
        return False


def _close_payload(code: int, reason: str) -> bytes:
    return struct.pack("!H", code) + reason.encode() if code else b""
