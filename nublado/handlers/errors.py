"""Every error becomes JSON of one shape, whatever raised it."""

from __future__ import annotations

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


def register_error_handlers(app: Flask) -> None:
    """Turn errors of an application into the responses that the API promises."""
    app.register_error_handler(ClientRequestError, _request_error)
    app.register_error_handler(ValidationProblemsError, _request_error)
    app.register_error_handler(GafaelfawrUnavailableError, _login_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _internal_error)


def _request_error(error: RequestError) -> Response:
    problems = problems_of(error, request.view_args or {})
    response = _error_response(error.status, *problems)
    if isinstance(error, ServiceUnavailableError):
        response.headers["Retry-After"] = str(error.retry_after)
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
    response = _error_response(status, framework_problem(HTTPStatus(status)))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _internal_error(error: Exception) -> Response:
    if process().stopping:
        return _cut_off(error)
    alerts().report(error, event="Internal error")
    return _error_response(500, internal_problem(g.request_id))


def _cut_off(error: Exception) -> Response:
    """A process that stops closes what its last requests are talking to."""
    kind = type(error).__name__
    structlog.get_logger(__name__).info("Stop cut off request", kind=kind)
    return _request_error(stopping())


def _error_response(status: int, *problems: JSON) -> Response:
    response = jsonify(dump_error(list(problems)))
    response.status_code = status
    return response
