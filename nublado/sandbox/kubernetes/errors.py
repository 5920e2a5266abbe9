"""Errors of the API server, worded as Kubernetes words them.

References
----------
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.resources import Kind

__all__ = [
    "ApiError",
    "already_exists",
    "bad_request",
    "conflict",
    "expired",
    "forbidden",
    "invalid",
    "not_found",
    "too_large_version",
]


class ApiError(Exception):
    """A request that the API server refuses.

    Parameters
    ----------
    code
        HTTP status.
    reason
        Machine-readable reason; empty if there is none.
    message
        Text for people.
    details
        What it is about.
    headers
        Further headers of the answer.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: JSON | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details
        self.headers = headers or {}

    def status(self) -> JSON:
        """Kubernetes ``Status`` object of the error."""
        status: JSON = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "code": self.code,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return status


def _details(kind: Kind, name: str, **more: object) -> JSON:
    details: JSON = {"name": name, "kind": kind.plural, **more}
    if kind.group:
        details["group"] = kind.group
    return details


def not_found(kind: Kind, name: str) -> ApiError:
    """No object of this name (404)."""
    message = f'{kind.qualified} "{name}" not found'
    return ApiError(404, "NotFound", message, _details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    """An object of this name exists (409)."""
    message = f'{kind.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> ApiError:
    """The object is not what the client thinks it is (409)."""
    message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def forbidden(
    kind: Kind, name: str, why: str, causes: list[JSON] | None = None
) -> ApiError:
    """Admission refuses the object (403)."""
    message = f'{kind.qualified} "{name}" is forbidden: {why}'
    more = {"causes": causes} if causes else {}
    return ApiError(403, "Forbidden", message, _details(kind, name, **more))


def invalid(kind: Kind, name: str, problems: list[tuple[str, str]]) -> ApiError:
    """Fields of the object do not validate (422); pairs of field and reason."""
    texts = [f"{field}: {why}" for field, why in problems]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    causes = [
        {"reason": _cause(why), "message": why, "field": field}
        for field, why in problems
    ]
    suffix = f".{kind.group}" if kind.group else ""
    message = f'{kind.kind}{suffix} "{name}" is invalid: {text}'
    # The one error whose details name the kind rather than the resource.
    details = _details(kind, name, causes=causes) | {"kind": kind.kind}
    return ApiError(422, "Invalid", message, details)


def _cause(why: str) -> str:
    causes = {
        "Duplicate value": "FieldValueDuplicate",
        "Forbidden": "FieldValueForbidden",
        "Not found": "FieldValueNotFound",
        "Required value": "FieldValueRequired",
        "Too long": "FieldValueTooLong",
        "Unsupported value": "FieldValueNotSupported",
    }
    return causes.get(why.partition(":")[0], "FieldValueInvalid")


def bad_request(message: str) -> ApiError:
    """The request makes no sense (400)."""
    return ApiError(400, "BadRequest", message)


def expired(message: str) -> ApiError:
    """The version asked for is no longer kept (410)."""
    return ApiError(410, "Expired", message)


def too_large_version(asked: int, current: int) -> ApiError:
    """The version asked for is not there yet (504)."""
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    causes = [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]
    details = {"causes": causes, "retryAfterSeconds": 1}
    return ApiError(504, "Timeout", message, details, {"Retry-After": "1"})
