"""Routes of file servers, and the page from which users start theirs."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify

from nublado.exceptions import (
    CrossSiteError,
    FileserverCreationError,
    FileserverDeletionError,
    InvalidTokenError,
    NotSupportedError,
    UnknownUserError,
)
from nublado.handlers.body import refuse_cross_site
from nublado.handlers.context import (
    authenticated_user,
    authenticated_username,
    check_username,
    process,
)
from nublado.handlers.describe import (
    MISSING_HEADER,
    NOT_MINE,
    UNKNOWN_USER,
    USERNAMES,
    Caller,
    Needs,
    ResponseSpec,
    describe,
)
from nublado.handlers.page import render_page
from nublado.models.v1.common import FileserverStatusSchema
from nublado.services.fileserver.service import FileserverService
from nublado.units import seconds_to_text

__all__ = ["files", "fileservers"]

fileservers = Blueprint("fileservers", __name__, url_prefix="/fileserver/v1")
files = Blueprint("files", __name__)


_RUNNING = ResponseSpec(
    "It is running", schema=FileserverStatusSchema, example={"running": True}
)


@fileservers.get("/users")
@describe(
    Caller.ADMIN,
    ResponseSpec("Usernames", schema=USERNAMES, example=["rachel"]),
    errors=[NotSupportedError()],
    needs=Needs.FILESERVERS,
)
def list_fileservers() -> Response:
    """Usernames of those whose file server is running."""
    return jsonify(_service().running())


@fileservers.get("/users/<username>")
@describe(
    Caller.ADMIN,
    _RUNNING,
    errors=[UNKNOWN_USER, NotSupportedError()],
    needs=Needs.FILESERVERS,
)
def get_fileserver(username: str) -> Response:
    """Whether a user's file server is running."""
    service = _service()
    check_username(username)
    if not service.is_running(username):
        raise UnknownUserError(username)
    return jsonify(FileserverStatusSchema().dump({"running": True}))


@fileservers.delete("/users/<username>")
@describe(
    Caller.ADMIN,
    ResponseSpec("It is gone", HTTPStatus.NO_CONTENT, media_type=None),
    errors=[
        UNKNOWN_USER,
        NotSupportedError(),
        FileserverDeletionError("Error deleting object"),
    ],
    needs=Needs.FILESERVERS,
)
def delete_fileserver(username: str) -> Response:
    """Delete a file server, and respond once it is gone."""
    service = _service()
    check_username(username)
    service.delete(username)
    return Response(status=204)


@fileservers.get("/user-status")
@describe(
    Caller.USER,
    _RUNNING,
    errors=[UNKNOWN_USER, NotSupportedError(), MISSING_HEADER],
    needs_user=True,
    needs=Needs.FILESERVERS,
)
def fileserver_user_status() -> Response:
    """Whether the caller's own file server is running."""
    service = _service()
    username = authenticated_username()
    if not service.is_running(username):
        raise UnknownUserError(username)
    return jsonify(FileserverStatusSchema().dump({"running": True}))


@files.get("")
@describe(
    Caller.USER,
    ResponseSpec("The page that explains it", media_type="text/html"),
    errors=[
        InvalidTokenError(),
        NOT_MINE,
        CrossSiteError(),
        NotSupportedError(),
        MISSING_HEADER,
        FileserverCreationError("File server did not start"),
    ],
    needs_user=True,
    needs_token=True,
    needs=Needs.FILESERVERS,
)
@files.get("/<path:_path>")
def landing(_path: str = "") -> Response:
    """Start the caller's file server, and explain how to use it."""
    refuse_cross_site(unless_navigation=True)
    service = _service()
    user = authenticated_user()
    service.create(user.info)
    config = process().config.fileserver
    assert config is not None  # noqa: S101
    return render_page(
        "files.html",
        for_users=True,
        username=user.username,
        url=service.url(user.username),
        tokens_url=f"{process().environment.external_url}/auth/tokens",
        idle=seconds_to_text(config.idle_timeout),
    )


def _service() -> FileserverService:
    service = process().fileservers
    if service is None:
        raise NotSupportedError
    return service
