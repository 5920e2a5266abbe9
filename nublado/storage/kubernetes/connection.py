"""How a request to the API server is written and its response is read.

urllib3 makes connections, with TLS, and keeps them. But it prepares each request and
each response in so many steps that they take longer than everything else that is done
for it. Requests to an API server are small and of one form, so they are sent in one
piece here, and their responses are read to the end at once.

References
----------
https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.client.rest import RESTClientObject
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ProtocolError, ReadTimeoutError, SSLError
from urllib3.util.ssl_match_hostname import CertificateError

__all__ = ["Connections", "Response", "pool_manager"]

_CONNECT_SECONDS = 5.0
_RECEIVE_BYTES = 64 * 1024
_MOST_HEAD_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"
_NO_BODY = (204, 304)


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


class Connections:
    """Connections to the API server, used again and again.

    A proxy, where one is configured, is left to urllib3.

    Parameters
    ----------
    configuration
        Where the API server is and how to authenticate.
    number
        How many there may be at a time; more requests wait.
    """

    def __init__(self, configuration: client.Configuration, number: int) -> None:
        self._host = configuration.host
        self._pools = pool_manager(configuration, number)
        self._pools.connection_pool_kw["block"] = True
        self._pool: _Exchange | None = None
        if type(self._pools) is urllib3.PoolManager:
            self._pools.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
            pool: Any = self._pools.connection_from_url(self._host)
            self._pool = pool
        self._base = urllib3.util.parse_url(self._host).path or ""

    def close(self) -> None:
        """Close all."""
        self._pools.clear()

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
    ) -> Response:
        """Send a request.

        Parameters
        ----------
        method, path, headers, body
            The request.
        seconds
            How long the server may keep silent.

        Raises
        ------
        urllib3.exceptions.HTTPError
            Raised if there is no response, or only a part of one.
        """
        if self._pool is not None:
            path = f"{self._base}{path}"
            return self._pool.exchange(method, path, headers, body, seconds)
        response = self._pools.urlopen(
            method,
            f"{self._host}{path}",
            headers=headers,
            body=body,
            timeout=urllib3.Timeout(
                connect=min(seconds, _CONNECT_SECONDS), read=seconds
            ),
            pool_timeout=seconds,
            retries=False,
            redirect=False,
        )
        found = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status, found, response.data)


def pool_manager(
    configuration: client.Configuration, number: int
) -> urllib3.PoolManager:
    """Make what connects to the API server as the official client would."""
    configuration.connection_pool_maxsize = number
    manager: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
    return manager


class _Connection(HTTPConnection):
    """A connection that sends bytes and returns responses that are complete."""

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
    ) -> Response:
        """Send a request, and read the response to its end.

        Raises
        ------
        http.client.HTTPException
            Raised if that breaks off, or is no HTTP.
        OSError, urllib3.exceptions.HTTPError
            Raised if there is no connection, or nothing comes.
        """
        head = _head_of(method, path, self._host_header, headers, body)
        if self.sock is None:
            self.timeout = min(seconds, _CONNECT_SECONDS)
            self.connect()
        sock: Any = self.sock
        sock.settimeout(seconds)
        sock.sendall(head + body if body else head)
        reader = _Reader(sock)
        status, found = reader.read_head()
        while status < 200:
            status, found = reader.read_head()
        data = b"" if status in _NO_BODY else reader.read_body(found)
        if reader.is_over(found):
            self.close()
        return Response(status, found, data)

    @property
    def _host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == self.default_port else f"{host}:{self.port}"


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Exchange:
    """Of a pool: exchanges a request for a response over one of its connections."""

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
    ) -> Response:
        """Send a request; parameters and errors as of `Connections.send`."""
        pool: Any = self
        connection: _Connection = pool._get_conn(seconds)
        is_whole = False
        try:
            response = connection.exchange(method, path, headers, body, seconds)
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


class _Pool(_Exchange, urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(_Exchange, urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


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
