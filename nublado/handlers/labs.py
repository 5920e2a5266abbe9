"""Routes of labs: create, delete, state, events."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest

from nublado.exceptions import (
    ClientRequestError,
    InsufficientQuotaError,
    InvalidDockerReferenceError,
    InvalidLabSizeError,
    InvalidTokenError,
    LabDeletionError,
    LabExistsError,
    OperationInProgressError,
    PermissionDeniedError,
    UnknownImageError,
    UnknownUserError,
    ValidationProblem,
    ValidationProblemsError,
)
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
    WRONG_USERNAME,
    Answer,
    Caller,
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
@describe(Caller.HUB, Answer("Usernames", schema=USERNAMES, example=["rachel"]))
def list_labs() -> Response:
    """Usernames of those whose lab is running."""
    return jsonify(process().labs.running())


@labs.get("/labs/<username>")
@describe(
    Caller.HUB,
    Answer("The lab", schema=LabStateSchema, example=_STATE, links=_NEXT),
    errors=[UNKNOWN_USER, WRONG_USERNAME],
)
def get_lab(username: str) -> Response:
    """State of a lab."""
    check_username(username)
    try:
        return jsonify(dump_lab_state(process().labs.state(username)))
    except UnknownUserError as e:
        raise _in_path(e) from e


@labs.post("/labs/<username>/create")
@describe(
    Caller.USER,
    Answer(
        "The lab will be made",
        HTTPStatus.CREATED,
        schema={"type": "null"},
        headers={"Location": "URL of the lab"},
        links=("get_lab", *_NEXT),
    ),
    errors=[
        UnknownImageError("No recommended image found", (*_OPTIONS, "image_class")),
        InvalidTokenError(),
        NOT_MINE,
        InsufficientQuotaError(
            "Insufficient quota to spawn requested lab", (*_OPTIONS, "size")
        ),
        LabExistsError("rachel"),
        OperationInProgressError("rachel"),
        MISSING_HEADER,
        InvalidLabSizeError('Invalid lab size "gargantuan"', (*_OPTIONS, "size")),
        InvalidDockerReferenceError(
            'Docker reference "example.org/lab" has no tag', (*_OPTIONS, "image_list")
        ),
    ],
    body=(LabSpecificationSchema, _SPECIFICATION),
    needs_user=True,
    needs_token=True,
)
def create_lab(username: str) -> Response:
    """Begin to create a lab."""
    user = authenticated_user()
    specification = parse_lab_specification(_json_body())
    if user.username != username:
        raise PermissionDeniedError
    process().labs.create(user, specification)
    response = jsonify(None)
    response.status_code = 201
    response.headers["Location"] = request.base_url.removesuffix("/create")
    return response


@labs.delete("/labs/<username>")
@describe(
    Caller.HUB,
    Answer("The lab is gone", HTTPStatus.NO_CONTENT, media_type=None),
    errors=[UNKNOWN_USER, WRONG_USERNAME, LabDeletionError()],
)
def delete_lab(username: str) -> Response:
    """Delete a lab, and respond once it is gone."""
    check_username(username)
    try:
        process().labs.delete(username)
    except UnknownUserError as e:
        raise _in_path(e) from e
    return Response(status=204)


@labs.get("/labs/<username>/events")
@describe(
    Caller.USER,
    Answer(
        "Server-sent events. `id` counts them, `event` is `info`, `error`, `complete`"
        " or `failed`, `data` is JSON with `message` and perhaps `progress` in percent."
        " The stream ends after `complete` or `failed`.",
        media_type="text/event-stream",
        schema=server_sent_events("info", "error", "complete", "failed", ids=True),
        example=_EVENT,
    ),
    Answer(
        "All has been told, the client need not come back",
        HTTPStatus.NO_CONTENT,
        media_type=None,
    ),
    errors=[NOT_MINE, UNKNOWN_USER, MISSING_HEADER],
    needs_user=True,
    resumes=True,
)
def lab_events(username: str) -> Response:
    """Events of the newest operation on a lab, as they happen."""
    if authenticated_username() != username:
        raise PermissionDeniedError
    try:
        log = process().labs.operation(username).events
    except UnknownUserError as e:
        raise _in_path(e) from e
    return event_stream(log, process().streams)


@labs.get("/user-status")
@describe(
    Caller.USER,
    Answer("The lab", schema=LabStateSchema, example=_STATE),
    errors=[UnknownUserError("rachel"), MISSING_HEADER],
    needs_user=True,
)
def user_status() -> Response:
    """State of the caller's own lab."""
    return jsonify(dump_lab_state(process().labs.state(authenticated_username())))


def _in_path(error: ClientRequestError) -> ClientRequestError:
    error.location = ["path", "username"]
    return error


def _json_body() -> Any:
    try:
        return json.loads(request.get_data())
    except (ValueError, RecursionError) as e:
        reason = e.msg if isinstance(e, json.JSONDecodeError) else "cannot be decoded"
        message = f"Body is not valid JSON: {reason}"
        problem = ValidationProblem("json_invalid", message, ("body",))
        raise ValidationProblemsError([problem]) from e
    except BadRequest as e:
        problem = ValidationProblem("json_invalid", "Body is incomplete", ("body",))
        raise ValidationProblemsError([problem]) from e
