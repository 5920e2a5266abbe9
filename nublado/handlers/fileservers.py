"""Routes of file servers, and the page from which users start theirs."""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, jsonify, render_template

from nublado.exceptions import NotSupportedError, UnknownUserError
from nublado.handlers.context import (
    authenticated_user,
    authenticated_username,
    check_username,
    process,
)
from nublado.services.fileserver import FileserverManager
from nublado.units import seconds_to_text

__all__ = ["files", "fileservers"]

fileservers = Blueprint("fileservers", __name__, url_prefix="/fileserver/v1")
files = Blueprint("files", __name__)


@fileservers.get("/users")
def list_fileservers() -> Response:
    """Usernames of those whose file server is running."""
    return jsonify(_manager().running())


@fileservers.get("/users/<username>")
def get_fileserver(username: str) -> Response:
    """Whether a user's file server is running."""
    manager = _manager()
    check_username(username)
    if not manager.is_running(username):
        raise UnknownUserError(username, ("path", "username"))
    return jsonify({"running": True})


@fileservers.delete("/users/<username>")
def delete_fileserver(username: str) -> Response:
    """Delete a file server, and answer once it is gone."""
    manager = _manager()
    check_username(username)
    try:
        manager.delete(username)
    except UnknownUserError as e:
        raise UnknownUserError(username, ("path", "username")) from e
    return Response(status=204)


@fileservers.get("/user-status")
def user_status() -> Response:
    """Whether the caller's own file server is running."""
    manager = _manager()
    username = authenticated_username()
    if not manager.is_running(username):
        raise UnknownUserError(username)
    return jsonify({"running": True})


@files.get("")
@files.get("/<path:_path>")
def landing(_path: str = "") -> Response:
    """Start the caller's file server, and explain how to use it."""
    manager = _manager()
    user = authenticated_user()
    manager.create(user.info)
    nonce = secrets.token_urlsafe(16)
    config = process().config.fileserver
    assert config is not None  # noqa: S101
    page = render_template(
        "files.html",
        username=user.username,
        url=manager.url(user.username),
        tokens_url=f"{process().environment.external_url}/auth/tokens",
        idle=seconds_to_text(config.idle_timeout),
        nonce=nonce,
    )
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'"
    )
    return response


def _manager() -> FileserverManager:
    manager = process().fileservers
    if manager is None:
        raise NotSupportedError
    return manager
