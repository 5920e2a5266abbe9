"""Errors in the words of the API, for responses and for its description."""

from __future__ import annotations

from collections.abc import Container
from http import HTTPStatus

from nublado.exceptions import (
    ClientRequestError,
    LoginUnavailableError,
    ServiceStartingError,
    ServiceStoppingError,
    ServiceUnavailableError,
    UnknownUserError,
    ValidationProblem,
    ValidationProblemsError,
)
from nublado.models.domain.kubernetes import JSON

__all__ = [
    "RequestError",
    "framework_problem",
    "internal_problem",
    "login_unavailable",
    "malformed_body",
    "missing_headers",
    "problems_of",
    "starting",
    "stopping",
]

RequestError = ClientRequestError | ValidationProblemsError

_IN_PATH = ("path", "username")
_FRAMEWORK_ERRORS = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "payload_too_large",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}


def problems_of(error: RequestError, route_arguments: Container[str]) -> list[JSON]:
    """Describe an error as the body of its response does.

    Parameters
    ----------
    error
        The error.
    route_arguments
        Names of the parameters in the route's path: where the path names the
        user, an unknown user is located there.
    """
    if isinstance(error, ValidationProblemsError):
        return [
            {"type": p.type, "msg": p.message, "loc": list(p.location)}
            for p in error.problems
        ]
    problem: JSON = {"type": error.error, "msg": str(error)}
    if isinstance(error, UnknownUserError) and _IN_PATH[-1] in route_arguments:
        problem["loc"] = list(_IN_PATH)
    elif error.location is not None:
        problem["loc"] = list(error.location)
    return [problem]


def framework_problem(status: HTTPStatus) -> JSON:
    """Describe an error that Flask found before any handler."""
    type_ = _FRAMEWORK_ERRORS.get(status, "bad_request")
    return {"type": type_, "msg": status.phrase}


def internal_problem(request_id: str) -> JSON:
    """Describe an error whose details are only in the log."""
    message = f"Internal error, see the log for request {request_id}"
    return {"type": "internal_error", "msg": message}


def starting(reason: str) -> ServiceUnavailableError:
    """Error of a request that came before what it needs was up."""
    return ServiceStartingError(reason)


def login_unavailable() -> ServiceUnavailableError:
    """Error of a request whose user cannot be looked up."""
    return LoginUnavailableError()


def stopping() -> ServiceUnavailableError:
    """Error of a request that came too late."""
    return ServiceStoppingError()


def missing_headers(*names: str) -> ValidationProblemsError:
    """Error of headers that the ingress should have set."""
    return ValidationProblemsError(
        [
            ValidationProblem("missing", "Header is required", ("header", name))
            for name in names
        ]
    )


def malformed_body(message: str = "Body is not valid JSON") -> ValidationProblemsError:
    """Error of a body that cannot be decoded."""
    problem = ValidationProblem("json_invalid", message, ("body",))
    return ValidationProblemsError([problem])
