"""Routes of labs: create, delete, state, events."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from nublado.exceptions import (
    CrossSiteError,
    InsufficientQuotaError,
    InvalidDockerReferenceError,
    InvalidLabSizeError,
    InvalidTokenError,
    LabDeletionError,
    LabExistsError,
    MaintenanceError,
    OperationInProgressError,
    PermissionDeniedError,
    UnknownImageError,
    UnsupportedMediaTypeError,
)
from nublado.handlers.body import json_body, refuse_foreign_forms
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
    server_sent_events,
)
from nublado.handlers.stream import event_stream
from nublado.models.v1.lab import (
    LabSpecificationSchema,
    LabStateSchema,
    dump_lab_state,
    parse_lab_specification,
)

__all__ = ["labs"]

labs = Blueprint("labs", __name__, url_prefix="/spawner/v1")

_OPTIONS = ("body", "options")
_NEXT = ("lab_events", "delete_lab")
_SPECIFICATION = {
    "options": {"image_class": "recommended", "size": "small"},
    "env": {"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/rachel/"},
}
_STATE = {
    "user": {
        "username": "rachel",
        "name": "Rachel",
        "uid": 1101,
        "gid": 1101,
        "groups": [{"name": "rachel", "id": 1101}],
    },
    "options": {
        "image": f"registry.example.org/sciplat/lab:w_2026_45@sha256:{'0' * 64}",
        "size": "small",
        "enable_debug": False,
        "reset_user_env": False,
    },
    "status": "running",
    "internal_url": "http://lab.userlabs-rachel:8888/nb/user/rachel/",
    "resources": {
        "limits": {"cpu": 1.0, "memory": 3221225472},
        "requests": {"cpu": 0.25, "memory": 805306368},
    },
    "quota": {"cpu": 9.0, "memory": 28991029248},
}
_EVENT = (
    "id: 0f2f5e6a8c11:4\nevent: info\n"
    'data: {"message": "Created Kubernetes objects for user lab", "progress": 30}\n\n'
)


@labs.get("/labs")
@describe(
    Caller.HUB,
    ResponseSpec("Usernames", schema=USERNAMES, example=["rachel"]),
    needs=Needs.STATE,
)
def list_labs() -> Response:
    """Usernames of those whose lab is running."""
    return jsonify(process().labs.running())


@labs.get("/labs/<username>")
@describe(
    Caller.HUB,
    ResponseSpec("The lab", schema=LabStateSchema, example=_STATE, links=_NEXT),
    errors=[UNKNOWN_USER],
    needs=Needs.STATE,
)
def get_lab(username: str) -> Response:
    """State of a lab."""
    check_username(username)
    return jsonify(dump_lab_state(process().labs.state(username)))


@labs.post("/labs/<username>/create")
@describe(
    Caller.USER,
    ResponseSpec(
        "The lab is being created",
        HTTPStatus.CREATED,
        schema={"type": "null"},
        headers={"Location": "URL of the lab"},
        links=("get_lab", *_NEXT),
    ),
    errors=[
        UnknownImageError("No recommended image found", (*_OPTIONS, "image_class")),
        InvalidTokenError(),
        NOT_MINE,
        CrossSiteError(),
        InsufficientQuotaError(),
        LabExistsError("rachel"),
        OperationInProgressError("rachel"),
        UnsupportedMediaTypeError(),
        MaintenanceError("The platform is being updated until noon.", 300),
        MISSING_HEADER,
        InvalidLabSizeError("gargantuan"),
        InvalidDockerReferenceError(
            'Docker reference "example.org/lab" has no tag', (*_OPTIONS, "image_list")
        ),
    ],
    body=(LabSpecificationSchema, _SPECIFICATION),
    needs_user=True,
    needs_token=True,
    needs=Needs.IMAGES,
)
def create_lab(username: str) -> Response:
    """Begin to create a lab."""
    refuse_foreign_forms()
    user = authenticated_user()
    specification = parse_lab_specification(json_body())
    if user.username != username:
        raise PermissionDeniedError
    process().notices.check_open()
    process().labs.create(user, specification)
    response = jsonify(None)
    response.status_code = 201
    response.headers["Location"] = request.base_url.removesuffix("/create")
    return response


@labs.delete("/labs/<username>")
@describe(
    Caller.HUB,
    ResponseSpec("The lab is gone", HTTPStatus.NO_CONTENT, media_type=None),
    errors=[UNKNOWN_USER, LabDeletionError()],
    needs=Needs.LABS,
)
def delete_lab(username: str) -> Response:
    """Delete a lab, and respond once it is gone."""
    check_username(username)
    process().labs.delete(username)
    return Response(status=204)


@labs.get("/labs/<username>/events")
@describe(
    Caller.USER,
    ResponseSpec(
        "Server-sent events. `id` counts them, `event` is `info`, `error`, `complete`"
        " or `failed`, `data` is JSON with `message` and perhaps `progress` in percent."
        " The stream ends after `complete` or `failed`.",
        media_type="text/event-stream",
        schema=server_sent_events("info", "error", "complete", "failed", ids=True),
        example=_EVENT,
    ),
    ResponseSpec(
        "There is nothing more to send; the client need not reconnect",
        HTTPStatus.NO_CONTENT,
        media_type=None,
    ),
    errors=[NOT_MINE, UNKNOWN_USER, MISSING_HEADER],
    needs_user=True,
    resumes=True,
    needs=Needs.LABS,
)
def lab_events(username: str) -> Response:
    """Events of the newest operation on a lab, as they happen."""
    check_username(username)
    if authenticated_username() != username:
        raise PermissionDeniedError
    log = process().labs.operation(username).events
    return event_stream(log, process().streams, username)


@labs.get("/user-status")
@describe(
    Caller.USER,
    ResponseSpec("The lab", schema=LabStateSchema, example=_STATE),
    errors=[UNKNOWN_USER, MISSING_HEADER],
    needs_user=True,
    needs=Needs.STATE,
)
def user_status() -> Response:
    """State of the caller's own lab."""
    return jsonify(dump_lab_state(process().labs.state(authenticated_username())))
