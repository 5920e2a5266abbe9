"""Routes of labs: create, delete, state, events."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest

from nublado.exceptions import (
    ClientRequestError,
    PermissionDeniedError,
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
from nublado.handlers.stream import event_stream
from nublado.models.v1.lab import dump_lab_state, parse_lab_specification

__all__ = ["labs"]

labs = Blueprint("labs", __name__, url_prefix="/spawner/v1")


@labs.get("/labs")
def list_labs() -> Response:
    """Usernames of those whose lab is running."""
    return jsonify(process().labs.running())


@labs.get("/labs/<username>")
def get_lab(username: str) -> Response:
    """State of a lab."""
    check_username(username)
    try:
        return jsonify(dump_lab_state(process().labs.state(username)))
    except UnknownUserError as e:
        raise _in_path(e) from e


@labs.post("/labs/<username>/create")
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
def delete_lab(username: str) -> Response:
    """Delete a lab, and answer once it is gone."""
    check_username(username)
    try:
        process().labs.delete(username)
    except UnknownUserError as e:
        raise _in_path(e) from e
    return Response(status=204)


@labs.get("/labs/<username>/events")
def lab_events(username: str) -> Response:
    """Events of the newest operation on a lab, as they happen."""
    if authenticated_username() != username:
        raise PermissionDeniedError
    try:
        log = process().labs.events(username)
    except UnknownUserError as e:
        raise _in_path(e) from e
    return event_stream(log, process().streams)


@labs.get("/user-status")
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
