"""Every error becomes JSON of one shape, whatever raised it."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, g, jsonify
from werkzeug.exceptions import HTTPException

from nublado.exceptions import (
    ClientRequestError,
    ServiceUnavailableError,
    ValidationProblemsError,
)
from nublado.handlers.context import alerts
from nublado.models.domain.kubernetes import JSON
from nublado.models.v1.common import dump_error

__all__ = ["problems_of", "register_error_handlers"]

_FRAMEWORK_ERRORS = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "payload_too_large",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}


def register_error_handlers(app: Flask) -> None:
    """Let an application answer errors as the API promises."""
    app.register_error_handler(ClientRequestError, _client_error)
    app.register_error_handler(ValidationProblemsError, _validation_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _internal_error)


def problems_of(error: ClientRequestError | ValidationProblemsError) -> list[JSON]:
    """Tell what is answered to a request that has raised an error."""
    if isinstance(error, ValidationProblemsError):
        return [
            {"type": p.type, "msg": p.message, "loc": list(p.location)}
            for p in error.problems
        ]
    problem: JSON = {"type": error.error, "msg": str(error)}
    if error.location is not None:
        problem["loc"] = list(error.location)
    return [problem]


def _client_error(error: ClientRequestError) -> Response:
    response = _answer(error.status, *problems_of(error))
    if isinstance(error, ServiceUnavailableError):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _validation_error(error: ValidationProblemsError) -> Response:
    return _answer(error.status, *problems_of(error))


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500 and status != HTTPStatus.SERVICE_UNAVAILABLE:
        return _internal_error(error)
    type_ = _FRAMEWORK_ERRORS.get(HTTPStatus(status), "bad_request")
    response = _answer(status, {"type": type_, "msg": HTTPStatus(status).phrase})
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _internal_error(error: Exception) -> Response:
    alerts().report(error, event="Internal error")
    message = f"Internal error, see the log for request {g.request_id}"
    return _answer(500, {"type": "internal_error", "msg": message})


def _answer(status: int, *problems: JSON) -> Response:
    response = jsonify(dump_error(list(problems)))
    response.status_code = status
    return response
