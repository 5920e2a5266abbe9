"""The page on which operators see the state of the service, and its JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from flask import (
    Blueprint,
    Response,
    copy_current_request_context,
    jsonify,
    render_template,
    url_for,
)

from nublado.context import ProcessContext
from nublado.handlers.context import process
from nublado.handlers.describe import Caller, ResponseSpec, describe, server_sent_events
from nublado.handlers.page import render_page
from nublado.handlers.stream import HEARTBEAT, HEARTBEAT_SECONDS, RETRY, guarded_stream
from nublado.models.domain.kubernetes import JSON
from nublado.models.v1.status import ServiceStatusSchema, dump_status

__all__ = ["admin"]

admin = Blueprint("admin", __name__, url_prefix="/admin")

_SECTIONS = ("health", "labs", "operations", "prepulls", "fileservers", "failures")
_REFRESH_SECONDS = 2.0
_IDLE_SECONDS = 90.0


@admin.get("/v1/status")
@describe(Caller.ADMIN, ResponseSpec("The state", schema=ServiceStatusSchema))
def status() -> Response:
    """State of the service: labs, operations, prepulls, jobs, failures."""
    return jsonify(dump_status(process().status.status()))


@admin.get("")
@describe(Caller.ADMIN, ResponseSpec("The page", media_type="text/html"))
def status_page() -> Response:
    """Show the state of the service to operators."""
    return render_page(
        "admin.html",
        sections=_SECTIONS,
        status=_shown(process()),
        events_url=url_for("admin.status_events"),
    )


@admin.get("/v1/events")
@describe(
    Caller.ADMIN,
    ResponseSpec(
        "Server-sent events. Each has the name of a section of the page, and JSON"
        " with its `html`.",
        media_type="text/event-stream",
        schema=server_sent_events(*_SECTIONS),
    ),
)
def status_events() -> Response:
    """Sections of the page, whenever they have changed."""
    render = copy_current_request_context(render_template)
    context = process()

    def chunks() -> Iterator[str]:
        sent: dict[str, str] = {}
        last_sent = time.monotonic()
        yield RETRY
        while True:
            shown = _shown(context)
            for section in _SECTIONS:
                html = render(f"admin/{section}.html", status=shown)
                if sent.get(section) != html:
                    sent[section] = html
                    last_sent = time.monotonic()
                    yield f"event: {section}\ndata: {json.dumps({'html': html})}\n\n"
            if context.stops_within(_REFRESH_SECONDS):
                return
            if time.monotonic() - last_sent > HEARTBEAT_SECONDS:
                last_sent = time.monotonic()
                yield HEARTBEAT

    return guarded_stream(chunks(), context.streams)


def _shown(context: ProcessContext) -> JSON:
    """State as the page shows it: nothing in it changes but what matters."""
    shown = dump_status(context.status.status())
    for watcher in shown["watchers"]:
        watcher["stalled"] = watcher.pop("idle") > _IDLE_SECONDS
    return shown
