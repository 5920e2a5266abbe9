"""Requests that are sent in one piece, and responses that are read at once.

urllib3 makes connections, with TLS, and keeps them. But it prepares each request and
each response in so many steps that they take longer than everything else that is done
for it. Here it is asked for connections alone.

References
----------
https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import http.client
import math
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
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
_HEAD_END = b"\r\n\r\n"
_NO_BODY = (204, 304)


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
        sock = self.opened(seconds)
        sock.sendall(head + body if body else head)
        reader = _Reader(sock, most_bytes)
        status, found = reader.read_head()
        while status < 200:
            status, found = reader.read_head()
        data = b"" if status in _NO_BODY else reader.read_body(found)
        if reader.is_over(found):
            self.close()
        return Response(status, found, data)

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
            How long the server may keep silent, and connecting may take (5 s at most).
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
    """Reads a response off a socket."""

    def __init__(self, sock: socket.socket, most_bytes: float) -> None:
        self._sock = sock
        self._most_bytes = most_bytes
        self._received = b""
        self._is_http_11 = True
        self._ends_with_connection = False

    def read_head(self) -> tuple[int, dict[str, str]]:
        """Read status and headers, those by their names in small letters."""
        head = self._read_until(_HEAD_END).decode("latin-1")
        first, *lines = head.split("\r\n")
        version, _, rest = first.partition(" ")
        status = rest[:3]
        if not (
            version.startswith("HTTP/1.") and status.isdigit() and len(status) == 3
        ):
            raise http.client.BadStatusLine(first[:64])
        self._is_http_11 = version != "HTTP/1.0"
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(status), headers

    def read_body(self, headers: Mapping[str, str]) -> bytes:
        """Read a body, whose end its headers tell.

        Raises
        ------
        ResponseTooLongError
            Raised if it is longer than it may be.
        """
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks()
        if "content-length" in headers:
            length = _number(headers["content-length"], 10)
            self._check_length(length)
            return self._read(length)
        return self._read_to_end()

    def is_over(self, headers: Mapping[str, str]) -> bool:
        """Whether the connection is of no further use."""
        wish = headers.get("connection", "").lower()
        is_kept = "close" not in wish if self._is_http_11 else "keep-alive" in wish
        return self._ends_with_connection or not is_kept or bool(self._received)

    def _read_chunks(self) -> bytes:
        chunks: list[bytes] = []
        length = 0
        while True:
            line = self._read_until(b"\r\n")
            size = _number(line.partition(b";")[0].decode("latin-1"), 16)
            if size == 0:
                break
            length += size
            self._check_length(length)
            chunks.append(self._read(size))
            if self._read(2) != b"\r\n":
                raise http.client.IncompleteRead(b"")
        while self._read_until(b"\r\n"):
            pass
        return b"".join(chunks)

    def _read_to_end(self) -> bytes:
        self._ends_with_connection = True
        parts, length = [self._received], len(self._received)
        self._check_length(length)
        while part := self._sock.recv(_RECEIVE_BYTES):
            parts.append(part)
            length += len(part)
            self._check_length(length)
        return b"".join(parts)

    def _check_length(self, length: int) -> None:
        if length > self._most_bytes:
            raise ResponseTooLongError

    def _read(self, size: int) -> bytes:
        parts = [self._received]
        missing = size - len(self._received)
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        data = b"".join(parts)
        self._received = data[size:]
        return data[:size]

    def _read_until(self, end: bytes) -> bytes:
        """Read a head or a line, without its end."""
        while end not in self._received and len(self._received) <= _MOST_HEAD_BYTES:
            self._received += self._receive()
        found, _, self._received = self._received.partition(end)
        if len(found) > _MOST_HEAD_BYTES:
            raise http.client.LineTooLong("response")
        return found

    def _receive(self) -> bytes:
        data = self._sock.recv(_RECEIVE_BYTES)
        if not data:
            if not self._received:
                raise http.client.RemoteDisconnected("Remote end closed connection")
            raise http.client.IncompleteRead(self._received)
        return data


def _number(digits: str, base: int) -> int:
    try:
        number = int(digits.strip(), base)
    except ValueError as e:
        raise http.client.HTTPException("A length is no number") from e
    if number < 0:
        raise http.client.HTTPException("A length is negative")
    return number
