"""Every error becomes JSON of one shape, or a page for whoever prefers one."""

from __future__ import annotations

import random
from http import HTTPStatus

import structlog
from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from nublado.exceptions import (
    ClientRequestError,
    GafaelfawrUnavailableError,
    ServiceUnavailableError,
    ValidationProblemsError,
)
from nublado.handlers.context import alerts, process
from nublado.handlers.error_words import ErrorWords, words_of, words_of_status
from nublado.handlers.negotiation import VARIES_BY, wants_page
from nublado.handlers.page import render_page
from nublado.handlers.problems import (
    RequestError,
    framework_problem,
    internal_problem,
    login_unavailable,
    problems_of,
    stopping,
)
from nublado.models.domain.kubernetes import JSON
from nublado.models.v1.common import dump_error

__all__ = ["register_error_handlers"]

_LEAST_RELOAD_SECONDS = 5
_RELOAD_SPREAD_SECONDS = 4
"""So that not all who wait for the same thing come back at the same moment."""


def register_error_handlers(app: Flask) -> None:
    """Turn errors of an application into the responses that the API promises."""
    app.register_error_handler(ClientRequestError, _request_error)
    app.register_error_handler(ValidationProblemsError, _request_error)
    app.register_error_handler(GafaelfawrUnavailableError, _login_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _internal_error)


def _request_error(error: RequestError) -> Response:
    arguments = request.view_args or {}
    words = words_of(
        error,
        user=request.headers.get("X-Auth-Request-User"),
        owner=arguments.get("username"),
    )
    retry_after = (
        error.retry_after if isinstance(error, ServiceUnavailableError) else None
    )
    response = _error_response(
        error.status, problems_of(error, arguments), words, retry_after
    )
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _login_error(error: GafaelfawrUnavailableError) -> Response:
    """Every request of every user ends like this while it is away."""
    if process().stopping:
        return _cut_off(error)
    structlog.get_logger(__name__).warning("Cannot authenticate user", error=str(error))
    return _request_error(login_unavailable())


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500 and status != HTTPStatus.SERVICE_UNAVAILABLE:
        return _internal_error(error)
    problem = framework_problem(HTTPStatus(status))
    response = _error_response(status, [problem], words_of_status(status))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _internal_error(error: Exception) -> Response:
    if process().stopping:
        return _cut_off(error)
    alerts().report(error, event="Internal error")
    return _error_response(500, [internal_problem(g.request_id)], words_of_status(500))


def _cut_off(error: Exception) -> Response:
    """A process that stops closes what its last requests are talking to."""
    kind = type(error).__name__
    structlog.get_logger(__name__).info("Stop cut off request", kind=kind)
    return _request_error(stopping())


def _error_response(
    status: int,
    problems: list[JSON],
    words: ErrorWords,
    retry_after: int | None = None,
) -> Response:
    """Make the response: here alone is decided whether it is a page.

    Parameters
    ----------
    status
        HTTP status.
    problems
        The error as the API describes it.
    words
        The error as a page tells it.
    retry_after
        After how many seconds another attempt may succeed; None if none will.
    """
    page = _page(status, problems, words, retry_after) if wants_page() else None
    response = page or jsonify(dump_error(problems))
    response.status_code = status
    response.vary.add(VARIES_BY)
    return response


def _page(
    status: int, problems: list[JSON], words: ErrorWords, retry_after: int | None
) -> Response | None:
    """Make the page; None if that fails, since it may be what has failed before."""
    try:
        return _render(status, problems, words, retry_after)
    except Exception as e:  # noqa: BLE001
        alerts().report(e, event="Cannot show error on a page")
        return None


def _render(
    status: int, problems: list[JSON], words: ErrorWords, retry_after: int | None
) -> Response:
    is_safe = request.method in ("GET", "HEAD")
    return render_page(
        "error.html",
        code=HTTPStatus(status),
        for_users=True,
        words=words,
        problems=problems,
        request_id=g.request_id,
        home_url=f"{process().environment.external_url}/",
        retry_after=retry_after,
        reload_seconds=_reload_seconds(retry_after) if is_safe else None,
    )


def _reload_seconds(retry_after: int | None) -> int | None:
    if retry_after is None:
        return None
    spread = random.randrange(_RELOAD_SPREAD_SECONDS)  # noqa: S311
    return max(_LEAST_RELOAD_SECONDS, retry_after) + spread
