"""The page on which users watch their lab, and cancel its start."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from nublado.exceptions import PermissionDeniedError, UnknownUserError
from nublado.handlers.body import refuse_cross_site
from nublado.handlers.context import (
    authenticated_username,
    check_username,
    process,
)
from nublado.handlers.describe import (
    MISSING_HEADER,
    NOT_MINE,
    UNKNOWN_USER,
    Caller,
    Needs,
    ResponseSpec,
    describe,
)
from nublado.handlers.form_tokens import form_token, sender_of_form
from nublado.handlers.negotiation import VARIES_BY, wants_page
from nublado.handlers.page import render_page, speak_language_of_reader
from nublado.pages.favicon import favicon
from nublado.services.progress.page import Progress

__all__ = ["progress"]

progress = Blueprint("progress", __name__, url_prefix="/spawner/v1")

_OPERATION_FIELD = "operation"
_NO_LAB = "none"


@progress.get("/labs/<username>/progress")
@describe(
    Caller.USER,
    ResponseSpec("The page", media_type="text/html"),
    ResponseSpec(
        "The page says what it said before, as `If-None-Match` has it",
        HTTPStatus.NOT_MODIFIED,
        media_type=None,
    ),
    errors=[NOT_MINE, UNKNOWN_USER, MISSING_HEADER],
    needs_user=True,
    needs=Needs.LABS,
)
def lab_progress(username: str) -> Response:
    """Show the progress of a spawn or a deletion, and what became of the lab.

    The page follows the events of the operation, and the lab after that. Without
    JavaScript it shows what has happened so far, and reloads itself.
    """
    check_username(username)
    if authenticated_username() != username:
        raise PermissionDeniedError
    speak_language_of_reader()
    try:
        shown = process().progress.describe(username)
    except UnknownUserError:
        if wants_page():
            return _no_lab(username)
        raise
    version = _version(shown.version)
    if request.if_none_match.contains(version):
        return _unchanged(version)
    return _page(shown, username, version)


@progress.post("/labs/<username>/cancel")
@describe(
    Caller.USER,
    ResponseSpec(
        "It is being cancelled, or is over; back to the page",
        HTTPStatus.SEE_OTHER,
        media_type="text/html",
    ),
    errors=[NOT_MINE, MISSING_HEADER],
    needs_user=True,
    needs=Needs.LABS,
    is_form=True,
)
def cancel_spawn(username: str) -> BaseResponse:
    """Cancel the start of the caller's own lab.

    The form names the start that it is about: a page of long ago deletes no lab
    that runs by now.
    """
    refuse_cross_site()
    check_username(username)
    if sender_of_form() != username:
        raise PermissionDeniedError
    process().labs.cancel(username, request.form.get(_OPERATION_FIELD, ""))
    back = url_for("progress.lab_progress", username=username)
    return redirect(back, HTTPStatus.SEE_OTHER)


def _page(shown: Progress, username: str, version: str) -> Response:
    context = process()
    base_url = context.environment.external_url
    response = render_page(
        "progress.html",
        forms=True,
        embeddable=True,
        for_users=True,
        progress=shown,
        username=username,
        version=version,
        icon=favicon(shown.phase),
        limit=context.config.lab.spawn_timeout,
        token=form_token() if shown.can_cancel else "",
        cancel_url=url_for("progress.cancel_spawn", username=username),
        events_url=url_for("labs.lab_events", username=username),
        lab_url=shown.lab_path and f"{base_url}{shown.lab_path}",
        hub_url=shown.hub_path and f"{base_url}{shown.hub_path}",
    )
    response.set_etag(version)
    return response


def _no_lab(username: str) -> Response:
    version = _version(_NO_LAB)
    if request.if_none_match.contains(version):
        return _unchanged(version)
    response = render_page(
        "no-lab.html",
        code=HTTPStatus.NOT_FOUND,
        embeddable=True,
        for_users=True,
        username=username,
        version=version,
        icon=favicon(_NO_LAB),
    )
    response.vary.add(VARIES_BY)
    response.set_etag(version)
    return response


def _version(content: str) -> str:
    """Identify what a page says, notices of operators included."""
    notices = hash(repr(process().notices.current)) & 0xFFFFFFFF
    return f"{content}-{notices:x}-{g.language.name}"


def _unchanged(version: str) -> Response:
    response = Response(status=HTTPStatus.NOT_MODIFIED)
    response.set_etag(version)
    return response
