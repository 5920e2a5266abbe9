"""The page on which users watch the start of their lab."""

from __future__ import annotations

import time
from http import HTTPStatus

from flask import Blueprint, Response, request, url_for

from nublado.exceptions import PermissionDeniedError, UnknownUserError
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
from nublado.handlers.page import render_page
from nublado.services.progress import describe_progress, last_deaths

__all__ = ["progress"]

progress = Blueprint("progress", __name__, url_prefix="/spawner/v1")


@progress.get("/labs/<username>/progress")
@describe(
    Caller.USER,
    ResponseSpec("The page", media_type="text/html"),
    errors=[NOT_MINE, UNKNOWN_USER, MISSING_HEADER],
    needs_user=True,
    needs=Needs.LABS,
)
def lab_progress(username: str) -> Response:
    """Show the progress of a spawn or a deletion.

    The page follows the events of the operation. Without JavaScript it shows
    what has happened so far, and reloads itself.
    """
    check_username(username)
    if authenticated_username() != username:
        raise PermissionDeniedError
    labs = process().labs
    try:
        operation = labs.operation(username)
    except UnknownUserError:
        if "text/html" in request.headers.get("Accept", ""):
            return render_page(
                "no-lab.html",
                for_users=True,
                code=HTTPStatus.NOT_FOUND,
                username=username,
            )
        raise
    record = labs.table.get_or_add(username)
    described = describe_progress(operation, record.state, record.lab_path)
    deaths = last_deaths(process().history.of(username))
    base_url = process().environment.external_url
    return render_page(
        "progress.html",
        for_users=True,
        progress=described,
        deaths=deaths,
        username=username,
        now=time.time(),
        events_url=url_for("labs.lab_events", username=username),
        lab_url=described.lab_path and f"{base_url}{described.lab_path}",
        hub_url=described.hub_path and f"{base_url}{described.hub_path}",
    )
