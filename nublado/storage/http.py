"""One HTTP client for registries, Gafaelfawr and Slack.

It sends a request to the host that the URL names and nowhere else. There is no
session: sessions look for proxies and credentials in the environment, keep cookies
and follow redirects, which would carry secrets elsewhere, and they take as long as
the request. Certificates are checked against those that the system trusts.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse as RawResponse
from urllib3.util import parse_url

from nublado import __version__
from nublado.metrics import SERVICE_SECONDS
from nublado.storage.exchange import (
    Connection,
    Exchange,
    Pool,
    Response,
    ResponseTooLongError,
    TLSConnection,
    TLSPool,
)
from nublado.storage.http_deadline import Deadline, HTTPRequestError
from nublado.storage.traffic import Traffic

__all__ = ["HTTPClient", "HTTPRequest", "HTTPRequestError", "HTTPResponse"]

_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 10.0
_CHUNK_BYTES = 64 * 1024
_MAX_BYTES = 1024 * 1024
_MOST_ROUTES = 16
_SCHEMES = ("http://", "https://")
_HEADERS = {
    "User-Agent": f"nublado/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """A request; headers and body may hold secrets."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    def authorized(self, authorization: str | None) -> Self:
        """Make a copy with an ``Authorization`` header, or without one."""
        headers = {k: v for k, v in self.headers.items() if k != "Authorization"}
        if authorization is not None:
            headers["Authorization"] = authorization
        return replace(self, headers=headers)


