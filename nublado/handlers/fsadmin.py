"""Routes of the pod in which operators have all file systems of labs."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from nublado.exceptions import (
    CrossSiteError,
    FsadminCreationError,
    FsadminDeletionError,
    FsadminPhaseError,
    NoFsadminError,
    NotSupportedError,
    UnsupportedMediaTypeError,
)
from nublado.handlers.body import json_body, refuse_cross_site, refuse_foreign_forms
from nublado.handlers.context import authenticated_username, process
from nublado.handlers.describe import (
    MISSING_HEADER,
    Caller,
    Needs,
    ResponseSpec,
    describe,
)
from nublado.models.v1.fsadmin import (
    FsadminRequestSchema,
    FsadminStateSchema,
    check_fsadmin_request,
    dump_fsadmin_state,
)
from nublado.services.fsadmin.service import FsadminService

__all__ = ["fsadmin"]

fsadmin = Blueprint("fsadmin", __name__, url_prefix="/fsadmin/v1")

_PART = "fsadmin"
_RUNNING = ResponseSpec(
    "It runs",
    schema=FsadminStateSchema,
    example={"start_time": "2026-11-25T20:00:00+00:00"},
)


@fsadmin.post("/service")
@describe(
    Caller.ADMIN,
    _RUNNING,
    body=(FsadminRequestSchema, {"start": True}),
    errors=[
        CrossSiteError(),
        NotSupportedError(_PART),
        UnsupportedMediaTypeError(),
        MISSING_HEADER,
        FsadminCreationError("Pod nublado/fsadmin was deleted"),
    ],
    needs_user=True,
    needs=Needs.LABS,
)
def start_fsadmin() -> Response:
    """Start the pod unless it runs, and respond once it does.

    It is privileged, runs as root, and has all file systems of labs. Who asks for
    it is logged and alerted.
    """
    refuse_foreign_forms()
    username = authenticated_username()
    check_fsadmin_request(json_body())
    return jsonify(dump_fsadmin_state(_service().create(username)))


@fsadmin.get("/service")
@describe(
    Caller.ADMIN,
    _RUNNING,
    errors=[NoFsadminError(), FsadminPhaseError("Pending"), NotSupportedError(_PART)],
    needs=Needs.LABS,
)
def get_fsadmin() -> Response:
    """Since when the pod runs."""
    return jsonify(dump_fsadmin_state(_service().started()))


@fsadmin.delete("/service")
@describe(
    Caller.ADMIN,
    ResponseSpec("It is gone", HTTPStatus.NO_CONTENT, media_type=None),
    errors=[
        CrossSiteError(),
        NotSupportedError(_PART),
        FsadminDeletionError("Error deleting object"),
    ],
    needs=Needs.LABS,
)
def delete_fsadmin() -> Response:
    """Delete the pod, and respond once it is gone; also if there was none."""
    refuse_cross_site()
    _service().delete(request.headers.get("X-Auth-Request-User", ""))
    return Response(status=204)


def _service() -> FsadminService:
    service = process().fsadmin
    if service is None:
        raise NotSupportedError(_PART)
    return service
