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
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError
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
from nublado.storage.traffic import Traffic

__all__ = ["HTTPClient", "HTTPRequest", "HTTPRequestError", "HTTPResponse"]

_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 10.0
_CHUNK_BYTES = 64 * 1024
_MAX_BYTES = 1024 * 1024
_TICK_SECONDS = 0.1
_MOST_ROUTES = 16
_SCHEMES = ("http://", "https://")
_HEADERS = {
    "User-Agent": f"nublado/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}


class HTTPRequestError(Exception):
    """There was no response, no complete one, or none that is of use.

    The text says why, without URL or headers, which may be secret.
    ``retryable`` is false where another attempt would only take as long,
    ``retry_after`` is how many seconds it has to wait at least. ``speaks_tls``
    is false where what listens does not seem to know TLS.
    """

    def __init__(
        self,
        reason: str,
        *,
        retryable: bool = True,
        retry_after: float = 0.0,
        speaks_tls: bool = True,
    ) -> None:
        super().__init__(reason)
        self.retryable = retryable
        self.speaks_tls = speaks_tls
        self.retry_after = retry_after


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
        deadline: _Deadline,
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
        self._in_flight: set[_Deadline] = set()
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
        deadline = _Deadline(seconds)
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
        deadline = _Deadline(seconds)
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

    def _begin(self, deadline: _Deadline, resources: ExitStack) -> float:
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
        self, request: HTTPRequest, deadline: _Deadline, resources: ExitStack
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
        self, request: HTTPRequest, deadline: _Deadline, left: float
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


class _Deadline:
    """Ends a request, in whatever phase it is, by shutting its socket down.

    Timeouts of sockets start again with each byte that arrives.
    """

    current = threading.local()

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._reason: str | None = None

    def left(self) -> float:
        """Seconds left; negative once it has passed."""
        return self._end - time.monotonic()

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Watch what this thread connects to next, until the end of the block."""
        _KEEPER.keep(self)
        self.current.deadline = self
        try:
            yield
        finally:
            _KEEPER.forget(self)
            self._socket = None

    def watch(self, connected: socket.socket) -> None:
        """Shut a socket down when the time has come."""
        self._socket = connected
        if self._reason is not None:
            self.end(self._reason)

    def end(self, reason: str) -> None:
        """End the request, if it has not ended; its error says why."""
        self._reason = reason
        if self._socket is not None:
            with suppress(OSError):
                # Not that of ssl, which takes the session from who reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Make errors of the libraries ours."""
        try:
            yield
            self._check()
        except (requests.RequestException, HTTPError, OSError, ValueError) as e:
            self._check()
            cause = _innermost(e)
            raise HTTPRequestError(
                _reason(cause),
                retryable=not (
                    isinstance(cause, ReadTimeoutError) or _is_invalid(cause)
                ),
                speaks_tls=not _is_failed_handshake(cause),
            ) from None

    def _check(self) -> None:
        # A body that ends with its connection would seem to be complete.
        if self._reason is not None:
            raise HTTPRequestError(self._reason, retryable=False) from None


class _Keeper:
    """One thread that ends the requests of all clients whose time is up.

    It looks at them a few times in a second, and rests while there are none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: set[_Deadline] = set()
        self._some = threading.Event()
        self._is_started = False

    def keep(self, deadline: _Deadline) -> None:
        """End a request when its time is up."""
        with self._lock:
            self._deadlines.add(deadline)
            if not self._is_started:
                self._is_started = True
                threading.Thread(
                    target=self._run, name="http-deadlines", daemon=True
                ).start()
        self._some.set()

    def forget(self, deadline: _Deadline) -> None:
        """Leave a request alone, which has ended."""
        with self._lock:
            self._deadlines.discard(deadline)

    def _run(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            while pending := self._pending():
                for deadline in pending:
                    if deadline.left() <= 0:
                        deadline.end("response takes too long")
                time.sleep(_TICK_SECONDS)

    def _pending(self) -> list[_Deadline]:
        with self._lock:
            return list(self._deadlines)


_KEEPER = _Keeper()


def _innermost(error: BaseException) -> BaseException:
    """Find the cause of an error: what wraps it quotes the URL."""
    inner = getattr(error, "reason", None)
    if not isinstance(inner, BaseException):
        inner = next((a for a in error.args if isinstance(a, BaseException)), None)
    return error if inner is None else _innermost(inner)


def _is_failed_handshake(cause: BaseException) -> bool:
    """Whether there is no TLS, rather than a certificate that is not trusted."""
    is_tls = isinstance(cause, ssl.SSLError)
    return is_tls and not isinstance(cause, ssl.SSLCertVerificationError)


def _is_invalid(cause: BaseException) -> bool:
    """Whether the request could not even be sent; errors of TLS are values, too."""
    return isinstance(cause, ValueError) and not isinstance(cause, ssl.SSLError)


def _reason(cause: BaseException) -> str:
    """Say why a request failed, without its URL and headers."""
    match cause:
        case ReadTimeoutError():
            return "no response in time"
        case _ if _is_invalid(cause):
            return "URL or header is invalid"
        case requests.RequestException():
            return type(cause).__name__
    text = str(cause)
    if isinstance(cause, HTTPError):
        # Begins with the connection that failed.
        text = text.split(": ", 1)[-1]
    return f"{type(cause).__name__}: {text}"


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
        _Deadline.current.deadline.watch(self.sock)
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
        _Deadline.current.deadline.watch(sock)
        return sock


class _QuickTLSConnection(TLSConnection, _QuickConnection):
    pass


class _QuickPool(Pool):
    ConnectionCls = _QuickConnection


class _QuickTLSPool(TLSPool):
    ConnectionCls = _QuickTLSConnection
