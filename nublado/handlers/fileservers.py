"""Routes of file servers, and the page from which users start theirs."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

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
from nublado.handlers.form_tokens import form_token, sender_of_form
from nublado.handlers.negotiation import VARIES_BY, wants_page
from nublado.handlers.page import render_page
from nublado.models.v1.common import FileserverStatusSchema
from nublado.services.fileserver.progress import FilesPhase
from nublado.services.fileserver.service import FileserverService
from nublado.units import seconds_to_text

__all__ = ["files", "fileservers"]

fileservers = Blueprint("fileservers", __name__, url_prefix="/fileserver/v1")
files = Blueprint("files", __name__)

_AGAIN = "/_again"
"""Where the button of the page sends its form; no user can have such a name."""

_FOLLOW = "follow"
"""Parameter of a request that only looks; a page that reloads itself starts nothing."""

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
    """Start the caller's file server, and explain how to use it.

    Whoever prefers HTML to JSON gets a page at once, which follows the start and
    then explains; with `follow` it starts nothing. Others wait for the start.
    """
    refuse_cross_site(unless_navigation=True)
    service = _service()
    user = authenticated_user()
    is_followed = _FOLLOW in request.args
    if not wants_page():
        service.create(user.info)
    elif not is_followed:
        service.begin(user.info)
    return _page(service, user.username, is_followed=is_followed)


@files.post(_AGAIN)
@describe(
    Caller.USER,
    ResponseSpec("Begun; to the page", HTTPStatus.SEE_OTHER, media_type="text/html"),
    needs=Needs.FILESERVERS,
    is_form=True,
)
def start_again() -> BaseResponse:
    """Start a file server that has failed or stopped."""
    sender_of_form()
    _service().begin(authenticated_user().info, again=True)
    return redirect(_follow_url(), HTTPStatus.SEE_OTHER)


def _page(service: FileserverService, username: str, *, is_followed: bool) -> Response:
    """Show how far a file server is, or how to use it."""
    progress = service.progress(username)
    config = process().config.fileserver
    assert config is not None  # noqa: S101
    # A page that waits for the end of the last one, to start another, says so again.
    is_begun = is_followed or progress.phase is FilesPhase.STARTING
    failed = progress.phase is FilesPhase.FAILED
    response = render_page(
        "files.html",
        code=HTTPStatus.INTERNAL_SERVER_ERROR if failed else HTTPStatus.OK,
        for_users=True,
        forms=True,
        progress=progress,
        username=username,
        url=service.url(username),
        tokens_url=f"{process().environment.external_url}/auth/tokens",
        next_url=_follow_url() if is_begun else url_for("files.landing"),
        own_url=url_for("files.landing"),
        again_url=url_for("files.start_again"),
        token=form_token(),
        longest=config.creation_timeout,
        idle=seconds_to_text(config.idle_timeout),
    )
    response.vary.add(VARIES_BY)
    return response


def _follow_url() -> str:
    return f"{url_for('files.landing')}?{_FOLLOW}"


def _service() -> FileserverService:
    service = process().fileservers
    if service is None:
        raise NotSupportedError
    return service