class HTTPResponse:
    """A response whose body is still to be read; has to be closed.

    Its deadline is that of the request: reading fails once it has passed.
    """

    def __init__(
        self,
        url: str,
        response: requests.Response,
        deadline: Deadline,
        resources: ExitStack,
    ) -> None:
        self.url = url
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._deadline = deadline
        self._resources = resources

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back; drop it if there is more to read."""
        self._resources.close()

    def read(self, max_bytes: int = _MAX_BYTES) -> bytes:
        """Read the whole body; raises as `chunks` does."""
        return b"".join(self.chunks(max_bytes))

    def chunks(self, max_bytes: int = _MAX_BYTES) -> Iterator[bytes]:
        """Read the body piece by piece.

        Parameters
        ----------
        max_bytes
            How long it may be.

        Raises
        ------
        HTTPRequestError
            Raised if it is longer, takes too long, or breaks off.
        """
        total = 0
        with self._deadline.errors():
            for chunk in self._response.iter_content(_CHUNK_BYTES):
                total += len(chunk)
                if total > max_bytes:
                    raise HTTPRequestError("response is too long", retryable=False)
                yield chunk


class HTTPClient:
    """Connections to outside services, shared by all threads.

    Parameters
    ----------
    max_in_flight
        How many requests may be in flight; those beyond it wait.
    service
        What is reached with it, such as ``gafaelfawr``, for metrics.

    Attributes
    ----------
    traffic
        How it responds.
    """

    def __init__(self, max_in_flight: int, service: str) -> None:
        self.traffic = Traffic()
        self._service = service
        self._slots = threading.BoundedSemaphore(max_in_flight)
        self._in_flight: set[Deadline] = set()
        self._adapter = _Adapter(pool_maxsize=max_in_flight)
        self._pools = PoolManager(maxsize=max_in_flight, ssl_context=_system_trust())
        self._pools.pool_classes_by_scheme = {
            "http": _QuickPool,
            "https": _QuickTLSPool,
        }
        self._route = lru_cache(_MOST_ROUTES)(self._find_route)

    def close(self) -> None:
        """Close all connections, and end the requests that are in flight."""
        for deadline in [*self._in_flight]:
            deadline.end("client was closed")
        self._adapter.close()
        _close_pools(self._pools)

    def send(self, request: HTTPRequest, *, seconds: float) -> HTTPResponse:
        """Send a request.

        Parameters
        ----------
        request
            The request.
        seconds
            How long it may take from now until the body has been read. Only
            the resolution of host names is not interrupted by it.

        Returns
        -------
        HTTPResponse
            Status and headers; the caller reads the body and closes it.

        Raises
        ------
        HTTPRequestError
            Raised if there is no response.
        """
        deadline = Deadline(seconds)
        began = time.monotonic()
        try:
            with ExitStack() as acquired:
                response = self._open(request, deadline, acquired)
                resources = acquired.pop_all()
        except HTTPRequestError as e:
            self._note(request, None, time.monotonic() - began, str(e))
            raise
        self._note(request, response.status_code, time.monotonic() - began)
        return HTTPResponse(request.url, response, deadline, resources)

    def _note(
        self, request: HTTPRequest, status: int | None, seconds: float, error: str = ""
    ) -> None:
        """Count a request by the host that it went to."""
        shown = "none" if status is None else str(status)
        SERVICE_SECONDS.labels(self._service, shown).observe(seconds)
        host = _host_of(request.url)
        if status is None or status >= 500:
            self.traffic.note_failure(host, error or f"status {status}")
        else:
            self.traffic.note_success(host, seconds)

    def fetch(self, request: HTTPRequest, *, seconds: float) -> Response:
        """Send a request whose response is short.

        Parameters
        ----------
        request
            The request.
        seconds
            How long it may take; see `send`.

        Returns
        -------
        Response
            All of the response, as it was sent.

        Raises
        ------
        HTTPRequestError
            Raised if there is none, it breaks off, or is longer than 1 MiB.
        """
        deadline = Deadline(seconds)
        began = time.monotonic()
        try:
            with ExitStack() as resources:
                left = self._begin(deadline, resources)
                response = self._exchange(request, deadline, left)
        except HTTPRequestError as e:
            self._note(request, None, time.monotonic() - began, str(e))
            raise
        self._note(request, response.status, time.monotonic() - began)
        return response

    def _begin(self, deadline: Deadline, resources: ExitStack) -> float:
        """Wait for others that are in flight; return how many seconds are left."""
        if not self._slots.acquire(timeout=max(deadline.left(), 0.0)):
            message = "too many requests are in flight"
            raise HTTPRequestError(message, retryable=False)
        resources.callback(self._slots.release)
        left = deadline.left()
        if left <= 0:
            raise HTTPRequestError("no time left", retryable=False)
        self._in_flight.add(deadline)
        resources.callback(self._in_flight.discard, deadline)
        resources.enter_context(deadline.enforced())
        return left

    def _open(
        self, request: HTTPRequest, deadline: Deadline, resources: ExitStack
    ) -> requests.Response:
        left = self._begin(deadline, resources)
        with deadline.errors():
            response = self._adapter.send(
                _prepared(request),
                stream=True,
                timeout=(min(_CONNECT_SECONDS, left), min(_SILENCE_SECONDS, left)),
            )
            resources.callback(response.close)
        return response

    def _exchange(
        self, request: HTTPRequest, deadline: Deadline, left: float
    ) -> Response:
        with deadline.errors():
            pool, path = self._route(request.url)
            try:
                return pool.exchange(
                    request.method,
                    path,
                    {**_HEADERS, **request.headers},
                    request.body,
                    min(_SILENCE_SECONDS, left),
                    _MAX_BYTES,
                )
            except ResponseTooLongError:
                message = "response is too long"
                raise HTTPRequestError(message, retryable=False) from None

    def _find_route(self, url: str) -> tuple[Exchange, str]:
        """Find the connections to a host, and what to ask it for."""
        _check_scheme(url)
        pool: Any = self._pools.connection_from_url(url)
        return pool, parse_url(url).request_uri


def _system_trust() -> ssl.SSLContext:
    """What the system trusts; all clients share it, since it is slow to read."""
    return _read_trust(*map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR")))


@lru_cache(1)
def _read_trust(*_: str | None) -> ssl.SSLContext:
    """Read what is trusted where the environment says so."""
    return ssl.create_default_context()


def _prepared(request: HTTPRequest) -> requests.PreparedRequest:
    _check_scheme(request.url)
    headers = {**_HEADERS, **request.headers}
    return requests.Request(
        request.method, request.url, headers, data=request.body
    ).prepare()


def _check_scheme(url: str) -> None:
    if not url.lower().startswith(_SCHEMES):
        raise InvalidSchema


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or "unknown host"
    except ValueError:
        return "unknown host"


class _Adapter(HTTPAdapter):
    """Never retries; trusts the certificates that the system trusts."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_system_trust(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _WatchedPool,
            "https": _WatchedTLSPool,
        }

    def close(self) -> None:
        """Close idle connections now, not when their pools are collected."""
        _close_pools(self.poolmanager)
        super().close()

    def cert_verify(self, *_: object) -> None:
        """Leave the certificates to the context, not to certifi."""


def _close_pools(manager: PoolManager) -> None:
    pools = manager.pools
    for key in pools.keys():  # noqa: SIM118, refuses to be iterated
        pools[key].close()


class _WatchedConnection(HTTPConnection):
    def getresponse(self) -> RawResponse:  # type: ignore[override]
        Deadline.current.deadline.watch(self.sock)
        return super().getresponse()


class _WatchedTLSConnection(HTTPSConnection, _WatchedConnection):
    pass


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLSConnection


class _QuickConnection(Connection):
    def opened(self, seconds: float) -> socket.socket:
        sock = super().opened(seconds)
        Deadline.current.deadline.watch(sock)
        return sock


class _QuickTLSConnection(TLSConnection, _QuickConnection):
    pass


class _QuickPool(Pool):
    ConnectionCls = _QuickConnection


class _QuickTLSPool(TLSPool):
    ConnectionCls = _QuickTLSConnection
