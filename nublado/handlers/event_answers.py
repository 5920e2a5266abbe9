"""The events of a lab, handed over to the writer of streams without the framework.

In a surge, or when all browsers come back after a restart, streams are opened by the
hundred. What the framework does for each takes several times as long as the rest.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from structlog.contextvars import bound_contextvars

from nublado.constants import USERNAME_PATTERN
from nublado.context import ProcessContext
from nublado.handlers.requests import (
    COMMON_HEADERS,
    WSGIApplication,
    log_request,
    request_id,
)
from nublado.handlers.stream import HANDED_OVER, STREAM_HEADERS, source_of
from nublado.metrics import REQUEST_SECONDS
from nublado.services.streams import Stream
from nublado.startup import Part

__all__ = ["EventAnswers"]

_END = "/events"


class EventAnswers:
    """Opens the stream of ``GET /labs/USER/events`` where there is one to open.

    Anything else goes to the application: refusals, and what is over. What it answers
    is exactly what the application would.

    Parameters
    ----------
    wsgi_app
        What answers everything else.
    context
        Long-lived objects of the process.
    prefix
        Path of all labs, with the slash at its end.
    """

    def __init__(
        self, wsgi_app: WSGIApplication, context: ProcessContext, prefix: str
    ) -> None:
        self._wsgi_app = wsgi_app
        self._context = context
        self._prefix = prefix
        self._seconds = REQUEST_SECONDS.labels("GET", f"{prefix}<username>{_END}", 200)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        began = time.monotonic()
        stream = self._stream(environ)
        if stream is None:
            return self._wsgi_app(environ, start_response)
        environ[HANDED_OVER] = stream
        name = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        headers = [*STREAM_HEADERS.items(), ("X-Request-ID", name)]
        headers += [item for item in COMMON_HEADERS if item[0] not in STREAM_HEADERS]
        start_response("200 OK", headers)
        seconds = time.monotonic() - began
        self._seconds.observe(seconds)
        with bound_contextvars(request_id=name):
            log_request(
                logging.INFO,
                method="GET",
                path=environ["PATH_INFO"],
                status=200,
                seconds=seconds,
                user=stream.owner,
                remote=environ.get("REMOTE_ADDR"),
            )
        return ()

    def _stream(self, environ: dict[str, Any]) -> Stream | None:
        """A stream that has its place among others; None if there is none to open."""
        path = environ["PATH_INFO"]
        username = environ.get("HTTP_X_AUTH_REQUEST_USER", "")
        if (
            path != f"{self._prefix}{username}{_END}"
            or environ["REQUEST_METHOD"] != "GET"
            or "HTTP_UPGRADE" in environ
            or not USERNAME_PATTERN.fullmatch(username)
            or self._context.stopping
            or not self._context.wait_up(Part.LABS, 0.0)
        ):
            return None
        record = self._context.labs.table.get(username)
        if record is None or record.newest is None:
            return None
        source = source_of(record.newest.events, environ.get("HTTP_LAST_EVENT_ID", ""))
        if source is None or not self._context.streams.admit(username):
            return None
        return Stream(source, username)
