"""How a request to the API server is written and its response is read.

urllib3 keeps connections, TLS, proxies and errors in order; but it prepares each
request and each response in so many steps that they take longer than everything
else that is done for it. Requests to an API server are small and of one form, so
here they are sent in one piece, and their responses are read to the end at once.

References
----------
https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

__all__ = ["POOL_CLASSES"]

_RECEIVE_BYTES = 64 * 1024
_MOST_HEAD_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"
_NO_BODY = (204, 304)


class _Connection(HTTPConnection):
    """A connection that sends bytes and returns responses that are complete."""

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> None:
        """Connect, unless that is done, and send a request."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.timeout)
        head = _head_of(method, url, self._host_header, headers or {}, body)
        self.sock.sendall(head + body if body else head)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        """Read a response to its end.

        Raises
        ------
        http.client.HTTPException
            Raised if that breaks off, or is no HTTP.
        OSError
            Raised if nothing comes.
        """
        self.sock.settimeout(self.timeout)
        reader = _Reader(self.sock)
        status, headers = reader.read_head()
        while status < 200:
            status, headers = reader.read_head()
        data = b"" if status in _NO_BODY else reader.read_body(headers)
        if reader.is_over(headers):
            self.close()
        return urllib3.HTTPResponse(data, headers, status, version=11)

    @property
    def _host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == self.default_port else f"{host}:{self.port}"


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection  # type: ignore[assignment]


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection  # type: ignore[assignment]


POOL_CLASSES = {"http": _Pool, "https": _TLSPool}
"""What a pool manager has to make, by scheme."""


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

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._received = b""
        self._is_http_11 = True
        self._ends_with_connection = False

    def read_head(self) -> tuple[int, dict[str, str]]:
        """Read status and headers, those by their names in small letters."""
        head = self._read_until(_HEAD_END, _MOST_HEAD_BYTES).decode("latin-1")
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
        """Read a body, whose end its headers tell."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks()
        if "content-length" in headers:
            return self._read(_number(headers["content-length"], 10))
        self._ends_with_connection = True
        parts = [self._received]
        while part := self._sock.recv(_RECEIVE_BYTES):
            parts.append(part)
        return b"".join(parts)

    def is_over(self, headers: Mapping[str, str]) -> bool:
        """Whether the connection is of no further use."""
        wish = headers.get("connection", "").lower()
        is_kept = "close" not in wish if self._is_http_11 else "keep-alive" in wish
        return self._ends_with_connection or not is_kept or bool(self._received)

    def _read_chunks(self) -> bytes:
        chunks: list[bytes] = []
        while True:
            line = self._read_until(b"\r\n", _MOST_HEAD_BYTES)
            size = _number(line.partition(b";")[0].decode("latin-1"), 16)
            if size == 0:
                break
            chunks.append(self._read(size))
            if self._read(2) != b"\r\n":
                raise http.client.IncompleteRead(b"")
        while self._read_until(b"\r\n", _MOST_HEAD_BYTES):
            pass
        return b"".join(chunks)

    def _read(self, size: int) -> bytes:
        parts = [self._received]
        missing = size - len(self._received)
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        data = b"".join(parts)
        self._received = data[size:]
        return data[:size]

    def _read_until(self, end: bytes, most: int) -> bytes:
        while end not in self._received:
            if len(self._received) > most:
                raise http.client.LineTooLong("response")
            self._received += self._receive()
        found, _, self._received = self._received.partition(end)
        return found

    def _receive(self) -> bytes:
        data: bytes = self._sock.recv(_RECEIVE_BYTES)
        if not data:
            if not self._received:
                raise http.client.RemoteDisconnected("Server closed the connection")
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
