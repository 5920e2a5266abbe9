"""Requests that are sent in one piece, and responses that are read at once.

urllib3 makes connections, with TLS, and keeps them. But it prepares each request and
each response in so many steps that they take longer than everything else that is done
for it. Here it is asked for connections alone, and responses are read by
Node.js' parser.

References
----------
https://www.rfc-editor.org/rfc/rfc9112
https://github.com/MagicStack/httptools
"""

from __future__ import annotations

import http.client
import math
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import urllib3
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ProtocolError, ReadTimeoutError, SSLError
from urllib3.util.ssl_match_hostname import CertificateError

__all__ = [
    "Connection",
    "Exchange",
    "Pool",
    "Response",
    "ResponseTooLongError",
    "TLSConnection",
    "TLSPool",
]

_CONNECT_SECONDS = 5.0
_RECEIVE_BYTES = 64 * 1024
_MOST_HEAD_BYTES = 64 * 1024


class ResponseTooLongError(Exception):
    """The body of a response is longer than it may be."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response that has been read to its end.

    Parameters
    ----------
    status
        HTTP status.
    headers
        Headers, by their names in small letters.
    data
        The body.
    """

    status: int
    headers: Mapping[str, str]
    data: bytes


class Connection(HTTPConnection):
    """A connection that sends bytes and returns responses that are complete."""

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        most_bytes: float,
    ) -> Response:
        """Send a request, and read the response to its end.

        Raises
        ------
        http.client.HTTPException
            Raised if that breaks off, or is no HTTP.
        OSError, urllib3.exceptions.HTTPError
            Raised if there is no connection, or nothing comes.
        ResponseTooLongError, ValueError
            Raised as by `Exchange.exchange`.
        """
        head = _head_of(method, path, self._host_header, headers, body)
        deadline = time.monotonic() + seconds
        sock = self.opened(seconds)
        sock.sendall(head + body if body else head)
        reader = _Reader(sock, deadline, most_bytes)
        response = reader.read()
        if not reader.is_kept:
            self.close()
        return response

    def opened(self, seconds: float) -> socket.socket:
        """Connect, unless that is done, and return the socket."""
        if self.sock is None:
            self.timeout = min(seconds, _CONNECT_SECONDS)
            self.connect()
        sock: socket.socket = self.sock
        sock.settimeout(seconds)
        return sock

    @property
    def _host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == self.default_port else f"{host}:{self.port}"


class TLSConnection(Connection, HTTPSConnection):
    """The same over TLS."""


class Exchange:
    """Of a pool: exchanges a request for a response over one of its connections."""

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        most_bytes: float = math.inf,
    ) -> Response:
        """Send a request.

        Parameters
        ----------
        method, path, headers, body
            The request.
        seconds
            How long all of it may take, connecting 5 s at most.
        most_bytes
            How long the body of the response may be.

        Raises
        ------
        urllib3.exceptions.HTTPError
            Raised if there is no response, or only a part of one.
        ResponseTooLongError
            Raised if its body is longer.
        ValueError
            Raised if a header cannot be sent.
        """
        pool: Any = self
        connection: Connection = pool._get_conn(seconds)
        is_whole = False
        try:
            response = connection.exchange(
                method, path, headers, body, seconds, most_bytes
            )
            is_whole = True
        except TimeoutError as e:
            message = f"Read timed out. (read timeout={seconds:g})"
            raise ReadTimeoutError(pool, path, message) from e
        except (ssl.SSLError, CertificateError) as e:
            raise SSLError(e) from e
        except (OSError, http.client.HTTPException) as e:
            raise ProtocolError("Connection aborted.", e) from e
        finally:
            if not is_whole:
                connection.close()
            pool._put_conn(connection)
        return response


class Pool(Exchange, urllib3.HTTPConnectionPool):
    """Connections to one host."""

    ConnectionCls = Connection


class TLSPool(Exchange, urllib3.HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = TLSConnection


def _head_of(
    method: str, url: str, host: str, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    lines = [f"{method} {url} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    text = "\r\n".join(lines)
    if len(text.splitlines()) != len(lines):
        raise ValueError("Line break within a header")
    return f"{text}\r\n\r\n".encode("latin-1")


class _Reader:
    """Reads one response off a socket, by the parser of Node.js.

    Parameters
    ----------
    sock
        Where it comes from.
    deadline
        Until when, by the monotonic clock.
    most_bytes
        How long its body may be.
    """

    def __init__(self, sock: socket.socket, deadline: float, most_bytes: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._most_bytes = most_bytes
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._status = 0
        self._received = 0
        self._body_bytes = 0
        self._has_begun = False
        self._has_head = False
        self._is_whole = False
        self.is_kept = False

    def read(self) -> Response:
        """Read it to its end.

        Raises
        ------
        http.client.HTTPException
            Raised if it breaks off, or is no HTTP.
        ResponseTooLongError
            Raised if it is longer than it may be.
        """
        while not self._is_whole:
            data = self._receive()
            if data:
                self._take(data)
            else:
                self._end()
        return Response(self._status, self._headers, b"".join(self._body))

    def _receive(self) -> bytes:
        """Wait for more; a server that trickles gets no more time than another."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock.recv(_RECEIVE_BYTES)

    def _take(self, data: bytes) -> None:
        self._received += 0 if self._has_head else len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as e:
            if not self._is_whole:
                raise http.client.HTTPException(f"Response is no HTTP: {e}") from e
            # What comes behind it was not asked for.
            self.is_kept = False
        if not self._has_head and self._received > _MOST_HEAD_BYTES:
            raise http.client.LineTooLong("response")
        promised = int(self._headers.get("content-length") or 0)
        if max(promised, self._body_bytes) > self._most_bytes:
            raise ResponseTooLongError

    def _end(self) -> None:
        """Take the end of the connection for that of a response that names none."""
        if not self._has_begun:
            raise http.client.RemoteDisconnected("Remote end closed connection")
        has_end = self._headers.keys() & {"content-length", "transfer-encoding"}
        if has_end or not self._has_head:
            raise http.client.IncompleteRead(b"".join(self._body))
        self._is_whole = True

    # --- What the parser calls -------------------------------------------

    def on_message_begin(self) -> None:
        """Note that a response begins, perhaps behind the one that was asked for."""
        self._has_begun = True
        if self._is_whole:
            self.is_kept = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if not self._has_head:
            text = value.decode("latin-1").strip()
            self._headers[name.decode("latin-1").lower()] = text

    def on_headers_complete(self) -> None:
        """Take the head, unless it is that of an interim response."""
        if self._parser.get_status_code() < HTTPStatus.OK:
            self._headers.clear()
        elif not self._is_whole:
            self._has_head = True
            self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        if not self._is_whole:
            self._body.append(data)
            self._body_bytes += len(data)

    def on_message_complete(self) -> None:
        """Note the end."""
        if self._has_head and not self._is_whole:
            self._is_whole = True
            self.is_kept = self._parser.should_keep_alive()
