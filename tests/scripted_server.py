"""A real HTTP server that responds as a test wants it to."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_STEP_SECONDS = 0.01


@dataclass(frozen=True)
class Received:
    """A request that has come in; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """How to respond."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    """Close the connection instead of responding."""
    after: threading.Event | None = None
    """Respond only once this has happened."""
    slow_headers: bool = False
    """Send the headers byte by byte."""
    slow_body: bool = False
    """Send the body byte by byte."""
    announced: int | None = None
    """Length that is announced; negative for none, which ends with the connection."""


class ScriptedServer:
    """Gives replies in order, then the default for all further requests.

    Parameters
    ----------
    certificate
        File with certificate and key, with which it speaks TLS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.received: list[Received] = []
        self.replies: list[Reply] = []
        self.default = Reply()
        self.connections = 0
        self.most_connections = 0
        self._changed = threading.Condition()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"
        if certificate is not None:
            self._server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._server.tls.load_cert_chain(certificate)

    def forget_tls(self) -> None:
        """Speak no TLS any more, on no connection."""
        self._server.tls = None
        self._server.close_connections()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_received(self, count: int, seconds: float = 60.0) -> list[Received]:
        """Wait for so many requests altogether."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.received) >= count, seconds)
            assert len(self.received) >= count, "not enough requests"
            return list(self.received)

    def receive(self, request: Received) -> Reply:
        with self._changed:
            self.received.append(request)
            self._changed.notify_all()
            return self.replies.pop(0) if self.replies else self.default

    def connected(self, change: int) -> None:
        with self._changed:
            self.connections += change
            self.most_connections = max(self.most_connections, self.connections)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, scripted: ScriptedServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scripted = scripted
        self.tls: ssl.SSLContext | None = None
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; an `OSError` is no concern of the server."""
        connection, address = super().get_request()
        if self.tls is not None:
            connection.settimeout(60)
            connection = self.tls.wrap_socket(connection, server_side=True)
        self._open.add(connection)
        return connection, address

    def close_connections(self) -> None:
        for connection in self._open:
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        self.server.scripted.connected(1)
        try:
            super().handle()
        except OSError:
            self.close_connection = True
        finally:
            self.server.scripted.connected(-1)

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        headers = {k.lower(): v for k, v in self.headers.items()}
        body = self.rfile.read(length)
        request = Received(self.command, self.path, headers, body)
        reply = self.server.scripted.receive(request)
        if reply.after is not None:
            reply.after.wait(60)
        if reply.drop:
            self.close_connection = True
        else:
            self._reply(reply)

    do_POST = do_GET  # noqa: N815

    def _reply(self, reply: Reply) -> None:
        length = len(reply.body) if reply.announced is None else reply.announced
        lines = [f"HTTP/1.1 {reply.status} Scripted"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        if length >= 0:
            lines.append(f"Content-Length: {length}")
        head = "\r\n".join([*lines, "", ""]).encode()
        self._send(head, slowly=reply.slow_headers)
        self._send(reply.body, slowly=reply.slow_body)
        self.close_connection = length != len(reply.body)

    def _send(self, data: bytes, *, slowly: bool) -> None:
        step = 1 if slowly else len(data) or 1
        for start in range(0, len(data), step):
            self.wfile.write(data[start : start + step])
            time.sleep(_STEP_SECONDS if slowly else 0)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""
