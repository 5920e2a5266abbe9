"""The page on which operators see the state of the service, and its JSON."""

from __future__ import annotations

from typing import cast

from flask import Blueprint, Response, current_app, jsonify, request, url_for

from nublado.handlers.context import check_username, process
from nublado.handlers.describe import (
    UNKNOWN_USER,
    Caller,
    ResponseSpec,
    describe,
    server_sent_events,
)
from nublado.handlers.form_tokens import form_token
from nublado.handlers.lab_filter import LabFilter
from nublado.handlers.page import render_page
from nublado.handlers.status_feed import (
    SECTIONS,
    StatusFeed,
    StatusSource,
    shown_status,
)
from nublado.handlers.stream import open_stream
from nublado.models.v1.history import HistorySchema, dump_history
from nublado.models.v1.status import ServiceStatusSchema, dump_status

__all__ = ["admin"]

admin = Blueprint("admin", __name__, url_prefix="/admin")


@admin.get("/v1/status")
@describe(Caller.ADMIN, ResponseSpec("The state", schema=ServiceStatusSchema))
def status() -> Response:
    """State of the service: labs, operations, prepulls, jobs, failures."""
    return jsonify(dump_status(process().status.status()))


@admin.get("/v1/history/<username>")
@describe(
    Caller.ADMIN,
    ResponseSpec("The history", schema=HistorySchema),
    errors=[UNKNOWN_USER],
)
def history(username: str) -> Response:
    """What was done for a user lately, and what happened to their lab."""
    check_username(username)
    return jsonify(dump_history(username, process().history.of(username)))


@admin.get("")
@describe(Caller.ADMIN, ResponseSpec("The page", media_type="text/html"))
def status_page() -> Response:
    """Show the state of the service to operators."""
    wanted = LabFilter.of(request.args)
    status = shown_status(process())
    status["labs"] = [lab for lab in status["labs"] if wanted.matches(lab)]
    return render_page(
        "admin.html",
        forms=True,
        sections=SECTIONS,
        status=status,
        filter=wanted,
        token=form_token(),
        done=request.args.get("done"),
        runbook_url=status["runbook_url"],
        events_url=url_for("admin.status_events"),
    )


@admin.get("/v1/events")
@describe(
    Caller.ADMIN,
    ResponseSpec(
        "Server-sent events. Each has the name of a section of the page, and JSON"
        " with its `html`.",
        media_type="text/event-stream",
        schema=server_sent_events(*SECTIONS),
    ),
)
def status_events() -> Response:
    """Sections of the page, whenever they have changed."""
    feed = cast("StatusFeed", current_app.extensions["nublado.status-feed"])
    return open_stream(StatusSource(feed), process().streams, None)
