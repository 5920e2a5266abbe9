"""What handlers need of the process and of the request."""

from __future__ import annotations

from typing import cast

from flask import current_app, request

from nublado.constants import USERNAME_PATTERN
from nublado.context import ProcessContext
from nublado.exceptions import PermissionDeniedError, UnknownUserError
from nublado.handlers.problems import missing_headers
from nublado.models.domain.gafaelfawr import GafaelfawrUser
from nublado.services.alerts import Alerts

__all__ = [
    "alerts",
    "authenticated_user",
    "authenticated_username",
    "check_username",
    "process",
]

_USER_HEADER = "x-auth-request-user"
_TOKEN_HEADER = "x-auth-request-token"  # noqa: S105


def process() -> ProcessContext:
    """All long-lived objects of the process."""
    return cast("ProcessContext", current_app.extensions["nublado"])


def alerts() -> Alerts:
    """Where failures are reported."""
    return process().alerts


def authenticated_username() -> str:
    """Username that the ingress has authenticated.

    Raises
    ------
    ValidationProblemsError
        Raised if the header is missing or malformed.
    """
    return _header(_USER_HEADER)


def authenticated_user(username: str | None = None) -> GafaelfawrUser:
    """User on whose behalf the request is made, as Gafaelfawr knows them.

    Parameters
    ----------
    username
        User on whom the request acts. None if that follows from the request,
        or is checked later.

    Raises
    ------
    InvalidTokenError
        Raised if Gafaelfawr does not accept the token.
    PermissionDeniedError
        Raised if the token is that of another user, the request acts on
        another user, or nobody may have this name.
    ValidationProblemsError
        Raised if a header is missing.
    GafaelfawrError
        Raised if Gafaelfawr fails.
    """
    claimed, token = _headers(_USER_HEADER, _TOKEN_HEADER)
    info = process().gafaelfawr.user_info(token)
    if info.username != claimed or not USERNAME_PATTERN.fullmatch(claimed):
        raise PermissionDeniedError
    if username is not None and username != claimed:
        raise PermissionDeniedError
    return GafaelfawrUser(info, token)


def check_username(username: str) -> None:
    """Check a username in a path by which something is read or deleted.

    JupyterHub may ask for any name.

    Raises
    ------
    UnknownUserError
        Raised if nobody can have this name.
    """
    if not USERNAME_PATTERN.fullmatch(username):
        raise UnknownUserError(username)


def _header(name: str) -> str:
    (value,) = _headers(name)
    return value


def _headers(*names: str) -> list[str]:
    missing = [name for name in names if not request.headers.get(name)]
    if missing:
        raise missing_headers(*missing)
    return [request.headers[name] for name in names]
