"""A server of the sandbox on its port, which it can leave for a while."""

from __future__ import annotations

import socket

from aiohttp import web

from nublado.sandbox.connections import reset

__all__ = ["Listener"]

_HOST = "127.0.0.1"
_BACKLOG = 2048


class Listener:
    """Serves an application on a port of this machine.

    The port stays its own while nobody listens: another socket is bound to it
    all the time, and so connections are refused rather than taken by some
    other process.

    Parameters
    ----------
    app
        The application.
    port
        Port; 0 for any free one.
    """

    def __init__(self, app: web.Application, port: int = 0) -> None:
        # Cancelling a handler whose client has gone ends what it has upstream.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0
        )
        self._site: web.SockSite | None = None
        self._held: socket.socket | None = None
        self._port = port

    @property
    def url(self) -> str:
        """Where it is, once it has been started."""
        return f"http://{_HOST}:{self._port}"

    async def start(self) -> None:
        """Begin to serve.

        Raises
        ------
        OSError
            Raised if the port is taken, or may not be used.
        """
        await self._runner.setup()
        self._held = _bind(self._port)
        self._port = self._held.getsockname()[1]
        await self.open()

    async def open(self) -> None:
        """Listen, unless it does already."""
        if self._site is None:
            sock = _bind(self._port)
            self._site = web.SockSite(self._runner, sock, backlog=_BACKLOG)
            await self._site.start()

    async def close(self) -> None:
        """Reset all connections and listen no more; `open` goes on."""
        if self._site is not None:
            site, self._site = self._site, None
            await site.stop()
            self.reset_connections()

    def reset_connections(self) -> None:
        """Reset all connections, whatever they are at."""
        server = self._runner.server
        for connection in server.connections if server is not None else ():
            reset(connection.transport)

    async def stop(self) -> None:
        """Stop for good."""
        await self._runner.cleanup()
        if self._held is not None:
            self._held.close()


def _bind(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((_HOST, port))
    except OSError:
        sock.close()
        raise
    return sock
