"""What operators do to the service, for programs; pages have forms of their own."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify

from nublado.exceptions import (
    CrossSiteError,
    FileserverDeletionError,
    LabDeletionError,
    NotKeptError,
    NotSupportedError,
    UnsupportedMediaTypeError,
)
from nublado.handlers.body import json_body, refuse_cross_site, refuse_foreign_forms
from nublado.handlers.context import authenticated_username, check_username, process
from nublado.handlers.describe import (
    MISSING_HEADER,
    UNKNOWN_USER,
    Caller,
    Needs,
    ResponseSpec,
    describe,
)
from nublado.models.v1.notices import (
    NoticeRequestSchema,
    NoticeSchema,
    NoticesSchema,
    dump_notice,
    dump_notices,
    parse_notice,
)
from nublado.models.v1.running import (
    ConfigurationFileSchema,
    LogLevelRequestSchema,
    LogLevelSchema,
    dump_log_level,
    parse_log_level,
)
from nublado.models.v1.status import UserStatusSchema, dump_user

__all__ = ["operate"]

operate = Blueprint("operate", __name__, url_prefix="/admin/v1")

_MESSAGE = {
    "message": "The platform is being updated.",
    "until": "2100-01-01T12:00:00+00:00",
}
_NOTICE = {**_MESSAGE, "by": "rachel", "since": "2026-11-25T21:00:00+00:00"}
_ENDED = ResponseSpec("It has ended", HTTPStatus.NO_CONTENT, media_type=None)
_NOT_KEPT = NotKeptError("Error updating object (ConfigMap nublado/nublado-notices)")
_SET_ERRORS = [
    CrossSiteError(),
    UnsupportedMediaTypeError(),
    MISSING_HEADER,
    _NOT_KEPT,
]
_GONE = ResponseSpec("It is gone", HTTPStatus.NO_CONTENT, media_type=None)
_BEGUN = ResponseSpec("It has begun", HTTPStatus.ACCEPTED, media_type=None)
_BEGIN_ERRORS = [CrossSiteError(), MISSING_HEADER]
_END_ERRORS = [CrossSiteError(), MISSING_HEADER, _NOT_KEPT]


@operate.get("/users/<username>")
@describe(
    Caller.ADMIN,
    ResponseSpec("What is known", schema=UserStatusSchema),
    errors=[UNKNOWN_USER],
    needs=Needs.LABS,
)
def user_status_for_operators(username: str) -> Response:
    """Lab and file server of a user, and the newest operation."""
    check_username(username)
    return jsonify(dump_user(process().status.user(username)))


@operate.get("/notices")
@describe(
    Caller.ADMIN,
    ResponseSpec(
        "What users are told",
        schema=NoticesSchema,
        example={"drain": None, "announcement": _NOTICE},
    ),
    needs=Needs.LABS,
)
def notices() -> Response:
    """Whether labs can be started, and what users are told."""
    return jsonify(dump_notices(process().notices.current))


@operate.put("/drain")
@describe(
    Caller.ADMIN,
    ResponseSpec("No labs can be started", schema=NoticeSchema, example=_NOTICE),
    errors=_SET_ERRORS,
    body=(NoticeRequestSchema, _MESSAGE),
    needs_user=True,
    needs=Needs.LABS,
)
def drain() -> Response:
    """Let no labs be started.

    Who tries is told the message. Labs that exist, and spawns in progress, are
    left alone. This outlives restarts.
    """
    refuse_foreign_forms()
    notice = parse_notice(json_body(), authenticated_username())
    process().notices.drain(notice)
    return jsonify(dump_notice(notice))


@operate.delete("/drain")
@describe(Caller.ADMIN, _ENDED, errors=_END_ERRORS, needs_user=True, needs=Needs.LABS)
def undrain() -> Response:
    """Let labs be started again."""
    refuse_cross_site()
    process().notices.undrain(authenticated_username())
    return Response(status=204)


@operate.put("/announcement")
@describe(
    Caller.ADMIN,
    ResponseSpec("All pages show it", schema=NoticeSchema, example=_NOTICE),
    errors=_SET_ERRORS,
    body=(NoticeRequestSchema, _MESSAGE),
    needs_user=True,
    needs=Needs.LABS,
)
def announce() -> Response:
    """Tell users something, on all pages and in the form."""
    refuse_foreign_forms()
    notice = parse_notice(json_body(), authenticated_username())
    process().notices.announce(notice)
    return jsonify(dump_notice(notice))


@operate.delete("/announcement")
@describe(Caller.ADMIN, _ENDED, errors=_END_ERRORS, needs_user=True, needs=Needs.LABS)
def withdraw() -> Response:
    """Tell users no longer."""
    refuse_cross_site()
    process().notices.withdraw(authenticated_username())
    return Response(status=204)


@operate.delete("/labs/<username>")
@describe(
    Caller.ADMIN,
    _GONE,
    errors=[CrossSiteError(), UNKNOWN_USER, MISSING_HEADER, LabDeletionError()],
    needs_user=True,
    needs=Needs.LABS,
)
def remove_lab(username: str) -> Response:
    """Delete a user's lab, and respond once it is gone."""
    refuse_cross_site()
    check_username(username)
    process().actions.delete_lab(username, authenticated_username())
    return Response(status=204)


