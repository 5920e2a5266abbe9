"""Plain HTTP requests to services that are asked with a secret.

There are no cookies, which would mix up users, no proxies or credentials from
the environment, and no redirects, which would carry the secret elsewhere.
Certificates are checked against those that the system trusts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import (
    EmptyPoolError,
    HTTPError,
    LocationValueError,
    ReadTimeoutError,
)

from nublado import __version__

__all__ = ["HTTPClient", "HTTPRequestError", "HTTPResponse"]

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 10.0
_CHUNK_BYTES = 64 * 1024
_MAX_ANSWER_BYTES = 1024 * 1024


class HTTPRequestError(Exception):
    """There was no answer, or no complete one.

    The text says why, without the URL. ``lasting`` tells that another attempt
    would only take as long.
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HTTPClient:
    """Connections to outside services, shared by all threads.

    Parameters
    ----------
    pool_size
        How many requests to one host may be in flight; those beyond it wait.
    """

    def __init__(self, pool_size: int) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=pool_size,
            block=True,
            retries=False,
            headers={"User-Agent": f"nublado/{__version__}"},
        )

    def close(self) -> None:
        """Close all connections that are not in use."""
        for host in self._pool.pools.keys():  # noqa: SIM118, refuses to be iterated
            self._pool.pools[host].close()
        self._pool.clear()

    def request(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> HTTPResponse:
        """Send one request and read the whole answer.

        Parameters
        ----------
        method, url, headers, body
            The request.
        seconds
            How long the wait for a connection and the answer may take. An
            answer that has begun to come by then is given up 15 s later at
            the latest.

        Raises
        ------
        HTTPRequestError
            Raised if there is no complete answer.
        """
        if seconds <= 0:
            raise HTTPRequestError("no time left", lasting=True)
        deadline = time.monotonic() + seconds
        try:
            response = self._pool.request(
                method,
                url,
                headers={**self._pool.headers, **(headers or {})},
                body=body,
                redirect=False,
                preload_content=False,
                pool_timeout=seconds,
                timeout=urllib3.Timeout(
                    connect=min(_CONNECT_SECONDS, seconds),
                    read=min(_READ_SECONDS, seconds),
                ),
            )
            try:
                answer = _read(response, deadline)
            finally:
                # Closing an answer that was read to its end keeps the
                # connection; the place in the pool is given back either way.
                response.close()
                response.release_conn()
        except (HTTPError, OSError) as e:
            lasting = isinstance(e, EmptyPoolError | ReadTimeoutError)
            raise HTTPRequestError(_reason(e), lasting=lasting) from None
        return HTTPResponse(response.status, response.headers, answer)


def _read(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    data = bytearray()
    while chunk := response.read1(_CHUNK_BYTES):
        data += chunk
        if len(data) > _MAX_ANSWER_BYTES:
            raise HTTPRequestError("answer is too long", lasting=True)
        if time.monotonic() > deadline:
            raise HTTPRequestError("answer takes too long", lasting=True)
    return bytes(data)


def _reason(error: Exception) -> str:
    """Say why a request failed, without the URL, which may be a secret."""
    match error:
        case EmptyPoolError():
            return "no free connection"
        case ReadTimeoutError():
            return "no answer in time"
        case LocationValueError():
            return "URL is invalid"
    return f"{type(error).__name__}: {str(error).split(': ', 1)[-1]}"
