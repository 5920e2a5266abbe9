"""How the API takes and shows what operators tell users.

The config map that keeps it has the same form.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.notices import MAX_MESSAGE, Notice, Notices
from nublado.models.v1.fields import NOT_AN_OBJECT, REQUIRED, validation_problems

__all__ = [
    "NoticeRequestSchema",
    "NoticeSchema",
    "NoticesSchema",
    "dump_notice",
    "dump_notices",
    "parse_notice",
    "read_notice",
]

_AMBIGUOUS = "Not a time with a time zone, such as 2026-11-25T22:00:00Z"
_EMPTY = "Must say something"


def _says_something(text: str) -> None:
    if not text.strip():
        raise ValidationError(_EMPTY)


def _message_field() -> fields.String:
    return fields.String(
        required=True,
        validate=[validate.Length(max=MAX_MESSAGE), _says_something],
        error_messages={"required": REQUIRED},
        metadata={"pattern": r"\S", "minLength": 1},
    )


def _is_to_come(until: datetime | None) -> None:
    if until is not None and until <= datetime.now(UTC):
        raise ValidationError("Is over already")


def _until_field(
    validate: Callable[[datetime | None], None] | None = None,
) -> fields.AwareDateTime:
    return fields.AwareDateTime(
        load_default=None,
        validate=validate,
        allow_none=True,
        error_messages={"invalid_awareness": _AMBIGUOUS, "invalid": _AMBIGUOUS},
        metadata={
            "description": "When it ends by itself; null if somebody has to end it"
        },
    )


class NoticeRequestSchema(Schema):
    """What to tell users."""

    error_messages = {"type": NOT_AN_OBJECT}

    message = _message_field()
    until = _until_field(_is_to_come)


class NoticeSchema(Schema):
    """What users are told."""

    message = _message_field()
    until = _until_field()
    by = fields.String(required=True)
    since = fields.AwareDateTime(required=True)

    @post_load
    def _make(self, data: JSON, **_: Any) -> Notice:
        return Notice(**data)


class NoticesSchema(Schema):
    """All that users are told."""

    drain = fields.Nested(
        NoticeSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Why no labs can be started; null if they can"},
    )
    announcement = fields.Nested(NoticeSchema, required=True, allow_none=True)


def dump_notice(notice: Notice) -> JSON:
    """Show a notice."""
    shown: JSON = NoticeSchema().dump(notice)
    return shown


def dump_notices(notices: Notices) -> JSON:
    """Show all that users are told."""
    shown: JSON = NoticesSchema().dump(notices)
    return shown


def parse_notice(data: Any, by: str) -> Notice:
    """Make a notice of a request.

    Parameters
    ----------
    data
        Body of the request.
    by
        Who sends it.

    Raises
    ------
    ValidationProblemsError
        Raised with everything that is wrong with it.
    """
    try:
        loaded = NoticeRequestSchema().load(data)
    except ValidationError as e:
        raise validation_problems(e, ("body",)) from e
    return Notice(loaded["message"].strip(), by, datetime.now(UTC), loaded["until"])


def read_notice(data: Any) -> Notice:
    """Read a notice that was kept; `marshmallow.ValidationError` if it is none."""
    notice: Notice = NoticeSchema().load(data, unknown="exclude")
    return notice
