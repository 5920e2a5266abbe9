"""How long a request to another service may take, and why it has failed."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

__all__ = ["Deadline", "HTTPRequestError"]

_TICK_SECONDS = 0.1


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


class Deadline:
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
        self._deadlines: set[Deadline] = set()
        self._some = threading.Event()
        self._is_started = False

    def keep(self, deadline: Deadline) -> None:
        """End a request when its time is up."""
        with self._lock:
            self._deadlines.add(deadline)
            if not self._is_started:
                self._is_started = True
                threading.Thread(
                    target=self._run, name="http-deadlines", daemon=True
                ).start()
        self._some.set()

    def forget(self, deadline: Deadline) -> None:
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

    def _pending(self) -> list[Deadline]:
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