@operate.delete("/fileservers/<username>")
@describe(
    Caller.ADMIN,
    _GONE,
    errors=[
        CrossSiteError(),
        UNKNOWN_USER,
        NotSupportedError(),
        MISSING_HEADER,
        FileserverDeletionError("Error deleting object"),
    ],
    needs_user=True,
    needs=Needs.FILESERVERS,
)
def remove_fileserver(username: str) -> Response:
    """Delete a user's file server, and respond once it is gone."""
    refuse_cross_site()
    check_username(username)
    process().actions.delete_fileserver(username, authenticated_username())
    return Response(status=204)


@operate.put("/refresh")
@describe(
    Caller.ADMIN, _BEGUN, errors=_BEGIN_ERRORS, needs_user=True, needs=Needs.IMAGES
)
def refresh() -> Response:
    """Begin to list images and nodes again, and to pull what is missing."""
    refuse_cross_site()
    process().actions.refresh(authenticated_username())
    return Response(status=202)


@operate.put("/prepull")
@describe(
    Caller.ADMIN, _BEGUN, errors=_BEGIN_ERRORS, needs_user=True, needs=Needs.IMAGES
)
def prepull() -> Response:
    """Begin to pull what nodes lack, as far as is known."""
    refuse_cross_site()
    process().actions.prepull(authenticated_username())
    return Response(status=202)


@operate.get("/log-level")
@describe(
    Caller.ADMIN,
    ResponseSpec(
        "The level",
        schema=LogLevelSchema,
        example={"level": "INFO", "until": None},
    ),
)
def log_level() -> Response:
    """How much is logged."""
    return jsonify(dump_log_level(*process().log_level.current))


@operate.put("/log-level")
@describe(
    Caller.ADMIN,
    ResponseSpec("The level", schema=LogLevelSchema),
    errors=[CrossSiteError(), UnsupportedMediaTypeError(), MISSING_HEADER],
    body=(LogLevelRequestSchema, {"level": "DEBUG", "seconds": 900}),
    needs_user=True,
)
def set_log_level() -> Response:
    """Log more or less for a time."""
    refuse_foreign_forms()
    level, seconds = parse_log_level(json_body())
    process().log_level.set(level, seconds, authenticated_username())
    return log_level()


@operate.delete("/log-level")
@describe(
    Caller.ADMIN,
    _ENDED,
    errors=[CrossSiteError(), MISSING_HEADER],
    needs_user=True,
)
def reset_log_level() -> Response:
    """Log as usual again."""
    refuse_cross_site()
    process().log_level.reset(authenticated_username())
    return Response(status=204)


@operate.get("/configuration")
@describe(
    Caller.ADMIN,
    ResponseSpec("The file", schema=ConfigurationFileSchema),
)
def configuration() -> Response:
    """Whether the configuration file can be used, and differs from what runs."""
    file = process().configuration.look()
    return jsonify(ConfigurationFileSchema().dump(file))
