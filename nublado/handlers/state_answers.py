"""The state of a lab, answered without the framework.

JupyterHub asks for it more often than everything else together is asked for. What
the framework does for every request takes ten times as long as the answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from flask import Flask, Response

from nublado.context import ProcessContext
from nublado.handlers.requests import COMMON_HEADERS, WSGIApplication, request_id
from nublado.metrics import REQUEST_SECONDS
from nublado.models.domain.lab import LabState
from nublado.models.v1.lab import dump_lab_state
from nublado.startup import Part

__all__ = ["StateAnswers"]


class StateAnswers:
    """Answers ``GET /labs/USER`` where there is such a lab.

    Anything else goes to the application, and so does everything while each request is
    logged, or before the state of labs is known. What it answers is exactly what the
    application would.

    Parameters
    ----------
    app
        The application, which has the route.
    wsgi_app
        What answers everything else.
    context
        Long-lived objects of the process.
    prefix
        Path of all labs, with the slash at its end.
    """

    def __init__(
        self,
        app: Flask,
        wsgi_app: WSGIApplication,
        context: ProcessContext,
        prefix: str,
    ) -> None:
        self._app = app
        self._wsgi_app = wsgi_app
        self._context = context
        self._prefix = prefix
        self._bodies: dict[str, tuple[LabState, bytes]] = {}
        self._seconds = REQUEST_SECONDS.labels("GET", f"{prefix}<username>", 200)
        self._logger = logging.getLogger("nublado.handlers.requests")

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        began = time.monotonic()
        body = self._body(environ)
        if body is None:
            return self._wsgi_app(environ, start_response)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("X-Request-ID", request_id(environ.get("HTTP_X_REQUEST_ID", ""))),
            *COMMON_HEADERS,
        ]
        start_response("200 OK", headers)
        self._seconds.observe(time.monotonic() - began)
        return [body]

    def _body(self, environ: dict[str, Any]) -> bytes | None:
        """The answer; None if it is left to the application."""
        path = environ["PATH_INFO"]
        if (
            not path.startswith(self._prefix)
            or environ["REQUEST_METHOD"] != "GET"
            or self._logger.isEnabledFor(logging.DEBUG)
            or not self._context.wait_up(Part.LABS, 0.0)
        ):
            return None
        username = path[len(self._prefix) :]
        state = self._context.labs.table.state(username)
        if state is None:
            self._bodies.pop(username, None)
            return None
        return self._rendered(state)

    def _rendered(self, state: LabState) -> bytes:
        """A state as JSON, made once for each."""
        username = state.user.username
        known, body = self._bodies.get(username, (None, b""))
        if known is not state:
            response = self._app.json.response(dump_lab_state(state))
            body = cast("Response", response).get_data()
            self._bodies[username] = state, body
        return body
